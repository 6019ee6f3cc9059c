// app/internal/plan_intent.h
//
// What a plan was asked for and what is to be done about it, as text: the wish is part of the
// plan's name, so that whoever is told the name can plan again; the intent is a setting in the
// metadata quorum, so that whichever node leads goes on where the last one stopped.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "admin/plan_doors.h"
#include "metadata/image.h"

namespace millrace::app {

std::string wish_text(const admin::PlanWish& wish);
Result<admin::PlanWish> parse_wish(std::string_view text);

/// Same snapshot and same wish, same name.
std::string plan_name(std::string_view fingerprint, const admin::PlanWish& wish);
/// The wish in a plan's name.
Result<admin::PlanWish> wish_in(std::string_view name);

struct PlanIntent {
    std::string name;
    admin::PlanState state = admin::PlanState::running;
    std::int64_t moves = 0;
    std::int64_t bytes = 0;
    std::int64_t lower_bound = 0;
    std::int64_t throttle_bytes_per_second =
        0;  ///< For each broker, at most; 0: what clients leave.
    std::int64_t started_ms = 0;
    std::int64_t ended_ms = 0;

    bool is_over() const {
        return state == admin::PlanState::cancelled || state == admin::PlanState::done ||
               state == admin::PlanState::failed || state == admin::PlanState::rolled_back;
    }
};

std::string intent_text(const PlanIntent& intent);
std::optional<PlanIntent> parse_intent(std::string_view text);
/// The one that the metadata has; none if there never was one.
std::optional<PlanIntent> intent_in(const metadata::Image& image);

/// How far a plan is, as the node that carries it out noted last.
struct PlanNote {
    std::string id;  ///< Of the plan: the first part of its name.
    std::int64_t done = 0;
    std::int64_t in_flight = 0;
    std::int64_t failed = 0;
    std::int64_t dropped = 0;
    std::int64_t bytes_done = 0;
    std::int64_t bytes_per_second = 0;
    std::vector<admin::BlockedMove> blocked;  ///< The first few.
    friend bool operator==(const PlanNote&, const PlanNote&) = default;
};

/// The part of a plan's name that is short: a digest of the rest and of the snapshot.
std::string id_of(std::string_view name);
std::string note_text(const PlanNote& note);
std::optional<PlanNote> parse_note(std::string_view text);
/// Of this very plan.
std::optional<PlanNote> note_in(const metadata::Image& image, const PlanIntent& intent);

admin::PlanProgress progress_of(const PlanIntent& intent, const PlanNote& note);

}  // namespace millrace::app
