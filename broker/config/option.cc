#include "config/option.h"

#include <algorithm>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/assert.h"
#include "base/edit_distance.h"
#include "config/internal/text.h"

namespace millrace::config {

namespace {

using enum Importance;
using enum Update;
using enum Support;

constexpr double unlimited = std::numeric_limits<double>::infinity();

constexpr Rule between(double low, double high) {
    return {Rule::Kind::range, low, high, {}};
}
constexpr Rule at_least(double low) {
    return between(low, unlimited);
}
constexpr Rule between_or_minus1(double low, double high) {
    return {Rule::Kind::range_or_minus1, low, high, {}};
}
constexpr Rule one_of(std::string_view words) {
    return {Rule::Kind::one_of, 0, 0, words};
}
constexpr Rule one_of_any_case(std::string_view words) {
    return {Rule::Kind::one_of_any_case, 0, 0, words};
}
constexpr Rule each_of(std::string_view words) {
    return {Rule::Kind::each_of, 0, 0, words};
}
constexpr Rule some() {
    return {Rule::Kind::anything, 0, 0, {}, true};
}
constexpr Rule some_of(std::string_view words) {
    return {Rule::Kind::each_of, 0, 0, words, true};
}
constexpr Rule voters() {
    return {Rule::Kind::voters, 0, 0, {}};
}
constexpr Rule host_ports() {
    return {Rule::Kind::host_ports, 0, 0, {}};
}
constexpr Rule not_empty() {
    return {Rule::Kind::not_empty, 0, 0, {}};
}
constexpr Rule throttled() {
    return {Rule::Kind::throttled, 0, 0, {}};
}
constexpr Rule offset_reset() {
    return {Rule::Kind::offset_reset, 0, 0, {}};
}
constexpr Rule memory_or_auto() {
    return {Rule::Kind::memory_or_auto, 0, 0, {}};
}

constexpr Option filled(Scope scope, Type type, Option option) {
    option.scope = scope;
    option.type = type;
    option.ours = option.name.starts_with("millrace.") || option.name == "cluster.id";
    // Topics, groups and client metrics have no files of their own: what they have is dynamic.
    if (scope != Scope::broker && !option.name.starts_with("millrace.mirror.")) {
        option.update = cluster_wide;
    }
    return option;
}

#define MR_OPTION(id, type, ...) filled(Scope::broker, Type::type, Option __VA_ARGS__),
constexpr Option broker_options[] = {
#include "config/broker_options.inc"
};
#undef MR_OPTION

#define MR_OPTION(id, type, ...) filled(Scope::topic, Type::type, Option __VA_ARGS__),
constexpr Option topic_options[] = {
#include "config/topic_options.inc"
};
#undef MR_OPTION

#define MR_OPTION(id, type, ...) filled(Scope::group, Type::type, Option __VA_ARGS__),
constexpr Option group_options[] = {
#include "config/group_options.def"
};
#undef MR_OPTION

#define MR_OPTION(id, type, ...) filled(Scope::client_metrics, Type::type, Option __VA_ARGS__),
constexpr Option client_metrics_options[] = {
#include "config/client_metrics_options.def"
};
#undef MR_OPTION

using NameIndex = std::unordered_map<std::string_view, const Option*>;

const NameIndex& index_of(Scope scope) {
    static const std::vector<NameIndex> indexes = [] {
        std::vector<NameIndex> built(4);
        for (std::size_t i = 0; i < built.size(); ++i) {
            for (const Option& option : options(static_cast<Scope>(i))) {
                const bool is_new = built[i].emplace(option.name, &option).second;
                MR_ASSERT(is_new);
            }
        }
        return built;
    }();
    return indexes[static_cast<std::size_t>(scope)];
}

}  // namespace

std::span<const Option> options(Scope scope) {
    switch (scope) {
        case Scope::broker:
            return broker_options;
        case Scope::topic:
            return topic_options;
        case Scope::group:
            return group_options;
        case Scope::client_metrics:
            return client_metrics_options;
    }
    MR_ASSERT(false);
    return {};
}

const Option* find_option(Scope scope, std::string_view name) {
    const NameIndex& index = index_of(scope);
    const auto found = index.find(name);
    return found == index.end() ? nullptr : found->second;
}

std::size_t row_of(const Option& option) {
    return static_cast<std::size_t>(&option - options(option.scope).data());
}

std::string_view nearest_name(Scope scope, std::string_view name) {
    std::string_view nearest;
    // Further than a third of the name is another word, not a slip of the finger.
    std::size_t best = name.size() / 3 + 1;
    for (const Option& option : options(scope)) {
        // Lengths that differ by more need no closer look, and names come from strangers, of any
        // length.
        const std::string_view known = option.name;
        if (std::max(known.size(), name.size()) - std::min(known.size(), name.size()) >= best) {
            continue;
        }
        if (const std::size_t distance = edit_distance(name, option.name); distance < best) {
            best = distance;
            nearest = option.name;
        }
    }
    return nearest;
}

}  // namespace millrace::config
