#include "mirror/internal/link_pull.h"

#include <algorithm>
#include <utility>

#include "mirror/internal/set_aside.h"
#include "storage/partition_log.h"

namespace millrace::mirror {
namespace {

constexpr Duration steady_lag = 2s;
/// A connection that broke and is made anew is no news.
constexpr Duration loss_told_after = 5s;
constexpr Duration leader_lost_after = 30s;
/// An answer of this size with more behind it: as much as a quiet lane may bring at once, or
/// nearly.
constexpr std::size_t backlog_begins = 512 << 10;

}  // namespace

void LinkPull::set(Puller::Link link) {
    connection_ = std::move(link.connection);
    own_connection_ = std::move(link.own_connection);
    const bool anew =
        std::exchange(source_generation_, link.source_generation) != link.source_generation;
    if (anew) {
        lanes_.clear();  // each goes with the last pull that is on it
    }
    const std::size_t connections = std::max<std::size_t>(1, link.connections_per_broker);
    const bool is_resized = std::exchange(connections_, connections) != connections;
    const bool is_freed = throttle_.set_rate(link.bytes_per_second, now());
    std::map<TopicIdPartition, PullJob> wanted;
    for (PullJob& job : link.jobs) {
        wanted.insert_or_assign(job.id, std::move(job));
    }
    for (auto at = pulls_.begin(); at != pulls_.end();) {
        if (wanted.contains(at->first)) {
            ++at;
            continue;
        }
        const Pull& pull = at->second;
        if (pull.job.seal) {
            seen_.erase(at->first);
        } else if (pull.source_high_watermark != no_offset) {
            seen_[at->first] = {pull.source_high_watermark, pull.lag, now()};
        }
        at = drop(at);
    }
    for (auto& [id, job] : wanted) {
        put(id, std::move(job), anew);
    }
    if (is_resized) {
        spread();
    }
    for (auto& [of, lanes] : lanes_) {
        std::erase_if(lanes, [](const auto& lane) { return lane->idle(); });
        for (const auto& lane : lanes) {
            if (is_freed || is_resized) {
                lane->kick(throttle_.left(now()));
            }
        }
    }
    // What is sealed once more later begins an epoch of its own again.
    std::erase_if(seal_epochs_, [&](const auto& entry) {
        const Pull* pull = find(entry.first);
        return pull == nullptr || !pull->job.seal;
    });
    seal_soon(Duration{});
}

std::vector<PartitionView> LinkPull::views() {
    std::vector<PartitionView> all;
    for (auto& [id, pull] : pulls_) {
        all.push_back(view(pull));
    }
    return all;
}

Pull* LinkPull::find(const TopicIdPartition& id) {
    const auto at = pulls_.find(id);
    return at == pulls_.end() ? nullptr : &at->second;
}

std::optional<LogFacts> LinkPull::facts(const Pull& pull) {
    const auto view = replicas_.view(pull.job.id);
    const storage::PartitionLog* log = replicas_.mirrored_log(pull.job.id);
    if (log == nullptr || !view || view->leader_epoch != pull.job.leader_epoch) {
        return std::nullopt;
    }
    return LogFacts{log->start(),   log->end(),        view->high_watermark, view->leader_epoch,
                    &log->epochs(), view->last_stable, pull.is_known};
}

void LinkPull::take(Pull& pull, const SourceFetched& fetched, ByteView bytes) {
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
    pull.told_start = std::max(pull.told_start, fetched.log_start);
    run(pull, pull.core.on_fetched(fetched, *log), fetched, bytes);
    sort(pull, fetched);
}

Duration LinkPull::spend(std::int64_t bytes) {
    const Duration pause = throttle_.spend(bytes, now());
    counters_.throttled_ms += to_milliseconds(pause);
    return pause;
}

void LinkPull::source_lost(const Error& why) {
    if (why.code() != Code::cancelled) {
        up_.refresh_source(id_);
    }
}

void LinkPull::leave_lane(Pull& pull) {
    if (pull.lane) {
        pull.lane->remove(pull.job.id);
        pull.lane.reset();
    }
}

/// The lane with the least to do; another one as long as the link may have more.
void LinkPull::join_lane(Pull& pull) {
    if (pull.job.source_leader == no_broker) {
        return;
    }
    const LaneKind kind = pull.has_backlog ? LaneKind::backlog : LaneKind::quiet;
    const std::size_t most = kind == LaneKind::backlog ? connections_ : 1;
    auto& lanes = lanes_[{pull.job.source_address, kind}];
    const auto least =
        std::min_element(lanes.begin(), lanes.end(),
                         [](const auto& a, const auto& b) { return a->size() < b->size(); });
    if (least != lanes.end() && (lanes.size() >= most || (*least)->idle())) {
        pull.lane = *least;
    } else {
        client::ConnectionOptions options = pull.job.from_own ? own_connection_ : connection_;
        options.address = pull.job.source_address;
        pull.lane =
            std::make_shared<Lane>(weak_from_this(), kind, std::move(options), shard_, log_);
        lanes.push_back(pull.lane);
    }
    pull.lane->add(pull.job.id);
}

/// Over as many lanes as there may be by now; what is under way on another one comes all the same.
void LinkPull::spread() {
    for (auto& [of, lanes] : lanes_) {
        if (of.second == LaneKind::backlog && lanes.size() > connections_) {
            lanes.resize(connections_);  // the others go with their last pulls
        }
    }
    for (auto& [id, pull] : pulls_) {
        if (pull.lane && pull.has_backlog) {
            leave_lane(pull);
            join_lane(pull);
        }
    }
}

void LinkPull::sort(Pull& pull, const SourceFetched& fetched) {
    const auto log = facts(pull);
    const bool has_more = log && fetched.error == KafkaError::none && fetched.bytes > 0 &&
                          log->end < fetched.high_watermark;
    const bool backlog = has_more && (pull.has_backlog || fetched.bytes >= backlog_begins);
    if (backlog == pull.has_backlog || !pull.lane) {
        return;
    }
    leave_lane(pull);
    pull.has_backlog = backlog;
    join_lane(pull);
}

client::Connection* LinkPull::connection_of(const Pull& pull) {
    return pull.lane ? &pull.lane->connection() : nullptr;
}

std::size_t LinkPull::connections() const {
    std::size_t count = 0;
    for (const auto& [of, lanes] : lanes_) {
        count += lanes.size();
    }
    return count;
}

LinkPull::Pulls::iterator LinkPull::drop(Pulls::iterator at) {
    leave_lane(at->second);
    return pulls_.erase(at);
}

void LinkPull::put(const TopicIdPartition& id, PullJob job, bool anew) {
    const auto known = pulls_.find(id);
    if (known != pulls_.end() && known->second.job == job && !(anew && known->second.lane)) {
        return;
    }
    LagClock lag;
    Offset high_watermark = no_offset;
    std::optional<Instant> seen_at;
    bool is_steady = false;
    bool is_known = false;
    bool has_backlog = false;
    std::optional<Instant> lost_since;
    bool is_refused = false;
    if (known != pulls_.end()) {
        is_steady = known->second.is_steady;
        // What was promoted in between may have been written by others.
        is_known = known->second.is_known && !known->second.job.seal;
        has_backlog = known->second.has_backlog;
        lag = known->second.lag;
        high_watermark = known->second.source_high_watermark;
        lost_since = known->second.lost_since;
        seen_at = job.seal ? known->second.seen_at : std::nullopt;
        is_refused = known->second.is_refused;
        drop(known);
    }
    if (const auto before = seen_.find(id);
        job.seal && high_watermark == no_offset && before != seen_.end()) {
        high_watermark = before->second.high_watermark;
        lag = before->second.lag;
        seen_at = before->second.at;
    }
    Pull& pull = pulls_.emplace(id, Pull(std::move(job))).first->second;
    pull.generation = ++generations_;
    pull.lag = std::move(lag);
    pull.source_high_watermark = high_watermark;
    pull.seen_at = seen_at;
    pull.is_steady = is_steady;
    pull.is_known = is_known;
    pull.has_backlog = has_backlog;
    pull.lost_since = lost_since;
    pull.is_refused = is_refused;
    if (!pull.job.seal) {
        join_lane(pull);
    }
}

/// What was written while its leader could not be asked, nobody knows: the link may well see the
/// rest of the source.
Duration LinkPull::behind(Pull& pull, Offset end) const {
    const Duration lost = pull.lost_since ? now() - *pull.lost_since : Duration{};
    const Duration unseen = pull.seen_at ? now() - *pull.seen_at : Duration{};
    return std::max({lost, unseen, pull.lag.behind(end, now())});
}

PartitionView LinkPull::view(Pull& pull) {
    PartitionView view;
    view.partition = {pull.job.topic, pull.job.id.partition};
    view.source_topic = pull.job.source_topic;
    view.source_leader = pull.job.source_leader;
    view.source_high_watermark = pull.source_high_watermark;
    if (const auto log = facts(pull)) {
        view.end = log->end;
        view.last_source_epoch = PartitionCore::last_epoch(*log);
        view.lag = behind(pull, log->end);
    }
    const Duration lost = pull.lost_since ? now() - *pull.lost_since : Duration{};
    view.state = pull.halted       ? TopicState::halted
                 : pull.job.seal   ? TopicState::failing_over
                 : pull.is_raising ? TopicState::epoch_fencing
                 : pull.job.source_leader == no_broker || lost >= leader_lost_after
                     ? TopicState::source_unavailable
                 : view.source_high_watermark == no_offset ? TopicState::initializing
                 : !is_steady(pull, view)                  ? TopicState::catching_up
                                                           : TopicState::mirroring;
    if (pull.halted) {
        view.reason = to_string(*pull.halted);
    } else if (lost >= loss_told_after) {
        view.reason = reason_of_loss(pull.is_refused);
        view.is_refused = pull.is_refused;
    } else if (pull.last_error != KafkaError::none) {
        view.reason = fmt::format("{}", pull.last_error);
    }
    return view;
}

bool LinkPull::is_steady(Pull& pull, const PartitionView& view) {
    if (view.lag_records() == 0) {
        pull.is_steady = true;
    } else if (view.lag > steady_lag) {
        pull.is_steady = false;
    }
    return pull.is_steady;
}

void LinkPull::run(Pull& pull, const PartitionEffects& effects, const SourceFetched& fetched,
                   ByteView bytes) {
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

bool LinkPull::act(Pull& pull, const TakeOver&, const SourceFetched& fetched, ByteView bytes) {
    const auto appended = replicas_.append_mirrored(pull.job.id, pull.job.leader_epoch, bytes);
    counters_.bytes += appended.bytes;
    counters_.batches += appended.batches;
    const PartitionEffects next = pull.core.on_appended(appended, fetched);
    run(pull, next);
    return next.empty();
}

bool LinkPull::act(Pull& pull, const FollowStart& follow, const SourceFetched&, ByteView) {
    pull.source_start = follow.to;
    if (const auto log = facts(pull)) {
        catch_up(pull, *log);
    }
    return true;
}

/// The source tells once where its log begins; what came with it may not be committed here by then.
void LinkPull::catch_up(Pull& pull, const LogFacts& log) {
    const Offset to = std::min(pull.source_start, log.high_watermark);
    if (to > log.start) {
        // Nobody waits for the other replicas to follow.
        replicas_.delete_records(
            pull.job.id, to, {}, [](BrokerId) { return false; }, [](KafkaError, Offset) {});
    }
}

bool LinkPull::act(Pull& pull, const StartAt& start, const SourceFetched&, ByteView) {
    return done_or_wait(
        pull, replicas_.start_mirrored_at(pull.job.id, pull.job.leader_epoch, start.start));
}

bool LinkPull::act(Pull& pull, const CutAt& cut, const SourceFetched&, ByteView) {
    return done_or_wait(pull,
                        replicas_.truncate_mirrored(pull.job.id, pull.job.leader_epoch, cut.end));
}

bool LinkPull::act(Pull& pull, const Known&, const SourceFetched&, ByteView) {
    pull.is_known = true;
    pull.source_start = std::max(pull.source_start, pull.told_start);
    return true;
}

bool LinkPull::act(Pull& pull, const RaiseEpoch& raise, const SourceFetched&, ByteView) {
    ++counters_.epoch_raises;
    pull.is_raising = true;
    replicas_.raise_epoch(pull.job.id, raise.to);
    wait(pull, epoch_patience);  // the new epoch comes as a new job; else ask again
    return false;
}

bool LinkPull::act(Pull& pull, const AskRange&, const SourceFetched&, ByteView) {
    ask_range(pull);
    return false;
}

bool LinkPull::act(Pull& pull, const AskEpochEnd& question, const SourceFetched&, ByteView) {
    ask_epoch_end(pull, question.epoch);
    return false;
}

bool LinkPull::act(Pull&, const RefreshSource&, const SourceFetched&, ByteView) {
    up_.refresh_source(id_);
    return true;
}

bool LinkPull::act(Pull& pull, const BackOff& why, const SourceFetched&, ByteView) {
    pull.last_error = why.why;
    wait(pull, back_off);
    return false;
}

bool LinkPull::act(Pull& pull, const Halt& halt, const SourceFetched&, ByteView) {
    pull.halted = halt.reason;
    MR_LOG(log_, warn, "mirror.partition_halted", field("topic", pull.job.topic),
           field("partition", pull.job.id.partition), field("reason", to_string(halt.reason)));
    up_.halt(id_, pull.job.topic, halt.reason);
    return false;
}

bool LinkPull::done_or_wait(Pull& pull, KafkaError error) {
    if (error != KafkaError::none) {
        pull.last_error = error;
        wait(pull, back_off);
    }
    return error == KafkaError::none;
}

void LinkPull::keep_aside(Pull& pull, const SetAside& aside, PartitionEffects rest) {
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
                  MR_LOG(self.log_, warn, "mirror.records_set_aside", field("topic", now.job.topic),
                         field("partition", now.job.id.partition), field("from", aside.from),
                         field("to", aside.to), field("bytes", kept->bytes),
                         field("file", kept->path));
                  self.run(now, rest);
              }));
}

void LinkPull::remember(Pull& pull, const Report& report, PartitionEffects rest) {
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

}  // namespace millrace::mirror
