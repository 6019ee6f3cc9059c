#include "mirror/internal/puller.h"

#include <algorithm>
#include <utility>

#include "base/overloaded.h"
#include "mirror/internal/pull.h"
#include "mirror/internal/set_aside.h"
#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"
#include "protocol/messages/offset_for_leader_epoch_request.h"
#include "protocol/messages/offset_for_leader_epoch_response.h"
#include "record/batch_view.h"
#include "storage/partition_log.h"

namespace millrace::mirror {
namespace {

constexpr Duration back_off = 200ms;
constexpr Duration epoch_patience = 1s;
constexpr Duration seal_tick = 50ms;
constexpr Duration steady_lag = 2s;
constexpr Duration question_timeout = 10s;
constexpr std::int32_t verify_bytes = 1 << 20;
constexpr std::int64_t earliest = -2;
constexpr std::int64_t latest = -1;

}  // namespace

bool operator==(const PullJob& a, const PullJob& b) {
    return a.id == b.id && a.topic == b.topic && a.leader_epoch == b.leader_epoch &&
           a.source_topic == b.source_topic && a.source_topic_id == b.source_topic_id &&
           a.source_leader == b.source_leader && a.source_address == b.source_address &&
           a.source_epoch == b.source_epoch && a.policy.start_from == b.policy.start_from &&
           a.policy.on_gap == b.policy.on_gap && a.policy.on_divergence == b.policy.on_divergence &&
           a.read_up_to == b.read_up_to && a.is_compacted == b.is_compacted && a.seal == b.seal;
}

/// One link's work on this shard.
class LinkPull final : public LaneOwner, public std::enable_shared_from_this<LinkPull> {
public:
    LinkPull(std::string id, runtime::Shard shard, runtime::Node& node,
             replication::ShardReplicas& replicas, const Upwards& up, const Logger& log)
        : id_(std::move(id)), shard_(shard), node_(node), replicas_(replicas), up_(up), log_(log) {}

    void set(Puller::Link link) {
        connection_ = std::move(link.connection);
        connections_ = std::max<std::size_t>(1, link.connections_per_broker);
        throttle_.set_rate(link.bytes_per_second);
        std::map<TopicIdPartition, PullJob> wanted;
        for (PullJob& job : link.jobs) {
            wanted.insert_or_assign(job.id, std::move(job));
        }
        for (auto at = pulls_.begin(); at != pulls_.end();) {
            at = wanted.contains(at->first) ? std::next(at) : drop(at);
        }
        for (auto& [id, job] : wanted) {
            put(id, std::move(job));
        }
        std::erase_if(lanes_, [](const auto& lane) { return lane.second->idle(); });
        seal_soon();
    }

    std::vector<PartitionView> views() {
        std::vector<PartitionView> all;
        for (auto& [id, pull] : pulls_) {
            all.push_back(view(pull));
        }
        return all;
    }

    const PullCounters& counters() const { return counters_; }
    std::size_t connections() const { return lanes_.size(); }

    // --- LaneOwner ---

    Pull* find(const TopicIdPartition& id) override {
        const auto at = pulls_.find(id);
        return at == pulls_.end() ? nullptr : &at->second;
    }

    std::optional<LogFacts> facts(const Pull& pull) override {
        const auto view = replicas_.view(pull.job.id);
        const storage::PartitionLog* log = replicas_.mirrored_log(pull.job.id);
        if (log == nullptr || !view || view->leader_epoch != pull.job.leader_epoch) {
            return std::nullopt;
        }
        return LogFacts{log->start(), log->end(), view->high_watermark, view->leader_epoch,
                        &log->epochs()};
    }

    void take(Pull& pull, const SourceFetched& fetched, ByteView bytes) override {
        const auto log = facts(pull);
        if (!log) {
            wait(pull, back_off);
            return;
        }
        pull.last_error = fetched.error;
        if (fetched.high_watermark >= Offset{0}) {
            pull.source_high_watermark = fetched.high_watermark;
            pull.lag.saw(fetched.high_watermark, now());
        }
        run(pull, pull.core.on_fetched(fetched, *log), fetched, bytes);
    }

    Duration spend(std::int64_t bytes) override {
        const Duration pause = throttle_.spend(bytes, now());
        counters_.throttled_ms += to_milliseconds(pause);
        return pause;
    }

    void source_lost(const Error& why) override {
        if (why.code() != Code::cancelled) {
            up_.refresh_source(id_);
        }
    }

private:
    using Pulls = std::map<TopicIdPartition, Pull>;
    using LaneKey = std::pair<runtime::Address, std::size_t>;

    Instant now() const { return shard_.executor->clock().now(); }
    void wait(Pull& pull, Duration delay) const { pull.not_before = now() + delay; }

    LaneKey lane_of(const PullJob& job) const {
        return {job.source_address, std::hash<TopicIdPartition>{}(job.id) % connections_};
    }

    void leave_lane(const PullJob& job) {
        for (auto& [key, lane] : lanes_) {
            if (key.first == job.source_address) {
                lane->remove(job.id);
            }
        }
    }

    void join_lane(const PullJob& job) {
        if (job.source_leader == no_broker) {
            return;
        }
        auto& lane = lanes_[lane_of(job)];
        if (!lane) {
            client::ConnectionOptions options = connection_;
            options.address = job.source_address;
            lane = std::make_shared<Lane>(weak_from_this(), std::move(options), shard_, log_);
        }
        lane->add(job.id);
    }

    client::Connection* connection_of(const PullJob& job) {
        const auto lane = lanes_.find(lane_of(job));
        return lane == lanes_.end() ? nullptr : &lane->second->connection();
    }

    Pulls::iterator drop(Pulls::iterator at) {
        leave_lane(at->second.job);
        return pulls_.erase(at);
    }

    void put(const TopicIdPartition& id, PullJob job) {
        const auto known = pulls_.find(id);
        if (known != pulls_.end() && known->second.job == job) {
            return;
        }
        LagClock lag;
        Offset high_watermark = no_offset;
        bool is_steady = false;
        if (known != pulls_.end()) {
            is_steady = known->second.is_steady;
            lag = known->second.lag;
            high_watermark = known->second.source_high_watermark;
            drop(known);
        }
        Pull& pull = pulls_.emplace(id, Pull(std::move(job))).first->second;
        pull.generation = ++generations_;
        pull.lag = std::move(lag);
        pull.source_high_watermark = high_watermark;
        pull.is_steady = is_steady;
        if (!pull.job.seal) {
            join_lane(pull.job);
        }
    }

    PartitionView view(Pull& pull) {
        PartitionView view;
        view.partition = {pull.job.topic, pull.job.id.partition};
        view.source_topic = pull.job.source_topic;
        view.source_leader = pull.job.source_leader;
        view.source_high_watermark = pull.source_high_watermark;
        if (const auto log = facts(pull)) {
            view.end = log->end;
            view.last_source_epoch = PartitionCore::last_epoch(*log);
            view.lag = pull.lag.behind(log->end, now());
        }
        view.state = pull.halted                               ? TopicState::halted
                     : pull.job.seal                           ? TopicState::failing_over
                     : pull.is_raising                         ? TopicState::epoch_fencing
                     : pull.job.source_leader == no_broker     ? TopicState::source_unavailable
                     : view.source_high_watermark == no_offset ? TopicState::initializing
                     : !is_steady(pull, view)                  ? TopicState::catching_up
                                                               : TopicState::mirroring;
        if (pull.halted) {
            view.reason = to_string(*pull.halted);
        } else if (pull.last_error != KafkaError::none) {
            view.reason = fmt::format("{}", pull.last_error);
        }
        return view;
    }

    /// Caught up once, and since then never far behind: records under way don't count.
    static bool is_steady(Pull& pull, const PartitionView& view) {
        if (view.lag_records() == 0) {
            pull.is_steady = true;
        } else if (view.lag > steady_lag) {
            pull.is_steady = false;
        }
        return pull.is_steady;
    }

    // --- Effects ---

    /// `fetched` and `bytes` as far as the effects come from a fetch.
    void run(Pull& pull, const PartitionEffects& effects, const SourceFetched& fetched = {},
             ByteView bytes = {}) {
        for (std::size_t i = 0; i < effects.size(); ++i) {
            const PartitionEffects rest(effects.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                        effects.end());
            if (const auto* report = std::get_if<Report>(&effects[i])) {
                remember(pull, *report, rest);
                return;
            }
            if (const auto* aside = std::get_if<SetAside>(&effects[i])) {
                keep_aside(pull, *aside, rest);
                return;
            }
            if (const auto* verify = std::get_if<Verify>(&effects[i])) {
                this->verify(pull, verify->end, rest);
                return;
            }
            if (!std::visit([&](const auto& effect) { return act(pull, effect, fetched, bytes); },
                            effects[i])) {
                return;
            }
        }
    }

    bool act(Pull& pull, const TakeOver&, const SourceFetched& fetched, ByteView bytes) {
        const auto appended = replicas_.append_mirrored(pull.job.id, pull.job.leader_epoch, bytes);
        counters_.bytes += appended.bytes;
        counters_.batches += appended.batches;
        const PartitionEffects next = pull.core.on_appended(appended, fetched);
        run(pull, next);
        return next.empty();
    }
    bool act(Pull& pull, const FollowStart& follow, const SourceFetched&, ByteView) {
        const auto log = facts(pull);
        const Offset to = log ? std::min(follow.to, log->high_watermark) : Offset{0};
        if (log && to > log->start) {
            replicas_.delete_records(pull.job.id, to, {}, [](KafkaError, Offset) {});
        }
        return true;
    }
    bool act(Pull& pull, const StartAt& start, const SourceFetched&, ByteView) {
        return done_or_wait(
            pull, replicas_.start_mirrored_at(pull.job.id, pull.job.leader_epoch, start.start));
    }
    bool act(Pull& pull, const CutAt& cut, const SourceFetched&, ByteView) {
        return done_or_wait(
            pull, replicas_.truncate_mirrored(pull.job.id, pull.job.leader_epoch, cut.end));
    }
    bool act(Pull&, const Report&, const SourceFetched&, ByteView) { return false; }
    bool act(Pull&, const Verify&, const SourceFetched&, ByteView) { return false; }
    bool act(Pull&, const SetAside&, const SourceFetched&, ByteView) { return false; }
    bool act(Pull& pull, const RaiseEpoch& raise, const SourceFetched&, ByteView) {
        ++counters_.epoch_raises;
        pull.is_raising = true;
        replicas_.raise_epoch(pull.job.id, raise.to);
        wait(pull, epoch_patience);  // the new epoch comes as a new job; else ask again
        return false;
    }
    bool act(Pull& pull, const AskRange&, const SourceFetched&, ByteView) {
        ask_range(pull);
        return false;
    }
    bool act(Pull& pull, const AskEpochEnd& question, const SourceFetched&, ByteView) {
        ask_epoch_end(pull, question.epoch);
        return false;
    }
    bool act(Pull&, const RefreshSource&, const SourceFetched&, ByteView) {
        up_.refresh_source(id_);
        return true;
    }
    bool act(Pull& pull, const BackOff& why, const SourceFetched&, ByteView) {
        pull.last_error = why.why;
        wait(pull, back_off);
        return false;
    }
    bool act(Pull& pull, const Halt& halt, const SourceFetched&, ByteView) {
        pull.halted = halt.reason;
        MR_LOG(log_, warn, "mirror.partition_halted", field("topic", pull.job.topic),
               field("partition", pull.job.id.partition), field("reason", to_string(halt.reason)));
        up_.halt(id_, pull.job.topic, halt.reason);
        return false;
    }

    bool done_or_wait(Pull& pull, KafkaError error) {
        if (error != KafkaError::none) {
            pull.last_error = error;
            wait(pull, back_off);
        }
        return error == KafkaError::none;
    }

    /// Runs `then` with the pull if its job is still this one.
    template <typename Then>
    auto if_same(Pull& pull, Then then) {
        pull.busy = true;
        return [weak = weak_from_this(), id = pull.job.id, generation = pull.generation,
                then = std::move(then)](auto&&... args) mutable {
            auto self = weak.lock();
            Pull* now = self ? self->find(id) : nullptr;
            if (now == nullptr || now->generation != generation) {
                return;
            }
            now->busy = false;
            then(*self, *now, std::forward<decltype(args)>(args)...);
            self->kick(now->job);
        };
    }

    void kick(const PullJob& job) {
        const auto lane = lanes_.find(lane_of(job));
        if (lane != lanes_.end()) {
            lane->second->kick();
        }
    }

    void keep_aside(Pull& pull, const SetAside& aside, PartitionEffects rest) {
        const storage::PartitionLog* log = replicas_.mirrored_log(pull.job.id);
        if (log == nullptr) {
            wait(pull, back_off);
            return;
        }
        set_aside({&node_.disk(), &node_.disk_pool(), shard_.executor, &replicas_, pull.job.id,
                   pull.job.leader_epoch, log->path(), aside.from, aside.to},
                  if_same(pull, [aside, rest = std::move(rest)](LinkPull& self, Pull& now,
                                                                const Result<Kept>& kept) {
                      const auto then = self.facts(now);
                      if (!kept || !then || then->end != aside.to) {
                          // Nothing is cut that could not be kept.
                          now.last_error = KafkaError::kafka_storage_error;
                          self.wait(now, back_off);
                          return;
                      }
                      MR_LOG(self.log_, warn, "mirror.records_set_aside",
                             field("topic", now.job.topic),
                             field("partition", now.job.id.partition), field("from", aside.from),
                             field("to", aside.to), field("bytes", kept->bytes),
                             field("file", kept->path));
                      self.run(now, rest);
                  }));
    }

    void remember(Pull& pull, const Report& report, PartitionEffects rest) {
        auto then = [report, rest = std::move(rest)](LinkPull& self, Pull& now, bool kept) {
            const auto log = self.facts(now);
            const Offset end = report.kind == Report::Kind::gap ? report.from : report.to;
            if (!kept || !log || log->end != end) {
                self.wait(now, back_off);
                return;
            }
            (report.kind == Report::Kind::gap ? self.counters_.gap_records
                                              : self.counters_.truncated_records) +=
                report.to - report.from;
            self.run(now, rest);
        };
        up_.remember_loss(id_, pull.job.topic, report, pull.job.id.partition, *shard_.executor,
                          if_same(pull, std::move(then)));
    }

    /// Asks the source for the batch that ends at `end` and compares it with ours.
    void verify(Pull& pull, Offset end, PartitionEffects rest) {
        using protocol::FetchRequest;
        using protocol::FetchResponse;
        client::Connection* connection = connection_of(pull.job);
        if (pull.job.is_compacted) {
            // What the source compacted since looks different and is the same history.
            run(pull, rest);
            return;
        }
        if (connection == nullptr) {
            wait(pull, back_off);
            return;
        }
        client::ask<FetchRequest, FetchResponse>(
            *connection, question_timeout,
            [topic = pull.job.source_topic, partition = pull.job.id.partition, end](std::int16_t) {
                FetchRequest request;
                request.min_bytes = 1;
                request.max_bytes = verify_bytes;
                auto& to = request.topics.emplace_back();
                to.topic = topic;
                auto& one = to.partitions.emplace_back();
                one.partition = partition.value;
                one.fetch_offset = end.value - 1;
                one.partition_max_bytes = verify_bytes;
                return request;
            },
            if_same(pull, [end, rest = std::move(rest)](
                              LinkPull& self, Pull& now, const Result<FetchResponse>& response,
                              std::int16_t) { self.on_verified(now, end, rest, response); }),
            {9, 12});  // by name: an answer of one partition needs no ids
    }

    void on_verified(Pull& pull, Offset end, const PartitionEffects& rest,
                     const Result<protocol::FetchResponse>& response) {
        if (!response || response->responses.empty() ||
            response->responses.front().partitions.empty()) {
            wait(pull, back_off);
            return;
        }
        const auto& data = response->responses.front().partitions.front();
        const auto error = static_cast<KafkaError>(data.error_code);
        if (error != KafkaError::none && error != KafkaError::offset_out_of_range) {
            wait(pull, back_off);
            return;
        }
        // Out of range: the source keeps nothing there any more that could differ.
        record::BatchRange theirs(data.records ? data.records->bytes : ByteView{});
        while (const auto batch = theirs.next()) {
            if (batch->next_offset() > end) {
                break;
            }
            if (!is_ours(pull, *batch)) {
                run(pull, {Halt{HaltReason::divergence}});
                return;
            }
        }
        run(pull, rest);
    }

    bool is_ours(const Pull& pull, const record::BatchView& theirs) {
        replication::FetchPosition position;
        position.id = pull.job.id;
        position.from = theirs.base_offset();
        position.max_bytes = 1;  // the first batch comes whole
        const auto results = replicas_.fetch({position}, {}, 1);
        const storage::ReadSlice& slice = results.front().slice;
        if (results.front().error != KafkaError::none || slice.empty()) {
            return true;  // nothing of ours lies there: deleted here, or not committed
        }
        Buffer bytes(std::min(slice.length, theirs.size()));
        const auto got = slice.file->read_at(slice.position, bytes);
        return got && *got == theirs.size() && slice.first == theirs.base_offset() &&
               std::equal(bytes.begin(), bytes.end(), theirs.bytes().begin());
    }

    void ask_range(Pull& pull) {
        ask_offset(pull, earliest, [](LinkPull& self, Pull& now, Offset start) {
            self.ask_offset(now, latest, [start](LinkPull& again, Pull& then, Offset end) {
                if (const auto log = again.facts(then)) {
                    again.run(then, then.core.on_range(start, end, *log));
                }
            });
        });
    }

    template <typename Then>
    void ask_offset(Pull& pull, std::int64_t which, Then then) {
        using protocol::ListOffsetsRequest;
        using protocol::ListOffsetsResponse;
        client::Connection* connection = connection_of(pull.job);
        if (connection == nullptr) {
            wait(pull, back_off);
            return;
        }
        client::ask<ListOffsetsRequest, ListOffsetsResponse>(
            *connection, question_timeout,
            [topic = pull.job.source_topic, epoch = pull.job.source_epoch, which,
             partition = pull.job.id.partition](std::int16_t) {
                ListOffsetsRequest request;
                request.replica_id = -1;
                auto& to = request.topics.emplace_back();
                to.name = topic;
                auto& one = to.partitions.emplace_back();
                one.partition_index = partition.value;
                one.current_leader_epoch = epoch.value;
                one.timestamp = which;
                return request;
            },
            if_same(pull,
                    [then](LinkPull& self, Pull& now, const Result<ListOffsetsResponse>& response,
                           std::int16_t) {
                        if (!response || response->topics.empty() ||
                            response->topics.front().partitions.empty() ||
                            response->topics.front().partitions.front().error_code != 0) {
                            self.up_.refresh_source(self.id_);
                            self.wait(now, back_off);
                            return;
                        }
                        then(self, now, Offset{response->topics.front().partitions.front().offset});
                    }),
            {4, ListOffsetsRequest::max_version});
    }

    void ask_epoch_end(Pull& pull, LeaderEpoch epoch) {
        using protocol::OffsetForLeaderEpochRequest;
        using protocol::OffsetForLeaderEpochResponse;
        client::Connection* connection = connection_of(pull.job);
        if (connection == nullptr) {
            wait(pull, back_off);
            return;
        }
        client::ask<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>(
            *connection, question_timeout,
            [topic = pull.job.source_topic, current = pull.job.source_epoch, epoch,
             partition = pull.job.id.partition](std::int16_t) {
                OffsetForLeaderEpochRequest request;
                request.replica_id = -1;
                auto& to = request.topics.emplace_back();
                to.topic = topic;
                auto& one = to.partitions.emplace_back();
                one.partition = partition.value;
                one.current_leader_epoch = current.value;
                one.leader_epoch = epoch.value;
                return request;
            },
            if_same(pull,
                    [epoch](LinkPull& self, Pull& now,
                            const Result<OffsetForLeaderEpochResponse>& response, std::int16_t) {
                        const auto log = self.facts(now);
                        if (!log || !response || response->topics.empty() ||
                            response->topics.front().partitions.empty() ||
                            response->topics.front().partitions.front().error_code != 0) {
                            self.up_.refresh_source(self.id_);
                            self.wait(now, back_off);
                            return;
                        }
                        const auto& end = response->topics.front().partitions.front();
                        self.run(now, now.core.on_epoch_end(epoch, LeaderEpoch{end.leader_epoch},
                                                            Offset{end.end_offset}, *log));
                    }),
            {2, OffsetForLeaderEpochRequest::max_version});
    }

    // --- Sealing ---

    void seal_soon() {
        const bool any = std::any_of(pulls_.begin(), pulls_.end(),
                                     [](const auto& entry) { return entry.second.job.seal; });
        if (!any || seal_armed_) {
            return;
        }
        seal_armed_ = true;
        shard_.executor->after(seal_tick, [weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->seal_armed_ = false;
                for (auto& [id, pull] : self->pulls_) {
                    if (pull.job.seal && !pull.busy && pull.not_before <= self->now()) {
                        self->seal(pull);
                    }
                }
                self->seal_soon();
            }
        });
    }

    /// What was taken over is committed first, then a leader epoch of our own, then the record that
    /// opens the partition to clients. A repeat at any point changes nothing but that epoch.
    void seal(Pull& pull) {
        const auto log = facts(pull);
        if (!log || log->high_watermark < log->end) {
            return;
        }
        const LeaderEpoch last = PartitionCore::last_epoch(*log);
        if (!pull.seal_epoch) {
            pull.seal_epoch = seal_epochs_.contains(pull.job.id)
                                  ? seal_epochs_[pull.job.id]
                                  : PartitionCore::promoted_epoch(log->leader_epoch, last);
            seal_epochs_[pull.job.id] = *pull.seal_epoch;
        }
        if (log->leader_epoch < *pull.seal_epoch) {
            replicas_.raise_epoch(pull.job.id, *pull.seal_epoch);
            wait(pull, epoch_patience);
            return;
        }
        const Sealed record{pull.job.id.partition,
                            last,
                            log->end,
                            log->leader_epoch,
                            pull.source_high_watermark,
                            pull.lag.behind(log->end, now()),
                            {}};
        up_.remember_seal(id_, pull.job.topic, record, *shard_.executor,
                          if_same(pull, [](LinkPull& self, Pull& now, bool) {
                              // The metadata ends this job; if it doesn't, once more.
                              self.wait(now, epoch_patience);
                          }));
    }

    const std::string id_;
    runtime::Shard shard_;
    runtime::Node& node_;
    replication::ShardReplicas& replicas_;
    const Upwards& up_;
    const Logger& log_;
    client::ConnectionOptions connection_;
    std::size_t connections_ = 4;
    Throttle throttle_;
    Pulls pulls_;
    std::map<LaneKey, std::shared_ptr<Lane>> lanes_;
    std::map<TopicIdPartition, LeaderEpoch> seal_epochs_;
    std::uint64_t generations_ = 0;
    bool seal_armed_ = false;
    PullCounters counters_;
};

struct Puller::Inside {
    runtime::Shard shard;
    runtime::Node& node;
    replication::ShardReplicas& replicas;
    Upwards up;
    Logger log;
    std::map<std::string, std::shared_ptr<LinkPull>> links;
};

Puller::Puller(runtime::Shard shard, runtime::Node& node, replication::ShardReplicas& replicas,
               Upwards up, const Logger& log)
    : inside_(std::make_shared<Inside>(Inside{shard, node, replicas, std::move(up), log, {}})) {}

Puller::~Puller() = default;

void Puller::set_link(const std::string& id, Link link) {
    auto& one = inside_->links[id];
    if (!one) {
        one = std::make_shared<LinkPull>(id, inside_->shard, inside_->node, inside_->replicas,
                                         inside_->up, inside_->log);
    }
    one->set(std::move(link));
}

void Puller::drop_link(const std::string& id) {
    inside_->links.erase(id);
}

std::vector<PartitionView> Puller::partitions(const std::string& link) {
    const auto found = inside_->links.find(link);
    return found == inside_->links.end() ? std::vector<PartitionView>{} : found->second->views();
}

PullCounters Puller::counters(const std::string& link) const {
    const auto found = inside_->links.find(link);
    return found == inside_->links.end() ? PullCounters{} : found->second->counters();
}

std::size_t Puller::connections(const std::string& link) const {
    const auto found = inside_->links.find(link);
    return found == inside_->links.end() ? 0 : found->second->connections();
}

}  // namespace millrace::mirror
