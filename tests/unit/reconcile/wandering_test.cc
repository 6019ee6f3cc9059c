// A person who edits without waiting, an operator that dies, a world that breaks and mends:
// whatever came before, the last spec is what there is in the end, and it stays so without a write.
// Seeds of their own: MILLRACE_SIM_SEEDS, MILLRACE_SIM_SEED.
#include <cstdlib>
#include <gmock/gmock.h>
#include <random>

#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

int number_of(const char* name, int otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atoi(text);
}

class Wanderer {
public:
    explicit Wanderer(unsigned seed) : random_(seed) {}

    void begin() {
        if (one_in(4)) {
            spec_["tls"] = Json::object({});
        }
        world.kube->copies_labels = !one_in(3);
        world.reads_nodes = one_in(2);
        world.new_operator();
        pooled_ = one_in(4);
        size_it(1, 5);
        if (!pooled_) {
            spec_["storage"]["size"] = "1Gi";
        }
        apply();
        if (one_in(2)) {
            world.settle();
            add_topic();
        }
    }

    void wander() {
        for (int i = 0; i < 14; ++i) {
            one_in(2) ? edit() : disturb();
            for (int rounds = one_in(4) ? any(8, 40) : any(0, 6); rounds > 0; --rounds) {
                round();
            }
        }
    }

    /// Everything works again, and this is what is wanted.
    void come_home() {
        world.kube->thaw();
        world.kube->broken_pods.clear();
        world.kube->missing_classes.clear();
        world.kube->silent_pods.clear();
        world.kube->poison.clear();
        spec_.erase("paused");
        spec_.erase("controllers");
        spec_.erase("remove");
        spec_["rack"]["spread"] = "Preferred";
        size_it(3, 6);
        if (!pooled_) {
            spec_["storage"].erase("class");
        }
        if (std::as_const(spec_)["listeners"].dump().find("LoadBalancer") != std::string::npos) {
            spec_.erase("listeners");  // Nobody gives them addresses here.
        }
        apply();
        told += "home\n";
        world.settle(600);
    }

    void expect_all_is_well() {
        const Json cluster = world.cluster();
        EXPECT_EQ(World::condition(cluster, "Ready"), "True");
        EXPECT_EQ(World::condition(cluster, "UpToDate"), "True");
        EXPECT_EQ(World::condition(cluster, "Balanced"), "True");
        EXPECT_EQ(cluster["status"]["message"].text(), "");
        EXPECT_EQ(cluster["status"]["replicas"].integer(), wanted());
        EXPECT_EQ(cluster["status"]["ready"].integer(), wanted());
        EXPECT_EQ(cluster["status"]["health"]["offlinePartitions"].integer(), 0);
        EXPECT_EQ(world.kube->second_disruptions(), 0);
        EXPECT_EQ(World::condition(cluster, "SpecValid"), "True");
    }

    std::string world_in_short() const {
        std::string text = world.kube->brokers().health().ShortDebugString() + "\n";
        for (const Json& pod : world.kube->all(kube::pods)) {
            text += pod["metadata"]["name"].text() + " " + pod["spec"]["nodeName"].text() + " " +
                    pod["metadata"]["annotations"].dump() + " " + pod["status"].dump() + "\n";
        }
        const Json cluster = world.cluster();
        for (const Json& one : cluster["status"]["conditions"].items()) {
            text += one["type"].text() + "=" + one["status"].text() + " " + one["message"].text() +
                    "\n";
        }
        if (const auto plan = world.cluster_reconciler->plan({"default", "main"}); plan && *plan) {
            for (const planner::Action& action : (**plan).actions) {
                text += "would " + planner::to_string(action) + "\n";
            }
        }
        return text;
    }

    World world;
    std::string told;

private:
    int any(int from, int to) { return std::uniform_int_distribution(from, to)(random_); }
    bool one_in(int chances) { return any(1, chances) == 1; }
    template <class List>
    auto one_of(const List& list) {
        return list[static_cast<std::size_t>(any(0, static_cast<int>(list.size()) - 1))];
    }

    /// So many brokers, in pools of any kind where there are pools.
    void size_it(int least, int most) {
        if (!pooled_) {
            spec_["replicas"] = std::int64_t{any(least, most)};
            return;
        }
        Json pools = Json::array({});
        int left = any(least, most);
        for (const char* name : {"a", "b", "c"}) {
            const int here = name[0] == 'c' ? left : any(0, left);
            left -= here;
            if (here > 0 || one_in(2)) {
                Json pool = Json::object({{"name", name}, {"replicas", std::int64_t{here}}});
                pool["storage"]["size"] = "1Gi";
                pools.push_back(std::move(pool));
            }
        }
        spec_["pools"] = std::move(pools);
    }
    std::int64_t wanted() const {
        std::int64_t sum = std::as_const(spec_)["replicas"].integer();
        for (const Json& pool : std::as_const(spec_)["pools"].items()) {
            sum += pool["replicas"].integer();
        }
        return sum;
    }

    void apply() {
        told += "spec " + spec_.dump() + "\n";
        world.apply_cluster(spec_.dump());
    }
    void add_topic() {
        const auto health = world.kube->brokers().health();
        const auto open =
            std::count_if(health.brokers().begin(), health.brokers().end(), [](const auto& broker) {
                return !broker.cordoned() && broker.state() == admin::v1::BROKER_STATE_RUNNING;
            });
        if (open > 0) {
            world.kube->brokers().add_topic(fmt::format("t{}", topics_++), any(1, 8),
                                            std::min(3, static_cast<int>(open)), 1);
            told += "topic\n";
        }
    }

    void edit() {
        switch (any(0, 12)) {
            case 0:
            case 1:
            case 2:
            case 3:
                size_it(1, 7);
                break;
            case 4:
                size_it(2, 5);
                if (!pooled_) {
                    spec_["remove"] = Json::array({std::int64_t{any(0, 6)}});
                }
                break;
            case 10:
                if (spec_.has("listeners")) {
                    spec_.erase("listeners");
                } else {
                    Json outside =
                        Json::object({{"name", "outside"}, {"port", std::int64_t{9094}}});
                    outside["type"] = one_of(std::vector{"LoadBalancer", "ClusterIP", "Internal"});
                    spec_["listeners"] = Json::array({std::move(outside)});
                }
                break;
            case 11:
                if (spec_.has("tls")) {
                    spec_.erase("tls");
                } else {
                    spec_["tls"] = Json::object({});
                }
                break;
            case 12:
                spec_["balance"]["mode"] = one_of(std::vector{"OnScale", "Continuous"});
                break;
            case 5:
                spec_["config"]["auto.create.topics.enable"] = one_in(2) ? "true" : "false";
                break;
            case 6:
                spec_["rolling"]["restart"] = fmt::format("r{}", any(1, 1000));
                break;
            case 7:
                if (pooled_) {
                    size_it(1, 6);
                } else if (one_in(2)) {
                    spec_["storage"].erase("class");
                } else {
                    spec_["storage"]["class"] = one_of(std::vector{"fast", "slow", "nope"});
                }
                break;
            case 8:
                spec_["rack"]["spread"] = one_of(std::vector{"Preferred", "Off", "Required"});
                break;
            case 9:
                if (one_in(2)) {
                    spec_["paused"] = one_in(3);
                } else if (spec_.has("controllers")) {
                    spec_.erase("controllers");
                } else if (one_in(2)) {
                    spec_["controllers"]["replicas"] = std::int64_t{3};
                    spec_["controllers"]["storage"]["size"] = "1Gi";
                }
                break;
            default:
                break;
        }
        apply();
    }

    void disturb() {
        const std::string broker = fmt::format("main-{}", any(0, 5));
        switch (any(0, 7)) {
            case 0:
            case 1:
                world.kube->die_after(any(1, 12));
                told += "dies\n";
                break;
            case 2: {
                const auto* verb =
                    one_of(std::vector{"apply", "create", "remove", "status", "list", "get"});
                const auto code =
                    one_of(std::vector{Code::fenced, Code::unavailable, Code::busy, Code::closed});
                world.kube->refuse(verb, code, any(1, 4));
                told += fmt::format("refuses {}\n", verb);
                break;
            }
            case 3:
                world.kube->freeze(one_in(2) ? kube::pods : kube::claims);
                told += "stands still\n";
                break;
            case 4:
                world.kube->thaw();
                told += "moves again\n";
                break;
            case 5:
                if (world.kube->find(kube::pods, {"default", broker})) {
                    world.kube->take_away(kube::pods, {"default", broker});
                    told += "deletes " + broker + "\n";
                }
                break;
            case 6:
                if (world.kube->broken_pods.empty()) {
                    world.kube->broken_pods[broker] = "no such image";
                    world.kube->missing_classes = {"nope"};
                } else {
                    world.kube->broken_pods.clear();
                    world.kube->missing_classes.clear();
                }
                told += "breaks or mends\n";
                break;
            default:
                add_topic();
        }
    }

    void round() {
        world.last = world.round();
        if (world.kube->is_dead()) {
            world.new_operator();
            told += "another operator\n";
        }
        world.kube->step();
    }

    std::mt19937 random_;
    Json spec_ = Json(Json::Object{});
    int topics_ = 0;
    bool pooled_ = false;
};

TEST(Wandering, ends_where_the_last_edit_wants_it) {
    const int first = number_of("MILLRACE_SIM_SEED", 1);
    const int seeds =
        std::getenv("MILLRACE_SIM_SEED") != nullptr ? 1 : number_of("MILLRACE_SIM_SEEDS", 60);
    for (int seed = first; seed < first + seeds; ++seed) {
        Wanderer wanderer(static_cast<unsigned>(seed));
        wanderer.begin();
        if (!testing::Test::HasFailure()) {
            wanderer.wander();
            wanderer.come_home();
        }
        if (!testing::Test::HasFailure()) {
            wanderer.expect_all_is_well();
        }
        ASSERT_FALSE(testing::Test::HasFailure())
            << "seed " << seed << "\n"
            << wanderer.told << wanderer.world.journal_tail() << "\n"
            << wanderer.world_in_short();
    }
}

}  // namespace
}  // namespace millrace::reconcile
