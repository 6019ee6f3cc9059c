#include "mirror/internal/horizon.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

#include "mirror/horizon_core.h"

namespace millrace::mirror {
namespace {

/// Kafka's, for topics that don't set it: a source's own default is not among the topic's settings.
constexpr Duration default_delete_retention = std::chrono::hours{24};
/// Often enough that a mirror which keeps up is never taken for one that doesn't.
constexpr int looks_in_retention = 8;
constexpr Duration shortest_interval = 1s;
constexpr Duration longest_interval = std::chrono::hours{1};
/// A source that was cut may never have been at its goal.
constexpr Duration oldest_goal = std::chrono::minutes{1};

std::int64_t sum_of(const std::vector<Offset>& ends) {
    return std::accumulate(ends.begin(), ends.end(), std::int64_t{0},
                           [](std::int64_t sum, Offset end) { return sum + end.value; });
}

}  // namespace

bool is_compacted(const config::Entries& settings) {
    const auto cleanup = settings.find("cleanup.policy");
    return cleanup != settings.end() && cleanup->second.find("compact") != std::string::npos;
}

Duration delete_retention_of(const config::Entries& settings) {
    const auto found = settings.find("delete.retention.ms");
    std::int64_t ms = -1;
    if (found != settings.end()) {
        const std::string& text = found->second;
        std::from_chars(text.data(), text.data() + text.size(), ms);
    }
    constexpr std::int64_t most = INT64_MAX / 1'000'000;  // for ever
    return ms < 0 ? default_delete_retention : std::chrono::milliseconds{std::min(ms, most)};
}

void HorizonWatch::look(std::vector<Mirror> mirrors) {
    const Instant now = loop_.clock().now();
    std::erase_if(mirrors, [&](const Mirror& one) {
        const auto due = due_.find(one.local.name);
        return !is_compacted(one.local.settings) || (due != due_.end() && due->second > now);
    });
    if (looking_ || mirrors.empty()) {
        return;
    }
    looking_ = true;
    const Timestamp asked = loop_.clock().wall();
    std::vector<std::string> names;
    for (const Mirror& one : mirrors) {
        const auto goal = goals_.find(one.local.name);
        if (goal == goals_.end() || asked - goal->second.asked > oldest_goal) {
            names.push_back(one.source);
        }
    }
    read_ends(source_, std::move(names),
              [weak = weak_from_this(), mirrors = std::move(mirrors),
               asked](const Result<Ends>& theirs) mutable {
                  auto self = weak.lock();
                  if (!self) {
                      return;
                  }
                  if (theirs) {
                      self->set_goals(mirrors, asked, *theirs);
                  }
                  self->compare(std::move(mirrors));
              });
}

void HorizonWatch::set_goals(const std::vector<Mirror>& mirrors, Timestamp asked,
                             const Ends& theirs) {
    for (const Mirror& one : mirrors) {
        const auto there = theirs.find(one.source);
        if (there != theirs.end()) {
            goals_[one.local.name] = {asked, there->second};
        }
    }
}

void HorizonWatch::compare(std::vector<Mirror> mirrors) {
    std::vector<std::string> names;
    for (const Mirror& one : mirrors) {
        names.push_back(one.local.name);
    }
    read_ends(own_, std::move(names),
              [weak = weak_from_this(), mirrors = std::move(mirrors)](const Result<Ends>& ours) {
                  auto self = weak.lock();
                  if (!self) {
                      return;
                  }
                  self->looking_ = false;
                  for (const Mirror& one : mirrors) {
                      const auto here = ours ? ours->find(one.local.name) : Ends::const_iterator{};
                      if (ours && here != ours->end()) {
                          self->judge(one, here->second);
                      }
                  }
              });
}

void HorizonWatch::judge(const Mirror& mirror, const std::vector<Offset>& ours) {
    const std::string& name = mirror.local.name;
    const auto goal = goals_.find(name);
    if (goal == goals_.end() || goal->second.ends.size() != ours.size()) {
        return;
    }
    const bool all_here =
        std::equal(ours.begin(), ours.end(), goal->second.ends.begin(), std::greater_equal<>());
    const std::string setting(topic_setting::caught_up);
    const auto known = mirror.local.settings.find(setting);
    const auto before =
        known == mirror.local.settings.end() ? std::nullopt : caught_up_in(known->second);
    const Duration retention = delete_retention_of(mirror.local.settings);
    const CaughtUp note = next_note(before, sum_of(goal->second.ends), goal->second.asked, all_here,
                                    loop_.clock().wall(), retention);
    if (all_here) {
        goals_.erase(goal);
        due_[name] = loop_.clock().now() + std::clamp(retention / looks_in_retention,
                                                      shortest_interval, longest_interval);
    }
    if (note != before) {
        controller_.set_topic(name, {{setting, to_text(note)}},
                              [](const Result<void>&) {});  // the next look tries again
    }
}

}  // namespace millrace::mirror
