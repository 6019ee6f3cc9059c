#include "mirror/internal/ends.h"

#include <algorithm>
#include <memory>

#include "metadata/link_mark.h"
#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"

namespace millrace::mirror {
namespace {

using protocol::ListOffsetsRequest;
using protocol::ListOffsetsResponse;

constexpr std::int64_t latest = -1;
constexpr std::int64_t earliest = -2;
constexpr client::Versions versions{1, ListOffsetsRequest::max_version};

/// What is asked of every partition.
struct Question {
    std::int64_t which = latest;
    bool closing = false;  ///< Of brokers of ours: with the mark of a link.
};

struct Reading {
    Question question;
    std::string expected_cluster;  ///< Empty: whichever it is.
    LastEnds ends;
    std::size_t left = 0;
    UniqueFunction<void(Result<LastEnds>)> done;

    void arrive(const Result<ListOffsetsResponse>& response) {
        if (response) {
            for (const auto& topic : response->topics) {
                const auto found = ends.find(std::string(topic.name));
                if (found == ends.end()) {
                    continue;
                }
                for (const auto& partition : topic.partitions) {
                    note(found->second, partition);
                }
            }
        }
        if (--left == 0) {
            finish();
        }
    }
    static void note(TopicEnds& to, const ListOffsetsResponse::ListOffsetsPartitionResponse& from) {
        const auto index = static_cast<std::size_t>(from.partition_index);
        if (index >= to.partitions.size() || from.error_code != 0) {
            return;
        }
        to.partitions[index] = {Offset{from.offset}, LeaderEpoch{from.leader_epoch}};
        const auto mark = metadata::ClosingMark::find(from.unknown_tags);
        const bool says_closed =
            mark && mark->is_closed &&
            mark->partitions == static_cast<std::int32_t>(to.partitions.size());
        to.is_closed = to.is_closed && says_closed;
        to.is_open = to.is_open || (mark && !says_closed);
    }
    void finish() {
        std::erase_if(ends, [](const auto& topic) {
            const auto& all = topic.second.partitions;
            return std::any_of(all.begin(), all.end(),
                               [](const LogEnd& one) { return one.offset == no_offset; });
        });
        done(std::move(ends));
    }
};

/// Of each leader: topics and their partitions.
using Questions = std::map<BrokerId, std::map<std::string, std::vector<std::int32_t>>>;

Questions questions_for(const client::ClusterInfo& info, const std::vector<std::string>& topics,
                        Reading& reading) {
    Questions questions;
    for (const std::string& name : topics) {
        const auto topic = info.topics.find(name);
        if (topic == info.topics.end() || topic->second.partitions.empty()) {
            continue;
        }
        TopicEnds& ends = reading.ends[name];
        ends.id = topic->second.id;
        ends.partitions.resize(topic->second.partitions.size());
        ends.is_closed = reading.question.closing;
        for (const client::PartitionInfo& partition : topic->second.partitions) {
            questions[partition.leader][name].push_back(partition.index.value);
        }
    }
    return questions;
}

ListOffsetsRequest request_of(const std::map<std::string, std::vector<std::int32_t>>& asked,
                              const Question& question, std::int16_t version) {
    ListOffsetsRequest request;
    request.replica_id = -1;
    for (const auto& [name, partitions] : asked) {
        auto& to = request.topics.emplace_back();
        to.name = name;
        for (const std::int32_t index : partitions) {
            auto& one = to.partitions.emplace_back();
            one.partition_index = index;
            one.timestamp = question.which;
            if (question.closing && version >= ListOffsetsRequest::first_flexible_version) {
                one.unknown_tags.push_back({.tag = metadata::link_tag, .data = {}});
            }
        }
    }
    return request;
}

void ask_leaders(client::Cluster& cluster, const Questions& questions,
                 const std::shared_ptr<Reading>& reading) {
    reading->left = questions.size() + 1;
    for (const auto& [leader, asked] : questions) {
        client::Connection* connection = cluster.broker(leader);
        if (connection == nullptr) {
            reading->arrive(Error(Code::unavailable, "a partition has no leader"));
            continue;
        }
        client::ask<ListOffsetsRequest, ListOffsetsResponse>(
            *connection, cluster.request_timeout(),
            [asked = asked, question = reading->question](std::int16_t version) {
                return request_of(asked, question, version);
            },
            [reading](const Result<ListOffsetsResponse>& response, std::int16_t) {
                reading->arrive(response);
            },
            versions);
    }
    reading->arrive(ListOffsetsResponse{});  // so that nobody to ask is an answer, too
}

void read(client::Cluster& cluster, std::vector<std::string> topics,
          const std::shared_ptr<Reading>& reading) {
    cluster.refresh([&cluster, topics = std::move(topics),
                     reading](const Result<client::ClusterInfoPtr>& info) {
        if (!info) {
            reading->done(info.error());
            return;
        }
        const std::string& expected = reading->expected_cluster;
        if (!expected.empty() && (*info)->cluster_id != expected) {
            reading->done(Error::make(Code::fenced, "cluster {} answers, not {}",
                                      (*info)->cluster_id, expected));
            return;
        }
        ask_leaders(cluster, questions_for(**info, topics, *reading), reading);
    });
}

void read_offsets(client::Cluster& cluster, std::vector<std::string> topics, std::int64_t which,
                  UniqueFunction<void(Result<Ends>)> done) {
    auto reading = std::make_shared<Reading>();
    reading->question.which = which;
    reading->done = [done = std::move(done)](Result<LastEnds> found) mutable {
        if (!found) {
            done(found.error());
            return;
        }
        Ends ends;
        for (const auto& [name, topic] : *found) {
            for (const LogEnd& one : topic.partitions) {
                ends[name].push_back(one.offset);
            }
        }
        done(std::move(ends));
    };
    read(cluster, std::move(topics), reading);
}

}  // namespace

void read_ends(client::Cluster& cluster, std::vector<std::string> topics,
               UniqueFunction<void(Result<Ends>)> done) {
    read_offsets(cluster, std::move(topics), latest, std::move(done));
}

void read_starts(client::Cluster& cluster, std::vector<std::string> topics,
                 UniqueFunction<void(Result<Ends>)> done) {
    read_offsets(cluster, std::move(topics), earliest, std::move(done));
}

void read_committed_ends(client::Cluster& cluster, std::vector<std::string> topics,
                         UniqueFunction<void(Result<LastEnds>)> done) {
    auto reading = std::make_shared<Reading>();
    reading->done = std::move(done);
    read(cluster, std::move(topics), reading);
}

void read_last_ends(client::Cluster& cluster, const std::string& expected_cluster,
                    std::vector<std::string> topics, UniqueFunction<void(Result<LastEnds>)> done) {
    auto reading = std::make_shared<Reading>();
    reading->question.closing = true;
    reading->expected_cluster = expected_cluster;
    reading->done = std::move(done);
    read(cluster, std::move(topics), reading);
}

}  // namespace millrace::mirror
