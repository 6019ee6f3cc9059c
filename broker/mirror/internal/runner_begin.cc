// Mirrors that are to be made, or to take over a topic that is here: once there is room for what
// their sources have. Nothing is begun that could not end.
#include <algorithm>
#include <utility>

#include "mirror/horizon_core.h"
#include "mirror/internal/runner.h"
#include "mirror/internal/sizes.h"

namespace millrace::mirror {
namespace {

/// Partitions of a wished mirror are those of its source; of what it takes over something may be
/// here.
Wanted wanted_by(const Runner::Begin& begin, const client::ClusterInfo& source, const Sizes& theirs,
                 const Sizes& ours, StartFrom start_from) {
    return std::visit(
        [&](const auto& action) {
            Wanted wanted{action.topic, {}};
            if (start_from == StartFrom::latest && std::holds_alternative<CreateMirror>(begin)) {
                return wanted;  // nothing of what is there
            }
            const auto found = source.topics.find(action.source_topic);
            if (found == source.topics.end()) {
                return wanted;
            }
            for (const client::PartitionInfo& partition : found->second.partitions) {
                const std::int32_t index = partition.index.value;
                wanted.partitions.push_back(std::max<std::int64_t>(
                    0, theirs.of(action.source_topic, index) - ours.of(action.topic, index)));
            }
            return wanted;
        },
        begin);
}

Rooms rooms_of(const Sizes& ours) {
    Rooms rooms;
    for (const auto& [broker, directories] : ours.directories) {
        for (const DirectoryRoom& one : directories) {
            if (one.usable >= 0 && one.total >= 0) {
                rooms[broker].push_back(room_in(one.usable, one.total));
            }
        }
    }
    return rooms;
}

constexpr int looks_for_sizes = 3;

bool never_says(const Error& why) {
    return why.code() == Code::permission || why.code() == Code::unsupported;
}

std::string in_gigabytes(std::int64_t bytes) {
    return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

}  // namespace

void Runner::act(const CreateMirror& action) {
    under_way_.insert(action.topic);
    begins_.emplace_back(action);
}

void Runner::act(const AdoptTopic& action) {
    under_way_.insert(action.topic);
    begins_.emplace_back(action);
}

void Runner::begin_topics() {
    if (begins_.empty()) {
        return;
    }
    auto begins = std::make_shared<std::vector<Begin>>(std::exchange(begins_, {}));
    std::vector<std::string> there;
    std::vector<std::string> here;
    for (const LocalTopic& local : topics_of_link(*shell_.image->current(), link_.id)) {
        const auto source = link_.spec.source_name(local.name);
        if (source && local.note.stage == Stage::mirroring) {
            there.push_back(*source);
            here.push_back(local.name);
        }
    }
    for (const Begin& one : *begins) {
        std::visit(
            [&](const auto& action) {
                there.push_back(action.source_topic);
                here.push_back(action.topic);
            },
            one);
    }
    read_sizes(*source_, std::move(there),
               [weak = weak_from_this(), begins, here](const Result<Sizes>& theirs) {
                   if (auto self = weak.lock()) {
                       self->compare_sizes(begins, here, theirs);
                   }
               });
}

void Runner::compare_sizes(const BeginsPtr& begins, const std::vector<std::string>& here,
                           const Result<Sizes>& theirs) {
    if (!theirs) {
        begin_without_sizes(*begins, theirs.error());
        return;
    }
    read_sizes(*shell_.own_client, here,
               [weak = weak_from_this(), begins, theirs = *theirs](const Result<Sizes>& ours) {
                   auto self = weak.lock();
                   if (self && ours) {
                       self->sizes_failed_ = 0;
                       self->begin_all(*begins, self->room_for(*begins, theirs, *ours));
                   } else if (self) {
                       self->begin_without_sizes(*begins, ours.error());
                   }
               });
}

RoomVerdict Runner::room_for(const std::vector<Begin>& begins, const Sizes& theirs,
                             const Sizes& ours) const {
    const metadata::ImagePtr image = shell_.image->current();
    std::vector<Coming> coming;
    for (const LocalTopic& local : topics_of_link(*image, link_.id)) {
        const auto source = link_.spec.source_name(local.name);
        if (!source || local.note.stage != Stage::mirroring || !local.begins.empty()) {
            continue;  // or nobody knows how much of it is to come
        }
        for (const auto& entry : image->topics.find(local.id)->partitions) {
            const std::int32_t index = entry.key.value;
            const std::int64_t left = theirs.of(*source, index) - ours.of(local.name, index);
            coming.push_back({std::max<std::int64_t>(0, left),
                              {entry.value->replicas.begin(), entry.value->replicas.end()}});
        }
    }
    std::vector<Wanted> wanted;
    for (const Begin& one : begins) {
        if (info_) {
            wanted.push_back(wanted_by(one, *info_, theirs, ours, link_.spec.start_from));
        }
    }
    const int copies =
        shell_.options.replication_factor > 0
            ? shell_.options.replication_factor
            : metadata::default_copies(*image, shell_.options.self, shell_.options.default_copies);
    return find_room(coming, std::move(wanted), static_cast<std::size_t>(std::max(1, copies)),
                     rooms_of(ours));
}

/// It is asked again at the next looks, but not for ever: who doesn't tell, or has a broker that
/// can't be reached from here, is followed all the same.
void Runner::begin_without_sizes(const std::vector<Begin>& begins, const Error& why) {
    const bool gives_up = never_says(why) || ++sizes_failed_ >= looks_for_sizes;
    MR_LOG(*shell_.log, info, "mirror.sizes_unknown", field("link", link_.spec.name),
           field("reason", why.message()), field("begins_all_the_same", gives_up));
    begin_all(begins, gives_up && why.code() != Code::cancelled ? std::optional(RoomVerdict{})
                                                                : std::nullopt);
}

/// Without a verdict it is asked again at the next look.
void Runner::begin_all(const std::vector<Begin>& begins,
                       const std::optional<RoomVerdict>& verdict) {
    const std::size_t lacked = room_.lacking.size();
    room_ = verdict.value_or(room_);
    if (room_.lacking.size() != lacked) {
        MR_LOG(*shell_.log, warn, "mirror.room_judged", field("link", link_.spec.name),
               field("topics_without_room", room_.lacking.size()),
               field("needed_bytes", room_.needed), field("left_bytes", room_.left));
    }
    for (const Begin& one : begins) {
        std::visit(
            [&](const auto& action) {
                under_way_.erase(action.topic);
                if (verdict && is_wished(action.topic, action.source_topic) &&
                    !room_.lacking.contains(action.topic) && source_) {
                    begin(action);
                }
            },
            one);
    }
}

bool Runner::is_wished(const std::string& topic, const std::string& source_topic) const {
    return link_.spec.takes_topic(source_topic) && link_.spec.mirror_name(source_topic) == topic &&
           (link_.spec.desired(topic) == Desired::mirroring ||
            (link_.spec.desired(topic) == Desired::promoted &&
             link_.spec.promotion == Promotion::planned));
}

std::string Runner::room_message() const {
    if (room_.lacking.empty()) {
        return "";
    }
    const std::string others =
        room_.lacking.size() > 1 ? fmt::format(" and {} more", room_.lacking.size() - 1) : "";
    return fmt::format(
        "no room for {}{}: {} are needed, {} are left here beside what is on its way and a "
        "twentieth of each disk. With more room or brokers it goes on by itself",
        *room_.lacking.begin(), others, in_gigabytes(room_.needed), in_gigabytes(room_.left));
}

void Runner::begin(const CreateMirror& action) {
    under_way_.insert(action.topic);
    read_settings({action.source_topic},
                  [weak = weak_from_this(), action](const Result<Settings>& settings) {
                      auto self = weak.lock();
                      if (!self) {
                          return;
                      }
                      self->under_way_.erase(action.topic);
                      if (settings && settings->contains(action.source_topic)) {
                          self->create(action, settings->at(action.source_topic));
                      }
                  });
}

void Runner::create(const CreateMirror& action,
                    const std::map<std::string, std::string>& settings) {
    if (!is_wished(action.topic, action.source_topic)) {
        return;
    }
    const auto chain = chain_of(settings);
    if (!chain && link_.spec.naming == Naming::prefix &&
        !link_.spec.names_topic(action.source_topic)) {
        // With prefixes both ways, a glob takes the other side's mirrors of our own topics, too.
        came_from_here_[action.source_topic] = {action.source_id,
                                                shell_.control.executor->clock().now()};
        left_out_.insert(action.source_topic);
        creating_.erase(action.topic);
        return;
    }
    if (!chain) {
        refused_[action.topic] = HaltReason::provenance_loop;
        return;
    }
    refused_.erase(action.topic);
    SettingChanges changes = setting_changes(settings, {});
    changes[std::string(topic_setting::link)] = link_.id;
    changes[std::string(topic_setting::state)] = to_text(StageNote{});
    changes[std::string(topic_setting::chain)] = *chain;
    changes[std::string(topic_setting::source_topic)] = action.source_id.to_string();
    if (const auto policy = settings.find("cleanup.policy");
        policy != settings.end() && policy->second.find("compact") != std::string::npos) {
        // A first copy that takes longer than tombstones stay is one that may lack some.
        changes[std::string(topic_setting::caught_up)] =
            to_text(CaughtUp{shell_.control.executor->clock().wall(), 0, false});
    }
    if (link_.spec.start_from == StartFrom::latest) {
        create_from_now(action, std::move(changes));
    } else {
        create_with(action, changes);
    }
}

/// What is there by now is left out, and what comes from now on is not: noted with the topic, so
/// that it is the same whenever its partitions begin, and whoever leads them then.
void Runner::create_from_now(const CreateMirror& action, SettingChanges changes) {
    under_way_.insert(action.topic);
    read_ends(*source_, {action.source_topic},
              [weak = weak_from_this(), action,
               changes = std::move(changes)](const Result<Ends>& ends) mutable {
                  auto self = weak.lock();
                  if (!self) {
                      return;
                  }
                  self->under_way_.erase(action.topic);
                  // Without an answer it is asked again at the next look.
                  if (ends && ends->contains(action.source_topic) &&
                      self->is_wished(action.topic, action.source_topic)) {
                      changes[std::string(topic_setting::begins)] =
                          begins_text(ends->at(action.source_topic));
                      self->create_with(action, changes);
                  }
              });
}

void Runner::create_with(const CreateMirror& action, const SettingChanges& changes) {
    shell_.own->create_topic(action.topic, action.partitions, shell_.options.replication_factor,
                             changes, noted("created", action.topic));
}

void Runner::begin(const AdoptTopic& action) {
    under_way_.insert(action.topic);
    read_settings({action.source_topic}, [weak = weak_from_this(),
                                          action](const Result<Settings>& settings) {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        self->under_way_.erase(action.topic);
        if (!settings || !settings->contains(action.source_topic) ||
            !self->is_wished(action.topic, action.source_topic)) {
            return;
        }
        const auto chain = self->chain_of(settings->at(action.source_topic));
        if (!chain) {
            self->refused_[action.topic] = HaltReason::provenance_loop;
            return;
        }
        SettingChanges changes;
        changes[std::string(topic_setting::link)] = self->link_.id;
        const auto local = local_topic(*self->shell_.image->current(), action.topic);
        const bool takes_writes =
            !local || local->link.empty() || local->note.stage == Stage::promoted;
        if (takes_writes && self->link_.spec.desired(action.topic) == Desired::promoted) {
            return;  // wished otherwise meanwhile: it goes on taking them
        }
        changes[std::string(topic_setting::state)] = to_text(
            takes_writes ? StageNote{Stage::rejoining, std::string(adopted), 0} : StageNote{});
        changes[std::string(topic_setting::chain)] = *chain;
        changes[std::string(topic_setting::source_topic)] = action.source_id.to_string();
        changes[std::string(topic_setting::promotion)] = std::nullopt;  // of a link of before
        changes[std::string(topic_setting::drained)] = std::nullopt;
        changes[std::string(topic_setting::shared)] = std::nullopt;
        if (local && began_here(settings->at(action.source_topic), self->shell_.options.cluster_id,
                                local->id)) {
            changes[std::string(topic_setting::shared)] = "true";
        }
        if (takes_writes) {
            changes[std::string(topic_setting::since)] = self->now_as_text();
        }
        self->shell_.own->set_topic(action.topic, changes, self->noted("adopted", action.topic));
        self->arm(drain_look);
    });
}

}  // namespace millrace::mirror
