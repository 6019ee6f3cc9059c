#include "tests/sim/systems/mirror_watch.h"

#include <algorithm>
#include <charconv>

#include "record/batch_view.h"
#include "record/control.h"
#include "record/record_view.h"
#include "storage/partition_log.h"

namespace millrace::simtest {
namespace {

using mirror::LocalTopic;
using mirror::Stage;

std::string place_text(ClusterIndex cluster, const std::string& topic, std::int32_t partition) {
    return fmt::format("c{} {}-{}", cluster, topic, partition);
}

/// Ranges of one kind that the topic's losses name, for one partition, put together.
std::map<Offset, Offset> reported(const LocalTopic& topic, std::int32_t partition,
                                  std::string_view kind) {
    std::map<Offset, Offset> ranges;
    const auto entries = topic.settings.find(mirror::topic_setting::losses);
    std::string_view text =
        entries == topic.settings.end() ? std::string_view{} : std::string_view(entries->second);
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        const std::string_view entry = text.substr(0, comma);
        const std::size_t colon = std::min(entry.find(':'), entry.size());
        std::int64_t numbers[3] = {-1, -1, -1};
        const char* at = entry.data() + std::min(colon + 1, entry.size());
        const char* const stop = entry.data() + entry.size();
        for (std::int64_t& number : numbers) {
            at = std::from_chars(at, stop, number).ptr;
            at += at < stop ? 1 : 0;
        }
        if (entry.substr(0, colon) == kind && numbers[0] == partition) {
            // A jump that a crash came between was reported before, too.
            Offset& to = ranges.try_emplace(Offset{numbers[1]}, Offset{numbers[2]}).first->second;
            to = std::max(to, Offset{numbers[2]});
        }
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return ranges;
}

/// Transactions of a log, as a reader who begins at its start finds them.
struct Replay {
    std::map<ProducerId, Offset> open;
    std::vector<std::pair<record::BatchView, bool>> data;  ///< And whether it was committed.
};

Replay replay(ByteView bytes) {
    Replay found;
    std::map<ProducerId, std::vector<std::size_t>> undecided;
    record::BatchRange range(bytes);
    while (const auto batch = range.next()) {
        if (!batch->is_transactional()) {
            continue;
        }
        if (!batch->is_control()) {
            found.open.try_emplace(batch->producer_id(), batch->base_offset());
            undecided[batch->producer_id()].push_back(found.data.size());
            found.data.emplace_back(*batch, false);
            continue;
        }
        record::RecordReader reader(*batch);
        record::RecordView record;
        const bool whole = reader.next(record);
        const auto marker = whole ? record::parse_end_transaction(record)
                                  : Result<record::EndTransactionMarker>(Error(Code::corrupt, ""));
        for (const std::size_t index : undecided[batch->producer_id()]) {
            found.data[index].second = marker && marker->type == record::ControlType::commit;
        }
        undecided.erase(batch->producer_id());
        found.open.erase(batch->producer_id());
    }
    return found;
}

}  // namespace

std::string value_text(const Value& value, std::size_t filler) {
    return fmt::format("{}{}:{}", value.in_transaction ? 'T' : 'P', value.operation,
                       std::string(filler, 'x'));
}

std::optional<Value> value_of(ByteView bytes) {
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    Value value;
    if (bytes.size() < 3 || (text[0] != 'T' && text[0] != 'P')) {
        return std::nullopt;
    }
    value.in_transaction = text[0] == 'T';
    const auto [end, error] = std::from_chars(text + 1, text + bytes.size(), value.operation);
    return error == std::errc{} && end < text + bytes.size() && *end == ':' ? std::optional(value)
                                                                            : std::nullopt;
}

MirrorWatch::Broken MirrorWatch::check() {
    const runtime::sim::SimNode* acted = simulation_.last_node();
    if (acted == nullptr || acted->index() >= world_.topology.clusters) {
        return std::nullopt;
    }
    const ClusterIndex cluster = acted->index();
    metadata::ImagePtr image = world_.image(cluster);
    if (image == nullptr) {
        return std::nullopt;
    }
    Seen& seen = seen_[cluster];
    if (image.get() != seen.image) {
        seen.image = image.get();
        seen.keep = std::move(image);
        if (auto broken = check_names(cluster, seen)) {
            return broken;
        }
    }
    for (const auto& [place, id] : seen.partitions) {
        if (auto broken = check_partition(place, id)) {
            return broken;
        }
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::check_names(ClusterIndex cluster, Seen& seen) {
    seen.partitions.clear();
    for (const LocalTopic& local : world_.mirrors(cluster)) {
        const std::string name = without_archive(local.name);
        if (!promotions_ && (!names_[cluster].contains(name) || name == origin_topic(cluster))) {
            return fmt::format("I12: c{} holds {}, of {}", cluster, local.name, local.chain);
        }
        if (local.chain.find(cluster_id(cluster)) != std::string::npos) {
            return fmt::format("I12: {} of c{} came through {}", local.name, cluster, local.chain);
        }
        if (local.note.stage == Stage::promoted) {
            continue;
        }
        for (std::int32_t i = 0; i < local.partitions; ++i) {
            seen.partitions.push_back({{cluster, local.name, i}, {local.id, PartitionIndex{i}}});
        }
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::check_partition(const Place& place, const TopicIdPartition& id) {
    const auto& [cluster, topic, partition] = place;
    const replication::Replicas& replicas = *world_.view(cluster)->doors->replicas;
    const storage::PartitionLog* log = replicas.here(replicas.shard_of(id)).mirrored_log(id);
    if (log == nullptr) {
        return std::nullopt;
    }
    Tracked& tracked = tracked_[place];
    if (tracked.id != id.topic_id) {
        tracked = {id.topic_id, no_offset, no_offset, {}};
    }
    const Offset had = std::max(tracked.end, tracked.committed);
    if (tracked.committed > Offset{0} && log->start() > had) {
        tracked.jumps[had] = log->start();
    }
    if (tracked.end == log->end() && tracked.committed >= log->end()) {
        return std::nullopt;
    }
    tracked.end = log->end();
    const auto facts = world_.replica(cluster, topic, partition);
    if (facts && log->start() < log->end()) {  // who never held a record loses none
        tracked.committed = std::max(tracked.committed, facts->high_watermark);
    }
    if (facts && facts->last_epoch > facts->leader_epoch) {
        return fmt::format("I5: {} is led in {} and holds a batch of {}",
                           place_text(cluster, topic, partition), facts->leader_epoch,
                           facts->last_epoch);
    }
    return std::nullopt;
}

const DrawnLink* MirrorWatch::owner(ClusterIndex cluster, const LocalTopic& topic) const {
    for (const DrawnLink& drawn : world_.topology.links) {
        if (drawn.to == cluster) {
            const auto link = world_.link(drawn);
            if (link && link->id == topic.link) {
                return &drawn;
            }
        }
    }
    return nullptr;
}

MirrorWatch::Broken MirrorWatch::check_logs() {
    for (ClusterIndex i = 0; i < world_.topology.clusters; ++i) {
        for (const LocalTopic& local : world_.mirrors(i)) {
            for (std::int32_t partition = 0; partition < local.partitions; ++partition) {
                if (auto broken = check_log(i, local, partition)) {
                    return place_text(i, local.name, partition) + ": " + *broken;
                }
            }
        }
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::check_log(ClusterIndex cluster, const LocalTopic& topic,
                                           std::int32_t partition) {
    const auto ours = world_.read(cluster, topic.name, partition);
    if (!ours) {
        return std::nullopt;
    }
    for (auto broken :
         {check_batches(topic, partition, *ours), check_values(*ours), check_transactions(*ours)}) {
        if (broken) {
            return broken;
        }
    }
    const DrawnLink* drawn = owner(cluster, topic);
    const auto link = drawn != nullptr ? world_.link(*drawn) : std::nullopt;
    const auto source = link ? link->spec.source_name(topic.name) : std::nullopt;
    const auto theirs = source ? world_.read(drawn->from, *source, partition) : std::nullopt;
    if (!theirs || theirs->facts.id.topic_id != topic.source_topic) {
        return std::nullopt;  // down, gone, made anew, or an archive of what was
    }
    const auto sealed = topic.sealed.find(PartitionIndex{partition});
    if (sealed == topic.sealed.end() && topic.note.stage == Stage::promoted) {
        return std::nullopt;  // where it ends is about to be said
    }
    return compare(*theirs, *ours,
                   sealed == topic.sealed.end() ? ours->facts.high_watermark : sealed->second.end);
}

MirrorWatch::Broken MirrorWatch::check_batches(const LocalTopic& topic, std::int32_t partition,
                                               const MirrorWorld::Log& log) {
    const auto sealed = topic.sealed.find(PartitionIndex{partition});
    const bool is_sealed = sealed != topic.sealed.end();
    Offset next{0};
    LeaderEpoch epoch = no_leader_epoch;
    record::BatchRange range(log.bytes);
    while (const auto batch = range.next()) {
        if (batch->base_offset() < next) {
            return fmt::format("I2: {} after {}", batch->base_offset(), next);
        }
        if (batch->partition_leader_epoch() < epoch) {
            return fmt::format("I5: epoch {} after {}", batch->partition_leader_epoch(), epoch);
        }
        next = batch->next_offset();
        epoch = batch->partition_leader_epoch();
        if (is_sealed && batch->base_offset() >= sealed->second.end &&
            epoch < sealed->second.leader_epoch) {
            return fmt::format("I4: {} was written in {}, promoted in {}", batch->base_offset(),
                               epoch, sealed->second.leader_epoch);
        }
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::check_values(const MirrorWorld::Log& log) const {
    std::set<std::uint32_t> operations;
    std::set<int> incarnations;
    record::BatchRange range(log.bytes);
    while (const auto batch = range.next()) {
        record::RecordReader reader(*batch);
        record::RecordView record;
        while (!batch->is_control() && reader.next(record)) {
            const auto value = record.value ? value_of(*record.value) : std::nullopt;
            const auto known = value ? landed_.find(value->operation) : landed_.end();
            if (known != landed_.end()) {
                incarnations.insert(known->second);
            }
            // One send may be stored twice at most where its answer was lost: it is not repeated.
            if (value && !operations.insert(value->operation).second) {
                return fmt::format("I2: operation {} twice", value->operation);
            }
        }
    }
    if (incarnations.size() > 1) {
        return "I11: two incarnations in one log";
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::check_transactions(const MirrorWorld::Log& log) const {
    const Replay found = replay(log.bytes);
    Offset stable = log.facts.high_watermark;
    for (const auto& [producer, first] : found.open) {
        stable = std::min(stable, first);
    }
    if (log.facts.start == Offset{0} && stable != log.facts.last_stable) {
        return fmt::format("I7: last stable {}, a replay says {}", log.facts.last_stable, stable);
    }
    for (const auto& [batch, committed] : found.data) {
        const bool skipped = std::any_of(
            log.aborted.begin(), log.aborted.end(),
            [&, first = batch.base_offset(), producer = batch.producer_id()](const auto& one) {
                return one.producer == producer && one.first_offset <= first &&
                       first <= one.last_offset;
            });
        const bool shown = batch.base_offset() < log.facts.last_stable && !skipped;
        if (shown != (committed && batch.base_offset() < log.facts.last_stable) &&
            log.facts.start == Offset{0}) {
            return fmt::format("I6: {} is {} to read_committed", batch.base_offset(),
                               shown ? "shown" : "hidden");
        }
        record::RecordReader reader(batch);
        record::RecordView record;
        while (shown && reader.next(record)) {
            const auto value = record.value ? value_of(*record.value) : std::nullopt;
            if (value && !to_commit_.contains(value->operation)) {
                return fmt::format("I6: transaction {} was never committed", value->operation);
            }
        }
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::compare(const MirrorWorld::Log& theirs,
                                         const MirrorWorld::Log& ours, Offset end) const {
    std::map<Offset, ByteView> batches;
    record::BatchRange source(theirs.bytes);
    while (const auto batch = source.next()) {
        batches.emplace(batch->base_offset(), batch->bytes());
    }
    record::BatchRange range(ours.bytes);
    while (const auto batch = range.next()) {
        const Offset base = batch->base_offset();
        if (base >= end || base < theirs.facts.start) {
            continue;
        }
        const auto there = batches.find(base);
        if (there == batches.end()) {
            return fmt::format("I1: {} is not at the source, which has [{}, {})", base,
                               theirs.facts.start, theirs.facts.high_watermark);
        }
        if (!std::equal(there->second.begin(), there->second.end(), batch->bytes().begin(),
                        batch->bytes().end())) {
            return fmt::format("I1: {} differs from the source's", base);
        }
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::check_undecided() const {
    for (ClusterIndex i = 0; i < world_.topology.clusters; ++i) {
        for (const LocalTopic& local : world_.mirrors(i)) {
            for (const auto& [partition, sealed] : local.sealed) {
                const auto log = world_.read(i, local.name, partition.value);
                const Replay found = log ? replay(log->bytes) : Replay{};
                for (const auto& [producer, first] : found.open) {
                    if (first < sealed.end) {
                        return fmt::format("I6: {} was promoted with a transaction open at {}",
                                           place_text(i, local.name, partition.value), first);
                    }
                }
            }
        }
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::check_losses() const {
    for (ClusterIndex i = 0; i < world_.topology.clusters; ++i) {
        for (const LocalTopic& local : world_.mirrors(i)) {
            for (std::int32_t p = 0; p < local.partitions; ++p) {
                const auto known = tracked_.find({i, local.name, p});
                const bool tracked = known != tracked_.end() && known->second.id == local.id;
                const auto told = reported(local, p, "gap");
                if (!reported(local, p, "truncated").empty()) {
                    return fmt::format("I10: {} was cut", place_text(i, local.name, p));
                }
                for (const auto& [from, to] : tracked ? known->second.jumps : Jumps{}) {
                    const auto entry = told.find(from);
                    if (entry == told.end() || entry->second != to) {
                        return fmt::format("I10: {} lost [{}, {}) and doesn't tell",
                                           place_text(i, local.name, p), from, to);
                    }
                }
            }
        }
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::unsettled() const {
    for (const DrawnLink& drawn : world_.topology.links) {
        if (auto why = unsettled(drawn)) {
            return fmt::format("c{} {}: {}", drawn.to, drawn.name(), *why);
        }
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::unsettled(const DrawnLink& drawn) const {
    const auto link = world_.link(drawn);
    const metadata::ImagePtr theirs = world_.image(drawn.from);
    if (!link || theirs == nullptr || world_.image(drawn.to) == nullptr) {
        return "is not there";
    }
    if (link->spec.state == mirror::Desired::paused) {
        return "is paused";
    }
    for (const auto& entry : theirs->topics.by_name()) {
        const auto source = mirror::local_topic(*theirs, entry.key);
        if (source && link->spec.takes_topic(source->name)) {
            if (auto why = unsettled(drawn, *link, *source)) {
                return source->name + ": " + *why;
            }
        }
    }
    return std::nullopt;
}

MirrorWatch::Broken MirrorWatch::unsettled(const DrawnLink& drawn, const mirror::Link& link,
                                           const LocalTopic& source) const {
    std::string chain = cluster_id(drawn.from);
    chain += source.chain.empty() ? "" : ";" + source.chain;
    const bool is_ours = chain.find(cluster_id(drawn.to)) != std::string::npos;
    const bool comes_back = source.note.stage == Stage::promoted;  // a history of its own
    const bool loops = is_ours && !comes_back;
    const auto mirror =
        mirror::local_topic(*world_.image(drawn.to), link.spec.mirror_name(source.name));
    if (!mirror) {
        const bool is_of_another =
            mirror::carries_alias(source.name, mirror::known_aliases(*world_.image(drawn.to)));
        const bool is_wanted = !loops && link.spec.state == mirror::Desired::mirroring &&
                               !(is_of_another && link.spec.naming == mirror::Naming::prefix);
        return is_wanted ? Broken{"is not mirrored"} : Broken{};
    }
    if (mirror->link != link.id || mirror::is_archive(*mirror)) {
        return std::nullopt;  // another link's, or a topic of its own
    }
    if (loops) {
        return "I12: is mirrored though it came from there";
    }
    if (mirror->note.stage == Stage::promoted) {
        return static_cast<std::int32_t>(mirror->sealed.size()) == mirror->partitions
                   ? Broken{}
                   : Broken{"is not sealed"};
    }
    if (source.id != mirror->source_topic) {
        const bool told = mirror->note.stage == Stage::halted &&
                          link.spec.on_source_recreated == mirror::Reaction::halt;
        return told ? Broken{} : Broken{"was made anew"};
    }
    if (mirror->note.stage != Stage::mirroring ||
        mirror->chain != (is_ours ? cluster_id(drawn.from) : chain) ||
        mirror->partitions != source.partitions) {
        return fmt::format("is {} through {}", mirror::to_text(mirror->note), mirror->chain);
    }
    return behind(drawn, source.name, *mirror);
}

MirrorWatch::Broken MirrorWatch::behind(const DrawnLink& drawn, const std::string& source,
                                        const LocalTopic& mirror) const {
    for (std::int32_t i = 0; i < mirror.partitions; ++i) {
        const auto there = world_.replica(drawn.from, source, i);
        const auto here = world_.replica(drawn.to, mirror.name, i);
        if (!there || !here || there->high_watermark != there->end ||
            here->high_watermark != there->end || here->end != there->end ||
            here->start < there->start) {
            return fmt::format(
                "partition {} is [{}, {}) of [{}, {})", i, here ? here->start : no_offset,
                here ? here->high_watermark : no_offset, there ? there->start : no_offset,
                there ? there->high_watermark : no_offset);
        }
    }
    return std::nullopt;
}

std::string MirrorWatch::settings() const {
    std::string text;
    for (ClusterIndex i = 0; i < world_.topology.clusters; ++i) {
        const metadata::ImagePtr image = world_.image(i);
        if (image == nullptr) {
            continue;
        }
        for (const auto& entry : image->topics.by_name()) {
            const auto local = mirror::local_topic(*image, entry.key);
            text += fmt::format("c{} {} {}\n", i, local->name, local->partitions);
            for (const auto& [name, value] : local->settings) {
                text += fmt::format("  {}={}\n", name, value);
            }
        }
    }
    return text;
}

std::optional<std::string> MirrorWatch::ends() const {
    std::string text;
    for (ClusterIndex i = 0; i < world_.topology.clusters; ++i) {
        for (const LocalTopic& local : world_.mirrors(i)) {
            for (std::int32_t p = 0; p < local.partitions; ++p) {
                const auto facts = world_.replica(i, local.name, p);
                if (!facts) {
                    return std::nullopt;
                }
                text += fmt::format("{} [{}, {})\n", place_text(i, local.name, p), facts->start,
                                    facts->end);
            }
        }
    }
    return text;
}

}  // namespace millrace::simtest
