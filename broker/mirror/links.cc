#include "mirror/links.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "config/option.h"
#include "mirror/internal/link_views.h"
#include "mirror/internal/runner.h"
#include "mirror/internal/sealed_secret.h"

namespace millrace::mirror {
namespace {

constexpr Duration figures_interval = 1s;

const metadata::ConfigMap* cluster_entries(const metadata::Image& image) {
    return image.configs.find({metadata::ConfigResourceType::broker, ""});
}

/// Links as the metadata has them, by name. An entry that can't be read is left out and told of.
std::map<std::string, Link> links_of(const metadata::Image& image, const Logger& log) {
    std::map<std::string, Link> links;
    const metadata::ConfigMap* entries = cluster_entries(image);
    if (entries == nullptr) {
        return links;
    }
    for (auto at = entries->values.lower_bound(config::mirror_link_prefix);
         at != entries->values.end() && at->first.starts_with(config::mirror_link_prefix); ++at) {
        auto link = decode(at->second);
        const std::string name = at->first.substr(config::mirror_link_prefix.size());
        if (!link) {
            MR_LOG(log, error, "mirror.link_unreadable", field("link", name),
                   field("reason", link.error().message()));
            continue;
        }
        links.emplace(name, *std::move(link));
    }
    return links;
}

}  // namespace

struct Links::Inside : std::enable_shared_from_this<Links::Inside> {
    Inside(LinksOptions options_in, runtime::Node& node_in,
           const replication::Replicas& replicas_in, const metadata::ImageHandle& image_in,
           Controller& controller, std::function<std::vector<runtime::Address>()> own_in)
        : options(std::move(options_in)),
          node(node_in),
          control(node_in.control_shard()),
          log(node_in.log()),
          replicas(replicas_in),
          image(image_in),
          own(controller, *control.executor),
          own_brokers(std::move(own_in)) {
        shell.options = options;
        shell.control = control;
        shell.replicas = &replicas;
        shell.image = &image;
        shell.own = &own;
        shell.log = &log;
    }

    void start() {
        shell.pull = [this](std::size_t shard, const std::string& link, Puller::Link jobs) {
            replicas.executor(shard).post(
                [puller = pullers[shard], link, jobs = std::move(jobs)]() mutable {
                    puller->set_link(link, std::move(jobs));
                });
        };
        for (std::size_t i = 0; i < replicas.size(); ++i) {
            pullers.push_back(std::make_shared<Puller>(node.data_shard(i), node, replicas.here(i),
                                                       upwards(), log));
        }
    }

    /// Shards call from their loops; what they ask happens on the control loop.
    Upwards upwards() {
        Upwards up;
        up.refresh_source = [weak = weak_from_this(),
                             &loop = *control.executor](const std::string& link) {
            loop.post([weak, link] {
                auto self = weak.lock();
                if (Runner* runner = self ? self->runner(link) : nullptr) {
                    runner->look_soon();
                }
            });
        };
        up.halt = [weak = weak_from_this(), &loop = *control.executor](
                      const std::string&, const std::string& topic, HaltReason reason) {
            loop.post([weak, topic, reason] {
                if (auto self = weak.lock()) {
                    self->halt(topic, reason);
                }
            });
        };
        up.remember_loss = [weak = weak_from_this(), &loop = *control.executor](
                               const std::string&, const std::string& topic, const Report& report,
                               PartitionIndex partition, runtime::Executor& home,
                               UniqueFunction<void(bool)> done) {
            loop.post([weak, topic, report, partition, &home, done = std::move(done)]() mutable {
                if (auto self = weak.lock()) {
                    self->remember_loss(topic, report, partition, home, std::move(done));
                }
            });
        };
        up.remember_seal = [weak = weak_from_this(), &loop = *control.executor](
                               const std::string&, const std::string& topic, const Sealed& sealed,
                               runtime::Executor& home, UniqueFunction<void(bool)> done) {
            loop.post([weak, topic, record = sealed, &home, done = std::move(done)]() mutable {
                if (auto self = weak.lock()) {
                    record.at = self->control.executor->clock().wall();
                    self->own.append_to_topic(topic, std::string(topic_setting::promotion),
                                              promotion_entry(record),
                                              back_to(home, std::move(done)));
                }
            });
        };
        return up;
    }

    static OwnCluster::Done back_to(runtime::Executor& home, UniqueFunction<void(bool)> done) {
        return [&home, done = std::move(done)](const Result<void>& outcome) mutable {
            home.post(
                [done = std::move(done), kept = outcome.has_value()]() mutable { done(kept); });
        };
    }

    void remember_loss(const std::string& topic, const Report& report, PartitionIndex partition,
                       runtime::Executor& home, UniqueFunction<void(bool)> done) {
        const auto local = local_topic(*image.current(), topic);
        const std::string entry = fmt::format(
            "{}:{}:{}:{}:{}", report.kind == Report::Kind::gap ? "gap" : "truncated", partition,
            report.from, report.to, control.executor->clock().wall().milliseconds);
        MR_LOG(log, warn, "mirror.records_lost", field("topic", topic),
               field("partition", partition), field("from", report.from), field("to", report.to),
               field("why", report.kind == Report::Kind::gap ? "gap" : "truncated"));
        const std::string name(topic_setting::losses);
        const std::string before =
            local && local->settings.contains(name) ? local->settings.at(name) : std::string();
        // Others add to it at this moment: it is never written as a whole.
        own.append_to_topic(topic, name, entry, back_to(home, std::move(done)));
        const std::string oldest = losses_to_drop(before, local ? local->partitions : 0);
        if (!oldest.empty()) {
            own.subtract_from_topic(topic, name, oldest, [](const Result<void>&) {
                // What stays goes with the next.
            });
        }
    }

    void halt(const std::string& topic, HaltReason reason) {
        const auto local = local_topic(*image.current(), topic);
        const auto link = local ? runners.find(local->link) : runners.end();
        if (link == runners.end() || local->note.stage != Stage::mirroring) {
            return;
        }
        const StageNote note{Stage::halted, std::string(to_string(reason)),
                             link->second->link().version};
        own.set_topic(topic, {{std::string(topic_setting::state), to_text(note)}},
                      [](const Result<void>&) {});
    }

    Runner* runner(const std::string& id) const {
        const auto found = runners.find(id);
        return found == runners.end() ? nullptr : found->second.get();
    }

    void on_publish(const metadata::Delta& delta, const metadata::ImagePtr& next) {
        const auto& changes = delta.changes();
        if (changes.configs.contains({metadata::ConfigResourceType::broker, ""}) ||
            (!own_client && !changes.brokers.empty())) {
            follow_links(*next);
        }
        if (runners.empty() ||
            (changes.partitions.empty() && changes.configs.empty() && changes.brokers.empty() &&
             changes.topics_deleted.empty()) ||
            update_posted) {
            return;
        }
        update_posted = true;
        control.executor->post([weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->update_posted = false;
                for (const auto& [id, runner] : self->runners) {
                    runner->on_metadata();
                }
            }
        });
    }

    /// False while no broker of this cluster has registered: a link may be stored before that.
    bool connect_to_own() {
        if (own_client) {
            return true;
        }
        client::ClusterOptions own_options;
        own_options.bootstrap = own_brokers();
        if (own_options.bootstrap.empty()) {
            return false;
        }
        own_options.client_id = "millrace-links";
        own_options.wrap = options.own_wrap;
        own_client = std::make_unique<client::Cluster>(std::move(own_options), control, log);
        shell.own_client = own_client.get();
        return true;
    }

    void follow_links(const metadata::Image& next) {
        std::map<std::string, Link> wanted;
        for (auto& [name, link] : links_of(next, log)) {
            std::string id = link.id;
            wanted.emplace(std::move(id), std::move(link));
        }
        for (auto at = runners.begin(); at != runners.end();) {
            if (wanted.contains(at->first)) {
                ++at;
                continue;
            }
            for (std::size_t i = 0; i < pullers.size(); ++i) {
                replicas.executor(i).post(
                    [puller = pullers[i], id = at->first] { puller->drop_link(id); });
            }
            at->second->leave(next);
            at = runners.erase(at);
        }
        if (!wanted.empty() && !connect_to_own()) {
            return;  // the first broker that comes brings us here again
        }
        if (wanted.empty()) {
            const std::lock_guard lock(figures_mutex);
            figures.clear();
        }
        for (auto& [id, link] : wanted) {
            auto& runner = runners[id];
            if (!runner) {
                runner = std::make_shared<Runner>(shell, std::move(link));
                // Not inside the publication: others shall hear of this image first.
                control.executor->post([weak = std::weak_ptr(runner)] {
                    if (auto alive = weak.lock()) {
                        alive->start();
                    }
                });
            } else if (runner->link() != link) {
                runner->change(std::move(link));
            }
        }
        arm_figures();
    }

    // --- Doors ---

    /// As it is to be stored: what is stored already, if that is the same or nothing new was given.
    Secret sealed(const Secret& given, const Secret& stored) {
        const SealingKeys keys = options.sealing();
        const auto known = unseal(stored, keys);
        const bool same = given.empty() || (known && *known == given);
        if (same && (!known || is_sealed_as_now(stored, keys))) {
            return stored;
        }
        // What lies under an earlier key is moved to the one of now by whatever applies the link.
        return seal(given.empty() ? *known : given, keys, *control.random);
    }

    /// What can be judged only with the secrets that were kept.
    Result<void> check_secrets(const LinkSpec& spec) const {
        if (!spec.tls) {
            return {};
        }
        if (spec.tls_certificate.empty() != spec.tls_key.empty()) {
            return Error(Code::invalid, "a certificate and its private key belong together");
        }
        MR_TRY(const LinkSpec open, unsealed(spec, options.sealing()));
        if (const auto wrap = options.secure(open); !wrap) {
            return wrap.error();
        }
        return {};
    }

    bool mirrors_carry_other_names(const Link& link, const LinkSpec& spec) const {
        const std::string any = "any";
        return link.spec.mirror_name(any) != spec.mirror_name(any) &&
               !topics_of_link(*image.current(), link.id).empty();
    }

    void apply(LinkSpec spec, std::int64_t expected, bool dry_run, Reply<Applied> reply) {
        if (const auto sound = check(spec); !sound) {
            reply(sound.error());
            return;
        }
        const auto links = links_of(*image.current(), log);
        const auto found = links.find(spec.name);
        Link link;
        if (found != links.end()) {
            link = found->second;
        } else {
            link.id = Uuid::random(*control.random).to_string();
        }
        if (found != links.end() && mirrors_carry_other_names(link, spec)) {
            reply(Error(Code::invalid,
                        "naming and alias can't change, as mirrored topics carry them: "
                        "make another link"));
            return;
        }
        if (expected != 0 && expected != link.version) {
            reply(Error::make(Code::fenced, "the link's version is {}, not {}", link.version,
                              expected));
            return;
        }
        // Secrets are write only: who reads a link, changes it and applies it keeps them.
        spec.sasl_password = spec.sasl_mechanism.empty()
                                 ? Secret()
                                 : sealed(spec.sasl_password, link.spec.sasl_password);
        const bool same_certificate = spec.tls_certificate == link.spec.tls_certificate;
        spec.tls_key = spec.tls
                           ? sealed(spec.tls_key, same_certificate ? link.spec.tls_key : Secret())
                           : Secret();
        if (const auto fit = check_secrets(spec); !fit) {
            reply(fit.error());
            return;
        }
        const bool changed = found == links.end() || !(link.spec == spec);
        if (!changed || dry_run) {
            reply(Applied{link.id, link.version, changed});
            return;
        }
        const std::string name = spec.name;
        link.spec = std::move(spec);
        ++link.version;
        own.set_link(name, encode(link),
                     [applied = Applied{link.id, link.version, true},
                      reply = std::move(reply)](const Result<void>& outcome) mutable {
                         if (!outcome) {
                             reply(outcome.error());
                         } else {
                             reply(std::move(applied));
                         }
                     });
    }

    void remove(const std::string& name, bool promote, bool dry_run, Reply<bool> reply) {
        const auto links = links_of(*image.current(), log);
        const auto found = links.find(name);
        if (found == links.end()) {
            reply(Error::make(Code::not_found, "there is no link {}", name));
            return;
        }
        if (dry_run) {
            reply(true);
            return;
        }
        if (promote) {
            // Who pulls must also seal: the link goes only once all of it is promoted.
            for (const LocalTopic& local : topics_of_link(*image.current(), found->second.id)) {
                if (is_archive(local)) {
                    continue;
                }
                if (local.note.stage != Stage::promoted ||
                    static_cast<std::int32_t>(local.sealed.size()) < local.partitions) {
                    reply(Error::make(Code::fenced,
                                      "{} is not promoted yet: apply the link with state promoted "
                                      "first, then delete it",
                                      local.name));
                    return;
                }
            }
        }
        own.set_link(name, std::nullopt,
                     [reply = std::move(reply)](const Result<void>& outcome) mutable {
                         if (!outcome) {
                             reply(outcome.error());
                         } else {
                             reply(true);
                         }
                     });
    }

    /// What the shards know of one link.
    struct Pulled {
        std::vector<PartitionView> partitions;
        PullCounters counters;
        std::size_t connections = 0;

        void add(Pulled other) {
            partitions.insert(partitions.end(), other.partitions.begin(), other.partitions.end());
            counters.bytes += other.counters.bytes;
            counters.batches += other.counters.batches;
            counters.gap_records += other.counters.gap_records;
            counters.truncated_records += other.counters.truncated_records;
            counters.epoch_raises += other.counters.epoch_raises;
            counters.throttled_ms += other.counters.throttled_ms;
            connections += other.connections;
        }
    };
    using ByLink = std::map<std::string, Pulled>;

    void gather(UniqueFunction<void(ByLink)> done) {
        struct Gathered {
            ByLink by_link;
            std::size_t left;
            UniqueFunction<void(ByLink)> done;
        };
        auto all = std::make_shared<Gathered>(Gathered{{}, pullers.size(), std::move(done)});
        std::vector<std::string> ids;
        for (const auto& [id, runner] : runners) {
            ids.push_back(id);
        }
        for (std::size_t i = 0; i < pullers.size(); ++i) {
            replicas.executor(i).post([puller = pullers[i], ids, all, loop = control.executor] {
                ByLink found;
                for (const std::string& id : ids) {
                    found[id] = {puller->partitions(id), puller->counters(id),
                                 puller->connections(id)};
                }
                loop->post([all, found = std::move(found)]() mutable {
                    for (auto& [id, pulled] : found) {
                        all->by_link[id].add(std::move(pulled));
                    }
                    if (--all->left == 0) {
                        all->done(std::move(all->by_link));
                    }
                });
            });
        }
    }

    void arm_figures() {
        if (figures_armed || runners.empty()) {
            return;
        }
        figures_armed = true;
        control.executor->after(figures_interval, [weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->gather([self](const ByLink& pulled) { self->take_figures(pulled); });
            }
        });
    }

    void take_figures(const ByLink& pulled) {
        figures_armed = false;
        std::vector<LinkFigures> now;
        for (const auto& [id, runner] : runners) {
            const auto found = pulled.find(id);
            const Pulled mine = found == pulled.end() ? Pulled{} : found->second;
            LinkFigures one;
            one.view =
                whole_view(runner->view(), runner->link().spec, *image.current(), mine.partitions);
            one.pulled = mine.counters;
            one.connections = mine.connections;
            one.group_offsets_written = runner->groups_total().written;
            one.group_offsets_skipped = runner->groups_total().skipped;
            one.settings_reverted = runner->settings_reverted();
            now.push_back(std::move(one));
        }
        {
            const std::lock_guard lock(figures_mutex);
            figures = std::move(now);
        }
        arm_figures();
    }

    void views(UniqueFunction<void(std::vector<LinkView>)> done) {
        gather([self = shared_from_this(), done = std::move(done)](const ByLink& pulled) mutable {
            std::vector<LinkView> all;
            for (const auto& [id, runner] : self->runners) {
                const auto found = pulled.find(id);
                all.push_back(whole_view(runner->view(), runner->link().spec,
                                         *self->image.current(),
                                         found == pulled.end() ? std::vector<PartitionView>{}
                                                               : found->second.partitions));
            }
            done(std::move(all));
        });
    }

    void partitions(const std::string& name, Reply<std::vector<PartitionView>> reply) {
        const auto found = std::find_if(runners.begin(), runners.end(), [&](const auto& entry) {
            return entry.second->link().spec.name == name;
        });
        if (found == runners.end()) {
            reply(Error::make(Code::not_found, "there is no link {}", name));
            return;
        }
        gather([id = found->first, reply = std::move(reply)](ByLink all) mutable {
            std::vector<PartitionView> views = std::move(all[id].partitions);
            std::sort(views.begin(), views.end(),
                      [](const auto& a, const auto& b) { return a.partition < b.partition; });
            reply(std::move(views));
        });
    }

    LinksOptions options;
    runtime::Node& node;
    runtime::Shard control;
    Logger log;
    const replication::Replicas& replicas;
    const metadata::ImageHandle& image;
    OwnCluster own;
    std::function<std::vector<runtime::Address>()> own_brokers;
    std::unique_ptr<client::Cluster> own_client;
    Runner::Shell shell;
    std::vector<std::shared_ptr<Puller>> pullers;
    std::map<std::string, std::shared_ptr<Runner>> runners;  ///< By the link's id.
    bool update_posted = false;
    bool figures_armed = false;
    std::mutex figures_mutex;
    std::vector<LinkFigures> figures;
};

Links::Links(LinksOptions options, runtime::Node& node, const replication::Replicas& replicas,
             const metadata::ImageHandle& image, Controller& controller,
             std::function<std::vector<runtime::Address>()> own_brokers)
    : inside_(std::make_shared<Inside>(std::move(options), node, replicas, image, controller,
                                       std::move(own_brokers))) {
    inside_->start();
}

Links::~Links() = default;

void Links::on_publish(const metadata::Delta& delta, const metadata::ImagePtr& image) {
    inside_->on_publish(delta, image);
}

void Links::apply(LinkSpec spec, std::int64_t expected_version, bool dry_run,
                  Reply<Applied> reply) {
    inside_->control.executor->post([inside = inside_, spec = std::move(spec), expected_version,
                                     dry_run, reply = std::move(reply)]() mutable {
        inside->apply(std::move(spec), expected_version, dry_run, std::move(reply));
    });
}

void Links::remove(const std::string& name, bool promote_topics, bool dry_run, Reply<bool> reply) {
    inside_->control.executor->post(
        [inside = inside_, name, promote_topics, dry_run, reply = std::move(reply)]() mutable {
            inside->remove(name, promote_topics, dry_run, std::move(reply));
        });
}

std::vector<LinkFigures> Links::figures() const {
    const std::lock_guard lock(inside_->figures_mutex);
    return inside_->figures;
}

std::vector<Link> Links::list() const {
    std::vector<Link> all;
    for (auto& [name, link] : links_of(*inside_->image.current(), inside_->log)) {
        all.push_back(std::move(link));
    }
    return all;
}

void Links::views(UniqueFunction<void(std::vector<LinkView>)> done) {
    inside_->control.executor->post(
        [inside = inside_, done = std::move(done)]() mutable { inside->views(std::move(done)); });
}

void Links::partitions(const std::string& link, Reply<std::vector<PartitionView>> reply) {
    inside_->control.executor->post([inside = inside_, link, reply = std::move(reply)]() mutable {
        inside->partitions(link, std::move(reply));
    });
}

}  // namespace millrace::mirror
