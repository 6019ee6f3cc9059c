#include "mirror/internal/source_session.h"

#include <limits>

namespace millrace::mirror {

SourceSession::Request SourceSession::next(const SourcePositions& wanted) const {
    Request request{id_, epoch_, {}, {}};
    if (epoch_ == 0) {
        request.ask = wanted;
        return request;
    }
    for (const auto& [name, topic] : wanted) {
        const auto known = known_.find(name);
        // A topic made anew is another one to the source: the old one is forgotten below.
        const bool same = known != known_.end() && known->second.id == topic.id;
        for (const auto& [partition, position] : topic.partitions) {
            const auto before = same ? known->second.partitions.find(partition)
                                     : decltype(topic.partitions.end()){};
            if (!same || before == known->second.partitions.end() || before->second != position) {
                SourceTopic& to = request.ask[name];
                to.id = topic.id;
                to.partitions.emplace(partition, position);
            }
        }
    }
    for (const auto& [name, topic] : known_) {
        const auto still = wanted.find(name);
        const bool same = still != wanted.end() && still->second.id == topic.id;
        for (const auto& [partition, position] : topic.partitions) {
            if (!same || !still->second.partitions.contains(partition)) {
                auto& forgotten = request.forget[name];
                forgotten.first = topic.id;
                forgotten.second.push_back(partition);
            }
        }
    }
    return request;
}

void SourceSession::answered(std::int32_t session_id, SourcePositions wanted) {
    if (session_id == 0) {
        id_ = 0;  // it has no room for one
        epoch_ = 0;
        known_.clear();
        return;
    }
    const bool is_last = epoch_ == std::numeric_limits<std::int32_t>::max();
    epoch_ = session_id != id_ || is_last ? 1 : epoch_ + 1;
    id_ = session_id;
    known_ = std::move(wanted);
}

void SourceSession::failed() {
    epoch_ = 0;
    known_.clear();
}

bool SourceSession::is_about_session(KafkaError error) {
    return error == KafkaError::fetch_session_id_not_found ||
           error == KafkaError::invalid_fetch_session_epoch ||
           error == KafkaError::fetch_session_topic_id_error;
}

}  // namespace millrace::mirror
