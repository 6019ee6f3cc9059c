#include "app/internal/plan_journal.h"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>
#include <map>
#include <set>

#include "metadata/standing.h"

namespace millrace::app {
namespace {

using placement::Move;

constexpr std::size_t moves_in_a_piece = 64;

/// Sorts as its number does.
std::string piece_name(std::size_t piece) {
    return fmt::format("{}{:06}", metadata::setting::plan_journal, piece);
}

std::string replicas_text(const std::vector<BrokerId>& replicas) {
    std::string text;
    for (const BrokerId broker : replicas) {
        text += fmt::format("{}{}", text.empty() ? "" : "+", broker.value);
    }
    return text;
}

/// The part up to `by`, which is taken off the text with it.
std::string_view cut(std::string_view& text, char by) {
    const std::size_t end = std::min(text.find(by), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
}

template <typename Number>
std::optional<Number> number(std::string_view text) {
    Number value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                    : std::nullopt;
}

std::vector<BrokerId> replicas_of(std::string_view text) {
    std::vector<BrokerId> replicas;
    while (!text.empty()) {
        if (const auto id = number<std::int32_t>(cut(text, '+'))) {
            replicas.emplace_back(*id);
        }
    }
    return replicas;
}

/// topic/partition/from/to/bytes: no topic has a slash in its name.
std::string line_of(const Move& move) {
    return fmt::format("{}/{}/{}/{}/{}\n", move.topic, move.partition, replicas_text(move.from),
                       replicas_text(move.to), move.bytes);
}

std::optional<Move> move_of(std::string_view line) {
    Move move;
    move.topic = cut(line, '/');
    const auto partition = number<std::int32_t>(cut(line, '/'));
    move.from = replicas_of(cut(line, '/'));
    move.to = replicas_of(cut(line, '/'));
    move.bytes = number<std::int64_t>(cut(line, '/')).value_or(0);
    if (!partition || move.from.empty() || move.to.empty()) {
        return std::nullopt;
    }
    move.partition = *partition;
    return move;
}

}  // namespace

PlanJournal PlanJournal::read(const metadata::Image& image, std::string id) {
    PlanJournal journal;
    journal.id_ = std::move(id);
    const metadata::ConfigMap* entries =
        image.configs.find({metadata::ConfigResourceType::broker, {}});
    if (entries == nullptr) {
        return journal;
    }
    for (auto at = entries->values.lower_bound(metadata::setting::plan_journal);
         at != entries->values.end() && at->first.starts_with(metadata::setting::plan_journal);
         ++at) {
        std::string_view text = at->second;
        if (cut(text, '\n') != journal.id_) {
            journal.left_behind_.push_back(at->first);
            continue;
        }
        while (!text.empty()) {
            if (auto move = move_of(cut(text, '\n'))) {
                journal.moves_.push_back(*std::move(move));
            }
        }
    }
    return journal;
}

PlanJournal::Settings PlanJournal::add(const std::vector<const Move*>& moves) {
    Settings settings;
    std::size_t piece = moves_.size() / moves_in_a_piece;
    for (const Move* move : moves) {
        moves_.push_back(*move);
    }
    for (; piece * moves_in_a_piece < moves_.size(); ++piece) {
        std::string text = id_ + "\n";
        const std::size_t end = std::min(moves_.size(), (piece + 1) * moves_in_a_piece);
        for (std::size_t i = piece * moves_in_a_piece; i < end; ++i) {
            text += line_of(moves_[i]);
        }
        settings.emplace_back(piece_name(piece), std::move(text));
        std::erase(left_behind_, piece_name(piece));
    }
    for (std::string& name : left_behind_) {
        settings.emplace_back(std::move(name), std::nullopt);
    }
    left_behind_.clear();
    return settings;
}

std::vector<const Move*> PlanJournal::under_way(const placement::WorldNow& world) const {
    std::map<std::pair<std::string_view, std::int32_t>, const Move*> last;
    for (const Move& move : moves_) {
        last[{move.topic, move.partition}] = &move;
    }
    std::vector<const Move*> moving;
    for (const auto& [key, move] : last) {
        const auto now = world.partition(move->topic, move->partition);
        if (now && now->is_moving() && now->target() == move->to) {
            moving.push_back(move);
        }
    }
    return moving;
}

std::vector<Move> PlanJournal::backwards(const placement::WorldNow& world) const {
    std::vector<Move> back;
    std::set<std::pair<std::string_view, std::int32_t>> seen;
    // The last move of a partition says where it is, the first where it was.
    for (auto at = moves_.rbegin(); at != moves_.rend(); ++at) {
        if (!seen.insert({at->topic, at->partition}).second) {
            continue;
        }
        const auto first = std::find_if(moves_.begin(), moves_.end(), [&](const Move& move) {
            return move.topic == at->topic && move.partition == at->partition;
        });
        const auto now = world.partition(at->topic, at->partition);
        if (!now || first->from == at->to ||
            (now->target() != at->to && !(now->is_moving() && now->target() == first->from))) {
            continue;
        }
        Move move = *at;
        move.from = at->to;
        move.to = first->from;
        back.push_back(std::move(move));
    }
    return back;
}

}  // namespace millrace::app
