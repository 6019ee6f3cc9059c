#include "mirror/internal/group_sync.h"

#include <utility>

#include "metadata/link_mark.h"
#include "mirror/internal/ends.h"
#include "protocol/messages/list_groups_request.h"
#include "protocol/messages/list_groups_response.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"

namespace millrace::mirror {
namespace {

using protocol::ListGroupsRequest;
using protocol::ListGroupsResponse;
using protocol::OffsetCommitRequest;
using protocol::OffsetCommitResponse;
using protocol::OffsetFetchRequest;
using protocol::OffsetFetchResponse;

/// One group a request, all its topics: what every broker from 2.1 on can answer.
constexpr client::Versions offset_fetch_versions{2, 7};
constexpr client::Versions commit_versions{2, 8};
constexpr client::Versions list_versions{0, 4};

constexpr std::size_t groups_at_once = 32;

std::optional<Timestamp> time_of(const std::vector<protocol::UnknownTag>& tags) {
    const auto mark = metadata::CommitMark::find(tags);
    return mark ? std::optional(mark->at) : std::nullopt;
}

GroupOffsets offsets_of(const OffsetFetchResponse& response) {
    GroupOffsets offsets;
    for (const auto& topic : response.topics) {
        for (const auto& partition : topic.partitions) {
            if (partition.error_code == 0 && partition.committed_offset >= 0) {
                offsets[{std::string(topic.name), PartitionIndex{partition.partition_index}}] = {
                    Offset{partition.committed_offset},
                    LeaderEpoch{partition.committed_leader_epoch},
                    std::string(partition.metadata.value_or("")), time_of(partition.unknown_tags)};
            }
        }
    }
    return offsets;
}

}  // namespace

struct GroupSync::Round {
    LinkSpec spec;
    Mirrors mirrors;
    Done done;
    Endings endings;  ///< Not empty: nothing is copied.
    std::string mark;
    std::set<std::string> groups;  ///< Still to do.
    std::size_t under_way = 0;
    std::size_t brokers_left = 0;
    Ends ends;  ///< Of mirrors, as far as they were asked for in this round.
    Ends starts;
    Outcome outcome;
};

struct GroupSync::OneGroup {
    std::string name;
    GroupWorld world;
    GroupPlan plan;
};

void GroupSync::round(const LinkSpec& spec, std::string mark, Mirrors mirrors, Done done) {
    auto round = std::make_shared<Round>();
    round->spec = spec;
    round->mark = std::move(mark);
    round->mirrors = std::move(mirrors);
    round->done = std::move(done);
    list_groups(round);
}

void GroupSync::end(Endings endings, Done done) {
    auto round = std::make_shared<Round>();
    round->endings = std::move(endings);
    round->done = std::move(done);
    list_groups(round);
}

void GroupSync::set_back(const std::shared_ptr<Round>& round,
                         const std::shared_ptr<OneGroup>& group) {
    fetch(own_, group->name,
          guarded([round, group](GroupSync& self, const Result<GroupOffsets>& offsets) {
              if (!offsets) {
                  self.give_up(round, *group, offsets.error());
                  return;
              }
              group->plan = mirror::end_group(*offsets, round->endings);
              if (group->plan.commit.empty()) {
                  self.end_group(round);
                  return;
              }
              round->outcome.clamped[group->name] = group->plan.clamped;
              self.commit(round, group);
          }));
}

void GroupSync::list_groups(const std::shared_ptr<Round>& round) {
    const client::ClusterInfoPtr info = source_.info();
    if (!info || info->brokers.empty()) {
        round->done(Error(Code::unavailable, "no broker of the source is known"));
        return;
    }
    round->brokers_left = info->brokers.size();
    for (const auto& [id, address] : info->brokers) {
        client::ask<ListGroupsRequest, ListGroupsResponse>(
            *source_.broker(id), source_.request_timeout(),
            [](std::int16_t) { return ListGroupsRequest{}; },
            guarded([round](GroupSync& self, const Result<ListGroupsResponse>& response,
                            std::int16_t) {
                if (response) {
                    for (const auto& group : response->groups) {
                        if (!round->endings.empty() || round->spec.takes_group(group.group_id)) {
                            round->groups.emplace(group.group_id);
                        }
                    }
                } else {
                    ++round->outcome.failed;
                }
                if (--round->brokers_left == 0) {
                    self.begin_groups(round);
                }
            }),
            list_versions);
    }
}

/// Several at once: a promotion waits for a round, and a source may be far away.
void GroupSync::begin_groups(const std::shared_ptr<Round>& round) {
    while (!round->groups.empty() && round->under_way < groups_at_once) {
        ++round->under_way;
        std::string name = *round->groups.begin();
        round->groups.erase(round->groups.begin());
        begin_group(round, std::move(name));
    }
    if (round->under_way == 0 && round->done) {
        std::exchange(round->done, {})(std::move(round->outcome));
    }
}

void GroupSync::end_group(const std::shared_ptr<Round>& round) {
    --round->under_way;
    begin_groups(round);
}

void GroupSync::begin_group(const std::shared_ptr<Round>& round, std::string name) {
    auto group = std::make_shared<OneGroup>();
    group->name = std::move(name);
    group->world.mark = round->mark;
    if (!round->endings.empty()) {
        set_back(round, group);
        return;
    }
    fetch(source_, group->name,
          guarded([round, group](GroupSync& self, const Result<GroupOffsets>& offsets) {
              if (!offsets) {
                  self.give_up(round, *group, offsets.error());
                  return;
              }
              std::set<std::string> topics;
              for (const auto& [partition, offset] : *offsets) {
                  const auto mirror = round->mirrors.find(partition.topic);
                  if (mirror != round->mirrors.end()) {
                      const Mirror& here = mirror->second;
                      group->world.source[{here.topic, partition.partition}] = offset;
                      if (here.since) {
                          group->world.follows_since[here.topic] = *here.since;
                      }
                      if (!round->starts.contains(here.topic)) {  // what is read last
                          topics.insert(here.topic);
                      }
                  }
              }
              if (group->world.source.empty()) {
                  self.end_group(round);
                  return;
              }
              self.reach(round, group, topics);
          }));
}

/// A reach that was read for an earlier group of this round has only grown since. Where the mirror
/// begins is asked last: what retention takes meanwhile is not offered to anybody.
void GroupSync::reach(const std::shared_ptr<Round>& round, const std::shared_ptr<OneGroup>& group,
                      const std::set<std::string>& topics) {
    if (topics.empty()) {
        use_reach(round, group);
        return;
    }
    const std::vector<std::string> names(topics.begin(), topics.end());
    read_ends(own_, names, guarded([round, group, names](GroupSync& self, Result<Ends> ends) {
                  if (!ends) {
                      self.give_up(round, *group, ends.error());
                      return;
                  }
                  round->ends.merge(*std::move(ends));
                  read_starts(self.own_, names,
                              self.guarded([round, group](GroupSync& again, Result<Ends> starts) {
                                  if (!starts) {
                                      again.give_up(round, *group, starts.error());
                                      return;
                                  }
                                  round->starts.merge(*std::move(starts));
                                  again.use_reach(round, group);
                              }));
              }));
}

void GroupSync::use_reach(const std::shared_ptr<Round>& round,
                          const std::shared_ptr<OneGroup>& group) {
    bool knows_all = true;
    for (const auto& [partition, offset] : group->world.source) {
        const auto ends = round->ends.find(partition.topic);
        const auto starts = round->starts.find(partition.topic);
        const auto index = static_cast<std::size_t>(partition.partition.value);
        if (ends != round->ends.end() && starts != round->starts.end() &&
            index < ends->second.size() && index < starts->second.size()) {
            group->world.reach[partition] = {starts->second[index], ends->second[index]};
        } else {
            knows_all = false;
        }
    }
    if (!knows_all) {
        ++round->outcome.failed;  // what can be copied is; the rest has to wait for another round
    }
    read_here(round, group);
}

void GroupSync::read_here(const std::shared_ptr<Round>& round,
                          const std::shared_ptr<OneGroup>& group) {
    fetch(own_, group->name, guarded([round, group](GroupSync& self, Result<GroupOffsets> offsets) {
              if (!offsets) {
                  self.give_up(round, *group, offsets.error());
                  return;
              }
              group->world.here = *std::move(offsets);
              group->plan = plan_group(group->world);
              ++round->outcome.groups;
              round->outcome.skipped += group->plan.skipped;
              if (!group->plan.clamped.empty()) {
                  round->outcome.clamped[group->name] = group->plan.clamped;
              }
              if (group->plan.commit.empty()) {
                  self.end_group(round);
              } else {
                  self.commit(round, group);
              }
          }));
}

void GroupSync::commit(const std::shared_ptr<Round>& round,
                       const std::shared_ptr<OneGroup>& group) {
    own_.find_coordinator(
        group->name, guarded([round, group](GroupSync& self, Result<BrokerId> coordinator) {
            client::Connection* connection = coordinator ? self.own_.broker(*coordinator) : nullptr;
            if (connection == nullptr) {
                self.give_up(round, *group,
                             coordinator ? Error(Code::unavailable, "the coordinator is not known")
                                         : coordinator.error());
                return;
            }
            client::ask<OffsetCommitRequest, OffsetCommitResponse>(
                *connection, self.own_.request_timeout(),
                [group](std::int16_t) {
                    // Without a generation: refused by the coordinator as soon as the group has
                    // members.
                    OffsetCommitRequest request;
                    request.group_id = group->name;
                    request.generation_id_or_member_epoch = -1;
                    for (const auto& [partition, offset] : group->plan.commit) {
                        if (request.topics.empty() ||
                            request.topics.back().name != partition.topic) {
                            request.topics.emplace_back().name = partition.topic;
                        }
                        auto& to = request.topics.back().partitions.emplace_back();
                        to.partition_index = partition.partition.value;
                        to.committed_offset = offset.offset.value;
                        to.committed_leader_epoch = offset.epoch.value;
                        to.committed_metadata = offset.metadata;
                    }
                    return request;
                },
                self.guarded([round, group](GroupSync& again,
                                            const Result<OffsetCommitResponse>& response,
                                            std::int16_t) {
                    if (!response) {
                        again.give_up(round, *group, response.error());
                        return;
                    }
                    for (const auto& topic : response->topics) {
                        for (const auto& partition : topic.partitions) {
                            ++(partition.error_code == 0 ? round->outcome.written
                                                         : round->outcome.skipped);
                        }
                    }
                    again.end_group(round);
                }),
                commit_versions);
        }));
}

void GroupSync::give_up(const std::shared_ptr<Round>& round, const OneGroup& group,
                        const Error& why) {
    MR_LOG(log_, debug, "mirror.group_not_synced", field("group", group.name),
           field("reason", why.message()));
    ++round->outcome.failed;
    end_group(round);
}

void GroupSync::fetch(client::Cluster& cluster, const std::string& group,
                      UniqueFunction<void(Result<GroupOffsets>)> done) {
    auto shared = std::make_shared<UniqueFunction<void(Result<GroupOffsets>)>>(std::move(done));
    cluster.find_coordinator(group, [&cluster, group, shared](Result<BrokerId> coordinator) {
        client::Connection* connection = coordinator ? cluster.broker(*coordinator) : nullptr;
        if (connection == nullptr) {
            (*shared)(coordinator ? Error(Code::unavailable, "the coordinator is not known")
                                  : coordinator.error());
            return;
        }
        client::ask<OffsetFetchRequest, OffsetFetchResponse>(
            *connection, cluster.request_timeout(),
            [group](std::int16_t version) {
                OffsetFetchRequest request;
                request.group_id = group;
                request.topics = std::nullopt;
                if (version >= OffsetFetchRequest::first_flexible_version) {
                    request.unknown_tags.push_back({.tag = metadata::link_tag, .data = {}});
                }
                return request;
            },
            [shared](const Result<OffsetFetchResponse>& response, std::int16_t) {
                if (!response) {
                    (*shared)(response.error());
                } else if (response->error_code != 0) {
                    (*shared)(Error::make(Code::unavailable, "{}",
                                          static_cast<KafkaError>(response->error_code)));
                } else {
                    (*shared)(offsets_of(*response));
                }
            },
            offset_fetch_versions);
    });
}

}  // namespace millrace::mirror
