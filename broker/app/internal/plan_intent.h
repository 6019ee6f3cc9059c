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
    std::int64_t started_ms = 0;
    std::int64_t ended_ms = 0;

    bool is_over() const {
        return state == admin::PlanState::cancelled || state == admin::PlanState::done ||
               state == admin::PlanState::failed;
    }
};

std::string intent_text(const PlanIntent& intent);
std::optional<PlanIntent> parse_intent(std::string_view text);
/// The one that the metadata has; none if there never was one.
std::optional<PlanIntent> intent_in(const metadata::Image& image);

}  // namespace millrace::app
