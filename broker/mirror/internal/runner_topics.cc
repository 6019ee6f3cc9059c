// The topics of a link: what the plan says is carried out, one broker for all.
#include <algorithm>
#include <utility>

#include "mirror/horizon_core.h"
#include "mirror/internal/ends.h"
#include "mirror/internal/runner.h"

namespace millrace::mirror {

void Runner::plan(const client::ClusterInfo* source) {
    const metadata::ImagePtr image = shell_.image->current();
    const TopicPlan plan =
        plan_topics({link_, source, *image, missing_, shell_.control.executor->clock().wall(),
                     shell_.options.deletion_grace});
    if (source != nullptr) {
        missing_.clear();
        for (const LocalTopic& local : topics_of_link(*image, link_.id)) {
            const auto name = link_.spec.source_name(local.name);
            if (name && !is_archive(local) && !source->topics.contains(*name)) {
                missing_.insert(*name);
                look_again_ = look_again_ || local.note.stage == Stage::mirroring;
            }
        }
        refused_ = plan.refused;
        has_planned_ = true;
        creating_.clear();
        for (const TopicAction& action : plan.actions) {
            if (const auto* create = std::get_if<CreateMirror>(&action)) {
                creating_.insert(create->topic);
            } else if (const auto* adopt = std::get_if<AdoptTopic>(&action)) {
                creating_.insert(adopt->topic);
            }
        }
    }
    drains_next_ = std::any_of(plan.actions.begin(), plan.actions.end(), [](const auto& action) {
        const auto* set = std::get_if<SetStage>(&action);
        return set != nullptr && set->note.stage == Stage::promoting;
    });
    for (const TopicAction& action : plan.actions) {
        std::visit(
            [this](const auto& one) {
                if (!under_way_.contains(one.topic)) {
                    act(one);
                }
            },
            action);
    }
    std::erase_if(draining_, [&](const auto& entry) {
        const auto local = local_topic(*image, entry.first);
        return !local || local->note.stage != Stage::promoting;
    });
    drain();
}

OwnCluster::Done Runner::noted(std::string what, std::string topic) {
    under_way_.insert(topic);
    return [weak = weak_from_this(), what = std::move(what),
            topic = std::move(topic)](const Result<void>& outcome) {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        self->under_way_.erase(topic);
        const bool fine = outcome || outcome.error().code() == Code::exists;
        if (fine) {
            MR_LOG(*self->shell_.log, info, "mirror.topic_changed",
                   field("link", self->link_.spec.name), field("topic", topic),
                   field("what", what));
        } else {
            MR_LOG(*self->shell_.log, warn, "mirror.topic_not_changed",
                   field("link", self->link_.spec.name), field("topic", topic), field("what", what),
                   field("reason", outcome.error().message()));
        }
    };
}

void Runner::act(const CreateMirror& action) {
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
    const auto chain = chain_of(settings);
    if (!chain) {
        refused_[action.topic] = HaltReason::provenance_loop;
        return;
    }
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
    shell_.own->create_topic(action.topic, action.partitions, shell_.options.replication_factor,
                             changes, noted("created", action.topic));
}

void Runner::act(const AdoptTopic& action) {
    under_way_.insert(action.topic);
    read_settings({action.source_topic}, [weak = weak_from_this(),
                                          action](const Result<Settings>& settings) {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        self->under_way_.erase(action.topic);
        if (!settings || !settings->contains(action.source_topic)) {
            return;
        }
        const auto chain = self->chain_of(settings->at(action.source_topic));
        if (!chain) {
            self->refused_[action.topic] = HaltReason::provenance_loop;
            return;
        }
        SettingChanges changes;
        changes[std::string(topic_setting::link)] = self->link_.id;
        changes[std::string(topic_setting::state)] = to_text(StageNote{});
        changes[std::string(topic_setting::chain)] = *chain;
        changes[std::string(topic_setting::source_topic)] = action.source_id.to_string();
        changes[std::string(topic_setting::promotion)] = std::nullopt;  // of a link of before
        self->shell_.own->set_topic(action.topic, changes, self->noted("adopted", action.topic));
    });
}

std::optional<std::string> Runner::chain_of(
    const std::map<std::string, std::string>& settings) const {
    const auto get = [&](std::string_view name) {
        const auto found = settings.find(std::string(name));
        return found == settings.end() ? std::string() : found->second;
    };
    return chain_through(link_.cluster_id, get(topic_setting::chain),
                         stage_of(get(topic_setting::state)).stage, shell_.options.cluster_id);
}

void Runner::act(const RemoveMirror& action) {
    shell_.own->delete_topic(action.id, noted("removed", action.topic));
}

/// An archive is filled like a mirror, with our own topic as its source.
void Runner::act(const CreateArchive& action) {
    const auto of = local_topic(*shell_.image->current(), action.of);
    if (!of) {
        return;
    }
    SettingChanges changes;
    for (const auto& [name, value] : of->settings) {
        if (is_synced_setting(name)) {
            changes[name] = value;
        }
    }
    changes[std::string(topic_setting::link)] = link_.id;
    changes[std::string(topic_setting::state)] = to_text(StageNote{Stage::archiving, {}, 0});
    changes[std::string(topic_setting::chain)] = of->chain;
    changes[std::string(topic_setting::source_topic)] = of->id.to_string();
    shell_.own->create_topic(action.topic, of->partitions, shell_.options.replication_factor,
                             changes, noted("archive made", action.topic));
}

void Runner::act(const FinishArchive& action) {
    under_way_.insert(action.topic);
    read_ends(*shell_.own_client, {action.topic, action.of},
              [weak = weak_from_this(), action](const Result<Ends>& ends) {
                  auto self = weak.lock();
                  if (!self) {
                      return;
                  }
                  self->under_way_.erase(action.topic);
                  if (ends && ends->contains(action.topic) && ends->contains(action.of) &&
                      ends->at(action.topic) == ends->at(action.of)) {
                      self->act(SetStage{action.topic, {Stage::archived, {}, 0}});
                  }
                  self->look_soon();
              });
}

void Runner::act(const GrowMirror& action) {
    shell_.own->grow_topic(action.topic, action.partitions, noted("grown", action.topic));
}

void Runner::act(const SetStage& action) {
    SettingChanges changes;
    changes[std::string(topic_setting::state)] = to_text(action.note);
    if (action.note.stage == Stage::promoted) {
        // Who was fenced when the other side took over is not any more.
        changes[std::string(topic_setting::fenced)] = std::nullopt;
    } else {
        changes[std::string(topic_setting::promotion)] = std::nullopt;
    }
    const auto local = local_topic(*shell_.image->current(), action.topic);
    const auto source = link_.spec.source_name(action.topic);
    if (local && source && source_ && local->note.stage == Stage::promoting &&
        action.note.stage != Stage::promoted) {
        // The promotion is off.
        set_fences({*source}, std::nullopt, [](const Result<FenceOutcomes>&) {});
    }
    shell_.own->set_topic(action.topic, changes, noted(to_text(action.note), action.topic));
}

}  // namespace millrace::mirror
