// app/internal/plan_journal.h
//
// Which moves a plan has begun, as settings in the metadata quorum, written before the moves are:
// whichever node leads knows what is the plan's own work and what is somebody else's, and what a
// rollback has to move back. Pure: texts and plans of what to write.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metadata/image.h"
#include "placement/execution.h"

namespace millrace::app {

/// Kept in pieces, so that one that is full is never written again.
class PlanJournal {
public:
    /// What the metadata has of that plan. `id`: the first part of its name.
    static PlanJournal read(const metadata::Image& image, std::string id);

    using Settings = std::vector<std::pair<std::string, std::optional<std::string>>>;
    /// Adds moves that are about to begin; returns the settings to write first. Pieces that earlier
    /// plans left behind go with them.
    Settings add(const std::vector<const placement::Move*>& moves);

    /// In the order in which they began; a partition comes again if it was moved again.
    const std::vector<placement::Move>& moves() const { return moves_; }
    /// Those that are under way in `world`: on the way to where they were to go.
    std::vector<const placement::Move*> under_way(const placement::WorldNow& world) const;
    /// From where the plan has brought partitions back to where it found them. What has left that
    /// place since, or has gone, is somebody else's by now.
    std::vector<placement::Move> backwards(const placement::WorldNow& world) const;

private:
    std::string id_;
    std::vector<placement::Move> moves_;
    std::vector<std::string> left_behind_;
};

}  // namespace millrace::app
