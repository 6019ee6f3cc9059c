// Whole stories, as the operator tells them: what it did, in order, and what the status said
// between. The expected text is in tests/scripted/operator; with MILLRACE_UPDATE_SCRIPTS=1 it is
// written anew.
#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>

#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

class Teller final : public LogSink {
public:
    void write(Level, std::string_view event, std::initializer_list<Field> fields) override {
        for (const Field& field : fields) {
            if (event == "operator.acted" && field.name == "action") {
                text += "  " + without_hashes(field.value) + "\n";
            }
        }
    }
    std::string text;

private:
    /// Revisions and plan names are hashes: their digits are nobody's story.
    static std::string without_hashes(std::string line) {
        for (std::size_t at = 0; at + 16 <= line.size(); ++at) {
            if (line.find_first_not_of("0123456789abcdef", at) >= at + 16) {
                line.replace(at, 16, "HASH");
            }
        }
        return line;
    }
};

class Transcript {
public:
    Transcript() : teller_(std::make_shared<Teller>()) {
        world.log = Logger(teller_);
        world.new_operator();
    }

    /// One line of the script, then all that follows from it.
    void then(const std::string& what, const std::function<void()>& change) {
        teller_->text += what + "\n----\n";
        change();
        std::string said;
        int quiet = 0;
        for (int i = 0; i < 200 && quiet < 4; ++i) {
            const int before = world.kube->writes();
            const Result<void> held = world.round();
            ASSERT_TRUE(held) << held.error().message();
            const Json status = world.cluster()["status"];
            const std::string now = fmt::format(
                "{} {} rolling {} : {}", status["phase"].text(), status["summary"]["ready"].text(),
                status["summary"]["rolling"].text_or("-"), status["message"].text());
            if (now != said) {
                teller_->text += "status  " + now + "\n";
                said = now;
            }
            world.kube->step();
            quiet = world.kube->writes() == before ? quiet + 1 : 0;
        }
        teller_->text += "\n";
    }

    void expect(const std::string& name) const {
        const std::string path =
            std::string(MILLRACE_SOURCE_DIR) + "/tests/scripted/operator/" + name + ".txt";
        if (std::getenv("MILLRACE_UPDATE_SCRIPTS") != nullptr) {
            std::ofstream(path) << teller_->text;
            return;
        }
        std::ifstream file(path);
        std::ostringstream wanted;
        wanted << file.rdbuf();
        EXPECT_EQ(teller_->text, wanted.str()) << path;
    }

    World world;

private:
    std::shared_ptr<Teller> teller_;
};

TEST(Transcripts, a_cluster_is_made_rolled_and_given_a_setting_that_breaks_it) {
    Transcript story;
    World& world = story.world;
    story.then("apply three brokers", [&] { world.apply_cluster(three_brokers); });
    world.kube->brokers().add_topic("orders", 6, 3, 2);
    story.then("change a setting that needs a restart", [&] {
        world.apply_cluster(
            R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "false"}})");
    });
    story.then("give a setting that brokers can't start with", [&] {
        world.kube->poison = "auto.create.topics.enable=true";
        world.apply_cluster(
            R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "true"}})");
    });
    story.then("meanwhile change one that brokers take while they run", [&] {
        world.apply_cluster(
            R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "true", "log.retention.ms": "60000"}})");
    });
    story.then("take it back", [&] { world.apply_cluster(three_brokers); });
    story.expect("roll");
}

TEST(Transcripts, a_cluster_grows_and_shrinks) {
    Transcript story;
    World& world = story.world;
    story.then("apply three brokers", [&] { world.apply_cluster(three_brokers); });
    world.kube->brokers().add_topic("orders", 6, 3, 2);
    story.then("five brokers",
               [&] { world.apply_cluster(R"({"replicas": 5, "storage": {"size": "1Gi"}})"); });
    story.then("three again, and their disks may go", [&] {
        world.apply_cluster(
            R"({"replicas": 3, "storage": {"size": "1Gi", "retention": {"whenScaled": "Delete"}}})");
    });
    story.then("fewer than the replicas need",
               [&] { world.apply_cluster(R"({"replicas": 2, "storage": {"size": "1Gi"}})"); });
    story.expect("scale");
}

}  // namespace
}  // namespace millrace::reconcile
