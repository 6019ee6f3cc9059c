#include "handlers/fetch_session.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace millrace::handlers {
namespace {

constexpr std::int32_t no_session = 0;
constexpr std::int32_t final_epoch = -1;
constexpr std::int32_t initial_epoch = 0;

FetchPlan refused(KafkaError error) {
    FetchPlan plan;
    plan.error = error;
    return plan;
}

/// A partition that is named twice is asked once, for what was said last.
std::vector<FetchAsk> without_repeats(std::vector<FetchAsk> asks) {
    if (asks.size() < 2) {
        return asks;
    }
    std::map<std::tuple<Uuid, std::string_view, std::int32_t>, std::size_t> last;
    for (std::size_t i = 0; i < asks.size(); ++i) {
        last[{asks[i].topic_id, asks[i].topic, asks[i].partition}] = i;
    }
    if (last.size() == asks.size()) {
        return asks;
    }
    std::vector<std::size_t> kept;
    for (const auto& [key, index] : last) {
        kept.push_back(index);
    }
    std::sort(kept.begin(), kept.end());
    std::vector<FetchAsk> unique;
    for (const std::size_t index : kept) {
        unique.push_back(std::move(asks[index]));
    }
    return unique;
}

}  // namespace

std::size_t FetchSession::KeyHash::operator()(const Key& key) const noexcept {
    return std::hash<std::string_view>{}(key.topic) ^ std::hash<Uuid>{}(key.topic_id) ^
           std::hash<PartitionIndex>{}(PartitionIndex{key.partition});
}

FetchSession::Key FetchSession::key_of(std::string_view topic, const Uuid& topic_id,
                                       std::int32_t partition) {
    return topic_id.is_zero() ? Key{topic, topic_id, partition}
                              : Key{std::string_view{}, topic_id, partition};
}

bool FetchSession::knows(const FetchAsk& ask) const {
    return by_key_.contains(key_of(ask.topic, ask.topic_id, ask.partition));
}

void FetchSession::ask(FetchAsk ask) {
    const auto found = by_key_.find(key_of(ask.topic, ask.topic_id, ask.partition));
    if (found != by_key_.end()) {
        FetchAsk& known = found->second->ask;
        known.from = ask.from;
        known.current_epoch = ask.current_epoch;
        known.last_fetched_epoch = ask.last_fetched_epoch;
        known.max_bytes = ask.max_bytes;
        known.reader_log_start = ask.reader_log_start;
        known.reader_synced_end = ask.reader_synced_end;
        return;
    }
    partitions_.push_back({std::move(ask), no_offset, no_offset});
    const auto at = std::prev(partitions_.end());
    by_key_.emplace(key_of(at->ask.topic, at->ask.topic_id, at->ask.partition), at);
}

void FetchSession::forget(const std::string& topic, const Uuid& topic_id, std::int32_t partition) {
    const auto found = by_key_.find(key_of(topic, topic_id, partition));
    if (found != by_key_.end()) {
        const auto at = found->second;
        by_key_.erase(found);  // before the text that its key looks into
        partitions_.erase(at);
    }
}

std::vector<FetchAsk> FetchSession::asks() const {
    std::vector<FetchAsk> all;
    all.reserve(partitions_.size());
    for (const Partition& partition : partitions_) {
        all.push_back(partition.ask);
    }
    return all;
}

bool FetchSession::tell(const FetchAsk& ask, const FetchTold& told) {
    const auto found = by_key_.find(key_of(ask.topic, ask.topic_id, ask.partition));
    if (found == by_key_.end()) {
        return false;  // forgotten by a later request on the same session
    }
    Partition& known = *found->second;
    bool is_news = told.has_records || told.is_diverging || told.is_sent_on;
    if (told.error != KafkaError::none) {
        // Told every time; and when the error goes away, that is news too.
        known.high_watermark = no_offset;
        return true;
    }
    is_news =
        is_news || known.high_watermark != told.high_watermark || known.log_start != told.log_start;
    known.high_watermark = told.high_watermark;
    known.log_start = told.log_start;
    if (told.has_records) {
        // Others are looked at first the next time, so that a small budget serves all in turn.
        partitions_.splice(partitions_.end(), partitions_, found->second);
    }
    return is_news;
}

FetchPlan FetchSessions::open(Request request, Instant now) {
    FetchPlan plan;
    const bool is_full =
        request.session_epoch == initial_epoch || request.session_epoch == final_epoch;
    if (is_full) {
        sessions_.erase(request.session_id);
        plan.asks = without_repeats(std::move(request.asks));
        plan.wants_session = request.session_epoch == initial_epoch;
        return plan;
    }
    const auto found = sessions_.find(request.session_id);
    if (found == sessions_.end()) {
        return refused(KafkaError::fetch_session_id_not_found);
    }
    FetchSession& session = *found->second;
    if (session.epoch_ != request.session_epoch) {
        return refused(KafkaError::invalid_fetch_session_epoch);
    }
    if (session.by_id_ != request.by_id) {
        return refused(KafkaError::fetch_session_topic_id_error);
    }
    const auto added = std::count_if(request.asks.begin(), request.asks.end(),
                                     [&](const FetchAsk& ask) { return !session.knows(ask); });
    if (added > 0 && !has_room(static_cast<std::size_t>(added))) {
        sessions_.erase(found);
        return refused(KafkaError::fetch_session_id_not_found);  // it asks in full from now on
    }
    for (const FetchAsk& ask : request.asks) {
        session.ask(ask);
    }
    for (const FetchAsk& gone : request.forgotten) {
        session.forget(gone.topic, gone.topic_id, gone.partition);
    }
    plan.asks = session.asks();
    if (plan.asks.empty()) {
        // Nothing is left to be told of later; what was asked for just now is told once.
        sessions_.erase(found);
        plan.asks = without_repeats(std::move(request.asks));
        return plan;
    }
    session.used_ = now;
    session.epoch_ =
        session.epoch_ == std::numeric_limits<std::int32_t>::max() ? 1 : session.epoch_ + 1;
    plan.session = found->second;
    return plan;
}

bool FetchSessions::has_room(std::size_t more) const {
    // unordered: a sum
    for (const auto& [id, session] : sessions_) {
        more += session->size();
    }
    return more <= limits_.partitions;
}

std::shared_ptr<FetchSession> FetchSessions::create(bool is_follower, bool by_id,
                                                    std::size_t partitions, Instant now) {
    if ((sessions_.size() >= limits_.slots && !make_room(is_follower, now)) ||
        !has_room(partitions)) {
        return nullptr;
    }
    std::int32_t id = no_session;
    while (id == no_session || sessions_.contains(id)) {
        id = static_cast<std::int32_t>(random_.below(std::numeric_limits<std::int32_t>::max()));
    }
    auto session = std::make_shared<FetchSession>(id, by_id, is_follower, now);
    sessions_.emplace(id, session);
    return session;
}

/// Kafka's order: whoever has been silent for long goes; else a follower may take the place of a
/// client that had its time.
bool FetchSessions::make_room(bool is_follower, Instant now) {
    auto oldest = sessions_.end();
    auto oldest_client = sessions_.end();
    const auto used = [](const FetchSession& one) { return std::pair(one.used_, one.id_); };
    const auto created = [](const FetchSession& one) { return std::pair(one.created_, one.id_); };
    // unordered: of those that are as old the least id goes
    for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
        const FetchSession& one = *it->second;
        if (oldest == sessions_.end() || used(one) < used(*oldest->second)) {
            oldest = it;
        }
        if (!one.is_follower_ &&
            (oldest_client == sessions_.end() || created(one) < created(*oldest_client->second))) {
            oldest_client = it;
        }
    }
    if (oldest != sessions_.end() && now - oldest->second->used_ > limits_.eviction) {
        sessions_.erase(oldest);
        return true;
    }
    if (is_follower && oldest_client != sessions_.end() &&
        now - oldest_client->second->created_ > limits_.eviction) {
        sessions_.erase(oldest_client);
        return true;
    }
    return false;
}

}  // namespace millrace::handlers
