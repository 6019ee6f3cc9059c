#include "app/internal/edge_metrics.h"

#include <algorithm>
#include <optional>

#include "app/internal/edge_asked.h"
#include "app/internal/machine.h"
#include "app/internal/mirror_metrics.h"
#include "app/internal/plan_intent.h"
#include "replication/housekeeping.h"

namespace millrace::app {
namespace {

namespace metric = metrics::metric;
constexpr std::string_view publisher = "edge";

template <typename Id>
void set(metrics::Registry& registry, Id id, double value) {
    registry.publish(id, publisher, {{{}, value}});
}

void publish_process(metrics::Registry& registry) {
    const ProcessUse use = process_use();
    set(registry, metric::process_resident_bytes, use.resident_bytes);
    set(registry, metric::process_cpu_seconds, use.cpu_seconds);
    set(registry, metric::process_open_files, use.open_files);
    set(registry, metric::process_threads, use.threads);
}

void publish_listeners(metrics::Registry& registry, const BrokerView& view) {
    std::vector<metrics::Sample> open, accepted, closed, refused, in, out;
    for (const auto& [name, counters] : view.listeners) {
        const auto read = [](const std::atomic<std::int64_t>& counter) {
            return static_cast<double>(counter.load(std::memory_order_relaxed));
        };
        open.push_back({{name}, read(counters->open_connections)});
        accepted.push_back({{name}, read(counters->accepted)});
        closed.push_back({{name, "broken_rule"}, read(counters->closed_for_cause)});
        refused.push_back({{name, "limit"}, read(counters->refused)});
        in.push_back({{name}, read(counters->bytes_in)});
        out.push_back({{name}, read(counters->bytes_out)});
    }
    registry.publish(metric::connections, publisher, std::move(open));
    registry.publish(metric::connections_accepted, publisher, std::move(accepted));
    registry.publish(metric::connections_closed, publisher, std::move(closed));
    registry.publish(metric::connections_refused, publisher, std::move(refused));
    registry.publish(metric::network_in_bytes, publisher, std::move(in));
    registry.publish(metric::network_out_bytes, publisher, std::move(out));
}

void publish_tls(metrics::Registry& registry, const TlsNode& tls) {
    std::vector<metrics::Sample> finished, failed, expiry;
    for (const auto& [listener, context] : tls.contexts()) {
        const auto read = [](const std::atomic<std::int64_t>& counter) {
            return static_cast<double>(counter.load(std::memory_order_relaxed));
        };
        finished.push_back({{listener}, read(context->counters().handshakes)});
        failed.push_back({{listener}, read(context->counters().failures)});
        if (context->has_certificate()) {
            const Timestamp end = context->facts().not_after;
            expiry.push_back({{listener}, static_cast<double>(end.milliseconds) / 1000});
        }
    }
    registry.publish(metric::tls_handshakes, publisher, std::move(finished));
    registry.publish(metric::tls_handshake_failures, publisher, std::move(failed));
    registry.publish(metric::tls_certificate_expiry, publisher, std::move(expiry));
}

/// What this broker leads and holds, from the image.
void publish_replicas(metrics::Registry& registry, const BrokerView& view) {
    const metadata::ImagePtr image = view.doors->image->current();
    const auto book = view.doors->topics->current();
    const BrokerId self = view.doors->self;
    double replicas = 0, leaders = 0, under_replicated = 0, under_min = 0, at_min = 0, moving = 0;
    for (const auto& topic : image->topics.by_id()) {
        const int min_isr = book->rules(topic.value->name)->replication.min_isr;
        for (const auto& entry : topic.value->partitions) {
            const metadata::Partition& partition = *entry.value;
            for (const BrokerId id : partition.replicas) {
                replicas += id == self ? 1 : 0;
            }
            if (partition.leader != self) {
                continue;
            }
            const std::size_t in_sync = partition.isr.size();
            ++leaders;
            under_replicated +=
                in_sync + partition.adding.size() < partition.replicas.size() ? 1 : 0;
            const std::size_t needed =
                std::min(static_cast<std::size_t>(min_isr), partition.replicas.size());
            under_min += in_sync < needed ? 1 : 0;
            at_min += in_sync == needed ? 1 : 0;
            moving += partition.is_reassigning() ? 1 : 0;
        }
    }
    set(registry, metric::partitions, replicas);
    set(registry, metric::leaders, leaders);
    set(registry, metric::under_replicated_partitions, under_replicated);
    set(registry, metric::under_min_isr_partitions, under_min);
    set(registry, metric::at_min_isr_partitions, at_min);
    set(registry, metric::reassigning_partitions, moving);
}

/// Of the whole cluster, where it is decided: elsewhere it would be counted once for each broker.
void publish_cluster(metrics::Registry& registry, const BrokerView& view,
                     const BrokerDoors& doors) {
    const metadata::ImagePtr image = view.doors->image->current();
    const bool is_controller = view.doors->controller->active() == view.doors->self;
    set(registry, metric::active_controller, is_controller ? 1 : 0);
    set(registry, metric::quorum_leader_id, view.doors->controller->active().value);
    set(registry, metric::quorum_epoch, image->provenance.epoch.value);
    set(registry, metric::metadata_applied_offset,
        static_cast<double>(image->provenance.end.value));
    std::vector<metrics::Sample> none;
    if (!is_controller) {
        registry.publish(metric::offline_partitions, publisher, none);
        registry.publish(metric::non_preferred_leaders, publisher, none);
        registry.publish(metric::cluster_topics, publisher, none);
        registry.publish(metric::cluster_partitions, publisher, none);
        registry.publish(metric::cluster_brokers, publisher, none);
        return;
    }
    double non_preferred = 0;
    for (const auto& topic : image->topics.by_id()) {
        for (const auto& entry : topic.value->partitions) {
            non_preferred += (*entry.value).has_preferred_leader() ? 0 : 1;
        }
    }
    set(registry, metric::non_preferred_leaders, non_preferred);
    const admin::Health now = doors.health();
    set(registry, metric::offline_partitions, now.partitions.offline);
    set(registry, metric::cluster_topics, static_cast<double>(image->topics.size()));
    set(registry, metric::cluster_partitions, now.partitions.total);
    double active = 0, fenced = 0, draining = 0, cordoned = 0;
    for (const admin::BrokerHealth& broker : now.brokers) {
        active += broker.state == admin::BrokerState::running ? 1 : 0;
        fenced += broker.state == admin::BrokerState::fenced ? 1 : 0;
        draining += broker.state == admin::BrokerState::draining ? 1 : 0;
        cordoned += broker.cordoned ? 1 : 0;
    }
    registry.publish(metric::cluster_brokers, publisher,
                     {{{"active"}, active},
                      {{"fenced"}, fenced},
                      {{"draining"}, draining},
                      {{"cordoned"}, cordoned}});
}

/// What shards count by themselves, and read without asking their loops.
void publish_shard_counts(metrics::Registry& registry, const BrokerView& view) {
    double in = 0, moved_in = 0, moved_out = 0;
    double corrupt = 0, refused = 0, syncs = 0, sync_seconds = 0, waiting = 0;
    double journal_writes = 0, journal_entries = 0, journal_bytes = 0;
    const auto read = [](const auto& counter) {
        return static_cast<double>(counter.load(std::memory_order_relaxed));
    };
    for (const replication::ShardCounts* counts : view.doors->replicas->counts()) {
        in += read(counts->replicated_in_bytes);
        moved_in += read(counts->moved_in_bytes);
        moved_out += read(counts->moved_out_bytes);
        corrupt += read(counts->corrupt_reads);
        refused += read(counts->isr_refused);
        syncs += read(counts->syncs);
        sync_seconds += read(counts->sync_nanoseconds) / 1e9;
        journal_writes += read(counts->journal_writes);
        journal_entries += read(counts->journal_entries);
        journal_bytes += read(counts->journal_bytes);
        waiting += read(counts->waiting_fetches);
    }
    set(registry, metric::replication_in_bytes, in);
    set(registry, metric::reassignment_in_bytes, moved_in);
    set(registry, metric::reassignment_out_bytes, moved_out);
    set(registry, metric::corrupt_batches, corrupt);
    set(registry, metric::failed_isr_updates, refused);
    set(registry, metric::syncs, syncs);
    set(registry, metric::sync_seconds, sync_seconds);
    set(registry, metric::journal_writes, journal_writes);
    set(registry, metric::journal_entries, journal_entries);
    set(registry, metric::journal_bytes, journal_bytes);
    set(registry, metric::waiting_fetches, waiting);
}

void publish_throttle(metrics::Registry& registry, const BrokerView& view) {
    std::vector<metrics::Sample> rate;
    if (view.throttles->moves_out.is_limited()) {
        rate.push_back({{}, static_cast<double>(view.throttles->moves_out.rate())});
    }
    registry.publish(metric::rebalance_throttle_bytes_per_second, publisher, std::move(rate));
}

/// The plan that the metadata names, where it is carried out.
void publish_plan(metrics::Registry& registry, const BrokerView& view) {
    const metadata::ImagePtr image = view.doors->image->current();
    const std::optional<PlanIntent> intent = intent_in(*image);
    if (!intent || view.doors->controller->active() != view.doors->self) {
        registry.publish(metric::rebalance_moves, publisher, {});
        registry.publish(metric::rebalance_remaining_bytes, publisher, {});
        registry.publish(metric::rebalance_bytes_per_second, publisher, {});
        return;
    }
    const admin::PlanProgress now =
        progress_of(*intent, note_in(*image, *intent).value_or(PlanNote{}));
    const int begun = now.moves_done + now.moves_in_flight + now.moves_failed + now.moves_dropped;
    const int waiting = intent->is_over() ? 0 : std::max(0, now.moves_total - begun);
    registry.publish(metric::rebalance_moves, publisher,
                     {{{"waiting"}, static_cast<double>(waiting)},
                      {{"in_flight"}, static_cast<double>(now.moves_in_flight)},
                      {{"done"}, static_cast<double>(now.moves_done)},
                      {{"failed"}, static_cast<double>(now.moves_failed)},
                      {{"dropped"}, static_cast<double>(now.moves_dropped)}});
    const std::int64_t left = intent->is_over() ? 0 : now.bytes_total - now.bytes_done;
    set(registry, metric::rebalance_remaining_bytes,
        static_cast<double>(std::max<std::int64_t>(0, left)));
    set(registry, metric::rebalance_bytes_per_second, static_cast<double>(now.bytes_per_second));
}

void publish_cleaner(metrics::Registry& registry, const replication::Cleaner& cleaner) {
    const replication::CleanerCounts counts = cleaner.counts();
    set(registry, metric::cleaned_bytes, static_cast<double>(counts.bytes_read));
    set(registry, metric::cleaned_kept_bytes, static_cast<double>(counts.bytes_written));
}

void publish_directories(metrics::Registry& registry, const BrokerView& view) {
    if (!view.doors->log_directories) {
        return;
    }
    std::vector<metrics::Sample> total, free;
    double offline = 0;
    for (const handlers::LogDirectoryView& directory : view.doors->log_directories()) {
        if (directory.error != KafkaError::none) {
            ++offline;
            continue;
        }
        total.push_back({{directory.path}, static_cast<double>(directory.total_bytes)});
        free.push_back({{directory.path}, static_cast<double>(directory.usable_bytes)});
    }
    set(registry, metric::directories_offline, offline);
    registry.publish(metric::directory_total_bytes, publisher, std::move(total));
    registry.publish(metric::directory_free_bytes, publisher, std::move(free));
}

}  // namespace

void publish_budget(metrics::Registry& registry, const config::Budget& budget) {
    std::vector<metrics::Sample> figures, pools;
    for (const config::BudgetLine& line : config::lines_of(budget)) {
        (line.is_memory_pool ? pools : figures)
            .push_back({{std::string(line.name)}, static_cast<double>(line.value)});
    }
    registry.publish(metric::budget, publisher, std::move(figures));
    registry.publish(metric::pool_limit_bytes, publisher, std::move(pools));
    set(registry, metric::process_max_files, static_cast<double>(budget.open_files));
}

void publish_on_demand(metrics::Registry& registry, BrokerView view,
                       std::shared_ptr<BrokerDoors> doors, std::string version) {
    registry.publish(metric::build_info, publisher, {{{std::move(version), "4.4.0"}, 1}});
    registry.before_collect([view = std::move(view), doors = std::move(doors),
                             clocks = LagClocks{}](metrics::Registry& to) mutable {
        publish_process(to);
        publish_listeners(to, view);
        publish_tls(to, *view.tls);
        publish_replicas(to, view);
        publish_cluster(to, view, *doors);
        publish_directories(to, view);
        publish_shard_counts(to, view);
        publish_throttle(to, view);
        publish_plan(to, view);
        if (view.cleaner != nullptr) {
            publish_cleaner(to, *view.cleaner);
        }
        publish_asked(to, view, *doors, clocks);
        if (view.mirrors != nullptr) {
            publish_mirrors(to, *view.mirrors);
        }
        set(to, metric::ready, view.is_ready() ? 1 : 0);
        to.publish(metric::pool_used_bytes, publisher,
                   {{{"requests"}, static_cast<double>(view.ledger->used())}});
    });
}

}  // namespace millrace::app
