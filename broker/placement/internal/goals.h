// placement/internal/goals.h
//
// How many replicas each broker should have: an even share by weight, as far as racks allow, in
// whole replicas, and such that what is there already stays where that makes no difference.
#pragma once

#include <vector>

#include "placement/internal/model.h"

namespace millrace::placement {

/// Shares of `total` by weight, each within its bounds: water that fills vessels of different
/// widths and heights. The sum differs from `total` only if the bounds say so.
std::vector<double> level(double total, const std::vector<double>& weights,
                          const std::vector<double>& minima, const std::vector<double>& maxima);

/// Whole numbers near the shares, summing up to (rounded) what the shares sum up to. Whoever has
/// more than the lower one now is rounded up first.
std::vector<std::int64_t> whole(const std::vector<double>& shares,
                                const std::vector<std::int64_t>& now,
                                const std::vector<double>& maxima);

/// Replicas for each broker. Brokers that get nothing keep what they have.
std::vector<std::int64_t> count_goals(const Model& model);

/// Preferred leaders for each broker.
std::vector<std::int64_t> leader_goals(const Model& model);

/// Replicas that have to be copied on any way from the start to the goals.
std::int64_t lower_bound_of(const Model& model, const std::vector<std::int64_t>& goals);

/// Is somebody who may get or give further from the goal than the band?
bool out_of_band(const std::vector<std::int64_t>& now, const std::vector<std::int64_t>& goals,
                 int percent);

}  // namespace millrace::placement
