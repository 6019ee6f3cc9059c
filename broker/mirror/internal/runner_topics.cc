// The topics of a link: what the plan says is carried out, one broker for all.
#include <algorithm>
#include <utility>

#include "mirror/internal/ends.h"
#include "mirror/internal/runner.h"

namespace millrace::mirror {
namespace {

constexpr Duration loops_stay = 60s;
/// What is in the metadata, every broker that is up has taken over by then.
constexpr Duration seen_everywhere = 1s;

}  // namespace

void Runner::plan(const client::ClusterInfo* source) {
    const metadata::ImagePtr image = shell_.image->current();
    TopicPlan plan =
        plan_topics({link_, source, *image, missing_, shell_.control.executor->clock().wall(),
                     shell_.options.deletion_grace});
    leave_out_what_came_from_here(plan);
    if (source != nullptr) {
        missing_.clear();
        for (const LocalTopic& local : topics_of_link(*image, link_.id)) {
            const auto name = link_.spec.source_name(local.name);
            if (name && !is_archive(local) && !source->topics.contains(*name)) {
                missing_.insert(*name);
                look_again_ = look_again_ || local.note.stage == Stage::mirroring;
            }
        }
        // What came from here stays refused while its settings are read once more: a promotion that
        // looks in between would wait for it.
        std::erase_if(refused_, [](const auto& entry) {
            return entry.second != HaltReason::provenance_loop;
        });
        const auto loops = std::exchange(refused_, plan.refused);
        strangers_.clear();
        for (const auto& [topic, name] : plan.strangers) {
            strangers_.insert(topic);
            const auto known = at_source_.find(topic);
            if (known != at_source_.end() && !known->second.came_from_here) {
                refused_[topic] = HaltReason::name_conflict;
            }
        }
        left_out_ = plan.left_out;
        missed_ = plan.missed;
        has_planned_ = true;
        creating_.clear();
        for (const TopicAction& action : plan.actions) {
            if (const auto* create = std::get_if<CreateMirror>(&action)) {
                creating_.insert(create->topic);
            } else if (const auto* adopt = std::get_if<AdoptTopic>(&action)) {
                creating_.insert(adopt->topic);
            }
        }
        for (const auto& [topic, reason] : loops) {
            if (creating_.contains(topic)) {
                refused_.emplace(topic, reason);
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
    begin_topics();
    rejoin();
    release();
    if (source != nullptr) {
        room_ = creating_.empty() ? RoomVerdict{} : room_;
        std::erase_if(held_, [&](const auto& entry) {
            return std::none_of(plan.actions.begin(), plan.actions.end(),
                                [&](const TopicAction& action) {
                                    const auto* one = std::get_if<Rejoin>(&action);
                                    return one != nullptr && one->topic == entry.first;
                                });
        });
    }
    std::erase_if(draining_, [&](const auto& entry) {
        const auto local = local_topic(*image, entry.first);
        return !local || local->note.stage != Stage::promoting;
    });
    end_groups(*image);
    drain();
}

/// It is looked at again now and then: what is promoted there is the other side's own from then on.
void Runner::leave_out_what_came_from_here(TopicPlan& plan) {
    const Instant now = shell_.control.executor->clock().now();
    std::erase_if(plan.actions, [&](const TopicAction& action) {
        const auto* create = std::get_if<CreateMirror>(&action);
        if (create == nullptr) {
            return false;
        }
        const auto known = came_from_here_.find(create->source_topic);
        if (known == came_from_here_.end()) {
            return false;
        }
        if (known->second.id != create->source_id || now - known->second.seen > loops_stay) {
            came_from_here_.erase(known);
            return false;
        }
        plan.left_out.insert(create->source_topic);
        return true;
    });
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

std::optional<std::string> Runner::chain_of(
    const std::map<std::string, std::string>& settings) const {
    return chain_in(settings, link_.cluster_id, shell_.options.cluster_id);
}

void Runner::act(const Rejoin& action) {
    const auto local = local_topic(*shell_.image->current(), action.topic);
    if (local && local->note.stage == Stage::rejoining) {
        rejoining_.try_emplace(action.topic, shell_.control.executor->clock().now());
    } else {
        rejoining_.erase(action.topic);
    }
    rejoins_[action.source_topic] = action.topic;
    under_way_.insert(action.topic);
}

void Runner::rejoin() {
    if (rejoins_.empty()) {
        return;
    }
    std::vector<std::string> names;
    for (const auto& [source, topic] : rejoins_) {
        names.push_back(source);
    }
    read_settings(names, [weak = weak_from_this(),
                          asked = std::exchange(rejoins_, {})](const Result<Settings>& settings) {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        for (const auto& [source, topic] : asked) {
            self->under_way_.erase(topic);
            if (settings) {
                const auto found = settings->find(source);
                const auto* const known = found == settings->end() ? nullptr : &found->second;
                self->recognize(topic, source, known);
                self->rejoin(topic, known);
            }
        }
        self->release();
    });
}

/// What was lost at the source and came back as a copy of what is here has another id, and may be
/// in another cluster. It is not another topic: all that it had is here.
void Runner::recognize(const std::string& topic, const std::string& source,
                       const std::map<std::string, std::string>* settings) {
    copies_.erase(topic);
    const auto local = local_topic(*shell_.image->current(), topic);
    if (settings == nullptr || !local || !info_) {
        return;
    }
    const auto found = info_->topics.find(source);
    const auto chain = chain_of(*settings);
    if (found == info_->topics.end() || found->second.id.is_zero() || !chain ||
        found->second.id == local->source_topic ||
        !began_here(*settings, shell_.options.cluster_id, local->id)) {
        return;
    }
    copies_[topic] = {{std::string(topic_setting::source_topic), found->second.id.to_string()},
                      {std::string(topic_setting::chain), *chain}};
}

void Runner::rejoin(const std::string& topic, const std::map<std::string, std::string>* settings) {
    const auto local = local_topic(*shell_.image->current(), topic);
    if (!local) {
        return;
    }
    const bool is_rejoining = local->note.stage == Stage::rejoining;
    if (!is_to_rejoin(*local)) {  // called off meanwhile
        if (is_rejoining) {
            go_back(*local, settings);
        }
        return;
    }
    const Hold hold = hold_of(settings, shell_.options.cluster_id);
    const Hold before = std::exchange(held_[topic], hold);
    if (hold == Hold::none) {
        held_.erase(topic);
        const StageNote follows{Stage::mirroring, {}, 0};
        if (!is_rejoining) {
            // The other side may be told at this very moment to follow us: then each would cut
            // what the other one is to keep. So it can be seen there first, then it is looked at
            // once more; of two that do so, at most one goes on.
            set_stage(topic, {Stage::rejoining, {}, 0});
            arm(drain_look);
            return;
        }
        const Instant now = shell_.control.executor->clock().now();
        if (now - rejoining_.try_emplace(topic, now).first->second < seen_everywhere) {
            arm(drain_look);
            return;
        }
        if (is_fenced_by(*settings, shell_.options.cluster_id, topic)) {
            // Since the planned promotion that is taken back here: somebody has to take writes.
            under_way_.insert(topic);
            releases_[topic] = follows;
        } else {
            set_stage(topic, follows);
        }
        return;
    }
    if (is_rejoining) {
        go_back(*local, settings);
    }
    if (hold != before) {
        MR_LOG(*shell_.log, info, "mirror.topic_waits", field("link", link_.spec.name),
               field("topic", topic), field("reason", to_string(hold)));
    }
}

bool Runner::is_to_rejoin(const LocalTopic& local) const {
    return link_.spec.desired(local.name) == Desired::mirroring && link_.spec.truncate_existing &&
           !link_.spec.leaves_out(local.name);
}

void Runner::go_back(const LocalTopic& local, const std::map<std::string, std::string>* settings) {
    if (local.note.reason == adopted) {
        SettingChanges changes;  // nobody's mirror, as before
        for (const std::string_view name :
             {topic_setting::link, topic_setting::state, topic_setting::chain,
              topic_setting::source_topic, topic_setting::since, topic_setting::shared}) {
            changes[std::string(name)] = std::nullopt;
        }
        shell_.own->set_topic(local.name, changes, noted("left as it was", local.name));
        return;
    }
    const auto source = link_.spec.source_name(local.name);
    const bool is_gone = info_ && source && !info_->topics.contains(*source);
    const bool had_a_fence =
        takes_over() && local.settings.contains(topic_setting::drained) && !is_gone;
    const bool is_forced = link_.spec.desired(local.name) == Desired::promoted &&
                           link_.spec.promotion == Promotion::forced;
    if (had_a_fence && !is_forced &&
        (settings == nullptr || !is_fenced_by(*settings, shell_.options.cluster_id, local.name))) {
        // The fence was lifted for it already: what was written there since is not to be lost.
        if (settings != nullptr && hold_of(settings, shell_.options.cluster_id) == Hold::none) {
            set_stage(local.name, {Stage::mirroring, {}, 0});
        }
        return;
    }
    set_stage(local.name, {Stage::promoted, {}, 0});
}

std::string Runner::left_out_message() const {
    if (left_out_.empty() && !missed_.empty()) {
        return fmt::format(
            "not mirrored: {}{}; names that begin with __ or end with .internal or .heartbeats are "
            "taken for a cluster's own. Exclude them, or give their records another name",
            *missed_.begin(),
            missed_.size() > 1 ? fmt::format(" and {} more", missed_.size() - 1) : "");
    }
    if (left_out_.empty()) {
        return "";
    }
    return fmt::format(
        "not mirrored: {}{}, {}", *left_out_.begin(),
        left_out_.size() > 1 ? fmt::format(" and {} more", left_out_.size() - 1) : "",
        came_from_here_.contains(*left_out_.begin()) ? "which came from this cluster"
                                                     : "named like mirrors of another link of this "
                                                       "cluster; what is listed without a glob is "
                                                       "mirrored all the same");
}

/// Whoever fails over has to see that nothing did.
std::string Runner::nothing_promoted_message() const {
    const LinkSpec& spec = link_.spec;
    if (spec.state != Desired::promoted || !refused_.empty() ||
        !topics_of_link(*shell_.image->current(), link_.id).empty()) {
        return "";
    }
    for (const auto& [topic, there] : at_source_) {
        if (there.came_from_here) {
            return fmt::format(
                "nothing was promoted: {} of the source is a copy of the topic here, so this side "
                "leads. Is it the other side's link that is to be promoted?",
                topic);
        }
    }
    return "nothing was promoted: the link has no mirror here";
}

/// Patterns of other programs look alike and mean something else.
std::string Runner::unmatched_message() const {
    if (!has_planned_ || !info_) {
        return "";
    }
    for (const std::string& pattern : link_.spec.topics_include) {
        const bool matches =
            std::any_of(info_->topics.begin(), info_->topics.end(),
                        [&](const auto& entry) { return matches_glob(pattern, entry.first); });
        if (!matches) {
            return fmt::format(
                "no topic of the source matches {}: * stands for any text, ? for one character, "
                "everything else for itself",
                pattern);
        }
    }
    return "";
}

/// Whoever means to promote one topic has to see that none is meant.
std::string Runner::unknown_override_message(const metadata::Image& image) const {
    if (!has_planned_) {
        return "";
    }
    for (const auto& [topic, state] : link_.spec.topic_states) {
        const auto local = local_topic(image, topic);
        if ((!local || local->link != link_.id) && !creating_.contains(topic) &&
            !refused_.contains(topic)) {
            return fmt::format(
                "topics.overrides: {} is no topic of this link{}", topic,
                link_.spec.naming == Naming::prefix
                    ? fmt::format("; its mirrors are called {}.TOPIC", link_.spec.alias)
                    : "");
        }
    }
    return "";
}

std::string Runner::held_message() const {
    if (held_.empty()) {
        return "";
    }
    const auto& [topic, hold] = *held_.begin();
    if (hold == Hold::source_topic_unreadable) {
        return fmt::format(
            "{} stays writable: the source does not show its topic, so nobody knows what it has",
            topic);
    }
    return fmt::format(
        "{} stays promoted: the source still copies it from here. Promote it there; this goes on "
        "by itself once all that was written here has arrived, and nothing is cut before",
        topic);
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

void Runner::act(const PromoteOrphan& action) {
    shell_.own->set_topic(
        action.topic,
        {{std::string(topic_setting::link), link_.id},
         {std::string(topic_setting::state), to_text(StageNote{Stage::promoted, {}, 0})},
         {std::string(topic_setting::fenced), std::nullopt}},
        noted("taken on and promoted", action.topic));
}

void Runner::act(const GrowMirror& action) {
    shell_.own->grow_topic(action.topic, action.partitions, noted("grown", action.topic));
}

void Runner::act(const SetStage& action) {
    const auto local = local_topic(*shell_.image->current(), action.topic);
    if (local && source_ && local->note.stage == Stage::promoting &&
        action.note.stage != Stage::promoted) {
        draining_.erase(action.topic);  // who is wished to be promoted again is fenced again
        under_way_.insert(action.topic);
        releases_[action.topic] = action.note;
        return;
    }
    set_stage(action.topic, action.note);
}

/// What groups committed on this side before that is the past.
std::string Runner::now_as_text() const {
    return std::to_string(shell_.control.executor->clock().wall().milliseconds);
}

void Runner::set_stage(const std::string& topic, const StageNote& note, bool is_drained) {
    SettingChanges changes;
    changes[std::string(topic_setting::state)] = to_text(note);
    const auto local = local_topic(*shell_.image->current(), topic);
    const bool was_rejoining = local && local->note.stage == Stage::rejoining;
    if (note.stage == Stage::rejoining || (was_rejoining && note.stage == Stage::promoted)) {
        // It has ended where it had ended before, and who fences it still does.
    } else if (note.stage == Stage::promoted) {
        // Who was fenced when the other side took over is not any more.
        changes[std::string(topic_setting::fenced)] = std::nullopt;
        if (is_drained) {
            changes[std::string(topic_setting::drained)] = "true";
        }
    } else {
        changes[std::string(topic_setting::promotion)] = std::nullopt;
        changes[std::string(topic_setting::drained)] = std::nullopt;
    }
    const bool was_promoted = local && (local->note.stage == Stage::promoted ||
                                        (was_rejoining && local->note.reason != adopted));
    if (was_promoted && note.stage == Stage::mirroring) {
        changes[std::string(topic_setting::shared)] = "true";  // until it was promoted
        changes[std::string(topic_setting::since)] = now_as_text();
        if (const auto copy = copies_.find(topic); copy != copies_.end()) {
            changes.insert(copy->second.begin(), copy->second.end());
        }
    }
    copies_.erase(topic);
    shell_.own->set_topic(topic, changes, noted(to_text(note), topic));
}

}  // namespace millrace::mirror
