// A broker's log directories: what is said of them, and what is read back after an unclean stop.
#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "app/internal/broker_inside.h"
#include "app/internal/settings.h"
#include "metadata/standing.h"
#include "replication/housekeeping.h"
#include "runtime/shortage.h"

namespace millrace::app {

namespace option = config::broker_option;
namespace {

const std::string option_name_of_cordoned = "cordoned.log.dirs";

}  // namespace

std::vector<Uuid> Broker::Inside::cordoned_directories() const {
    const config::BrokerValues& values = config->broker();
    std::vector<std::string> paths = values.get(option::cordoned_log_dirs);
    const bool all = values.get(option::millrace_cordoned) ||
                     std::find(paths.begin(), paths.end(), "*") != paths.end();
    std::transform(paths.begin(), paths.end(), paths.begin(), absolute_path);
    std::vector<Uuid> ids;
    for (const auto& directory : store->directories()) {
        if (all || std::find(paths.begin(), paths.end(), directory->path()) != paths.end()) {
            ids.push_back(directory->id());
        }
    }
    return ids;
}

void Broker::Inside::mark_cordoned() {
    const std::vector<Uuid> cordoned = cordoned_directories();
    for (const auto& directory : store->directories()) {
        directory->cordon(std::find(cordoned.begin(), cordoned.end(), directory->id()) !=
                          cordoned.end());
    }
}

Result<void> Broker::Inside::check_cordoned(const std::string& value) const {
    const config::Option& setting =
        *config::find_option(config::Scope::broker, option_name_of_cordoned);
    const auto parsed = config::parse_value(setting, value);
    const auto* known = std::get_if<config::Value>(&parsed);
    const auto* paths = known ? std::get_if<std::vector<std::string>>(known) : nullptr;
    for (const std::string& path : paths ? *paths : std::vector<std::string>{}) {
        const auto is_it = [full = absolute_path(path)](const std::string& own) {
            return own == full;
        };
        const bool is_own = path == "*" ||
                            std::any_of(store->directories().begin(), store->directories().end(),
                                        [&](const auto& own) { return is_it(own->path()); }) ||
                            std::any_of(store->offline().begin(), store->offline().end(),
                                        [&](const auto& own) { return is_it(own.path); });
        if (!is_own) {
            return Error::make(Code::invalid, "{}: {} is none of the log.dirs of broker {}",
                               setting.name, path, self);
        }
    }
    return {};
}

/// Others have been told where this broker listens, and are told anew when it starts.
Result<void> Broker::Inside::check_listeners(const handlers::Doors::SettingChanges& changes) const {
    config::Entries entries = config->this_broker();
    for (const auto& [name, value] : changes) {
        if (value) {
            entries[name] = *value;
        } else {
            entries.erase(name);
        }
    }
    const config::BrokerConfig after{options.given, config->cluster_default(), std::move(entries)};
    const auto addresses_of = [](const config::BrokerValues& values) {
        std::vector<config::ListenerFault> faults;
        std::vector<std::tuple<std::string, std::string, int, std::string, int>> all;
        for (const config::ListenerSpec& one : config::read_listeners(values, faults)) {
            all.emplace_back(one.name, one.host, one.port, one.advertised_host,
                             one.advertised_port);
        }
        return all;
    };
    if (addresses_of(after.broker()) != addresses_of(config->broker())) {
        return Error::make(Code::invalid,
                           "listeners: a broker listens where it was started to; set it where "
                           "broker {} is started, and start it anew",
                           self);
    }
    return {};
}

void Broker::Inside::judge_settings(handlers::Doors::SettingChanges changes,
                                    UniqueFunction<void(Result<void>)> done) {
    node.control_shard().executor->post(
        [this, changes = std::move(changes), done = std::move(done)]() mutable {
            const auto cordoned = changes.find(option_name_of_cordoned);
            if (cordoned != changes.end() && cordoned->second) {
                if (Result<void> known = check_cordoned(*cordoned->second); !known) {
                    done(std::move(known));
                    return;
                }
            }
            if (Result<void> same = check_listeners(changes); !same) {
                done(std::move(same));
                return;
            }
            tls->judge(std::move(changes), std::move(done));
        });
}

/// A cordon holds once the controller knows it, and it learns it by a heartbeat: who was told that
/// a directory takes no new replica must not see one put there.
void Broker::Inside::when_settings_work(handlers::Doors::SettingChanges changes,
                                        UniqueFunction<void()> done) {
    const auto cordoned = changes.find(option_name_of_cordoned);
    if (cordoned == changes.end()) {
        done();
        return;
    }
    node.control_shard().executor->post(
        [this, wanted = cordoned->second, done = std::move(done)]() mutable {
            sights->when(
                [this, wanted](const metadata::Image& now) {
                    const std::string* said =
                        now.configs.find(metadata::broker_settings(self), option_name_of_cordoned);
                    const metadata::Broker* us = now.cluster.broker(self);
                    if ((said != nullptr) != wanted.has_value() || (said && *said != *wanted)) {
                        return false;
                    }
                    std::vector<Uuid> meant = cordoned_directories();
                    std::sort(meant.begin(), meant.end());
                    return us == nullptr || us->fenced ||
                           us->cordoned_directories.value_or(std::vector<Uuid>{}) == meant;
                },
                [done = std::move(done)](const metadata::ImagePtr&) mutable { done(); });
        });
}

std::vector<handlers::LogDirectoryView> Broker::Inside::log_directory_views() const {
    std::vector<handlers::LogDirectoryView> views;
    const metadata::ImagePtr now = image.current();
    const metadata::Broker* us = now->cluster.broker(self);
    for (const auto& directory : store->directories()) {
        handlers::LogDirectoryView view;
        view.path = directory->path();
        if (directory->failed()) {
            view.error = KafkaError::kafka_storage_error;
        } else if (const auto usage = node.disk().usage(directory->path()); usage) {
            view.total_bytes = static_cast<std::int64_t>(usage->total_bytes);
            view.usable_bytes = static_cast<std::int64_t>(usage->free_bytes);
        }
        if (us != nullptr && us->cordoned_directories) {
            const auto& cordoned = *us->cordoned_directories;
            view.is_cordoned =
                std::find(cordoned.begin(), cordoned.end(), directory->id()) != cordoned.end();
        }
        views.push_back(std::move(view));
    }
    for (const storage::OfflineDirectory& offline : store->offline()) {
        views.push_back({.path = offline.path, .error = KafkaError::kafka_storage_error});
    }
    return views;
}

std::vector<Uuid> Broker::Inside::failed_directories() {
    std::vector<Uuid> failed;
    for (const auto& directory : store->directories()) {
        if (directory->failed()) {
            failed.push_back(directory->id());
        }
    }
    if (failed.size() == store->directories().size()) {
        halt(Error(Code::io, "every log directory has failed"));
    }
    return failed;
}

void Broker::Inside::recover_logs(UniqueFunction<void(std::vector<Uuid>)> done) {
    struct Recovery {
        std::size_t left = 1;
        std::set<Uuid> damaged;
        UniqueFunction<void(std::vector<Uuid>)> done;
    };
    auto recovery = std::make_shared<Recovery>();
    recovery->done = std::move(done);
    const auto arrive = [this, recovery] {
        if (--recovery->left > 0) {
            return;
        }
        std::vector<Uuid> sound;
        for (const auto& directory : store->directories()) {
            if (!recovery->damaged.contains(directory->id()) && !directory->failed()) {
                sound.push_back(directory->id());
            }
        }
        recovery->done(std::move(sound));
    };
    runtime::Executor& control = *node.control_shard().executor;
    if (!store->clean_start()) {
        // Whether a directory kept what it had synced is known once its logs were read; until then
        // the broker claims no place in any ISR.
        const auto book = topics.current();
        for (const storage::FoundLog& found : store->found()) {
            if (found.kind != storage::FoundLog::Kind::current || found.topic_id.is_zero()) {
                continue;
            }
            ++recovery->left;
            recover_log(found, book->rules(found.partition.topic)->replication.limits,
                        [recovery, arrive, directory = found.directory->id()](bool sound) {
                            if (!sound) {
                                recovery->damaged.insert(directory);
                            }
                            arrive();
                        });
        }
    }
    control.post(arrive);
}

void Broker::Inside::recover_log(const storage::FoundLog& found, const storage::LogLimits& limits,
                                 UniqueFunction<void(bool sound)> done) {
    struct Job {
        std::optional<Result<std::unique_ptr<storage::PartitionLog>>> log;
        storage::RecoveryReport report;
        UniqueFunction<void(bool)> done;
    };
    auto job = std::make_shared<Job>();
    job->done = std::move(done);
    const TopicIdPartition id{found.topic_id, found.partition.partition};
    node.disk_pool().run(
        0, *node.control_shard().executor,
        [this, job, &found, limits] { job->log.emplace(store->load(found, limits, &job->report)); },
        [this, job, id, &found, name = found.name] {
            if (!*job->log && runtime::is_shortage(job->log->error())) {
                MR_LOG(log, warn, "broker.log_waits_for_room", field("log", name),
                       field("reason", job->log->error().message()));
                replicas.on_shard(
                    replicas.shard_of(id),
                    [&found](replication::ShardReplicas& shard) { shard.preload(found, nullptr); });
                job->done(false);
                return;
            }
            if (!*job->log) {
                MR_LOG(log, error, "broker.log_not_recovered", field("log", name),
                       field("reason", job->log->error().message()));
                job->done(false);
                return;
            }
            if (!job->report.reason.empty()) {
                MR_LOG(log, warn, "broker.log_cut", field("log", name),
                       field("reason", job->report.reason),
                       field("bytes", job->report.truncated_bytes),
                       field("lost_synced", job->report.lost_synced_data));
            }
            replicas.on_shard(
                replicas.shard_of(id),
                [&found, ready = std::move(**job->log)](replication::ShardReplicas& shard) mutable {
                    shard.preload(found, std::move(ready));
                });
            job->done(!job->report.lost_synced_data);
        });
}

}  // namespace millrace::app
