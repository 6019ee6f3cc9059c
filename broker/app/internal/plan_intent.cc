#include "app/internal/plan_intent.h"

#include <charconv>
#include <fmt/core.h>
#include <map>
#include <vector>

#include "metadata/standing.h"

namespace millrace::app {
namespace {

using Fields = std::map<std::string, std::string, std::less<>>;

std::vector<std::string_view> split(std::string_view text, char by) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(by), text.size());
        if (end > 0) {
            parts.push_back(text.substr(0, end));
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

Fields fields_of(std::string_view text, char by) {
    Fields fields;
    for (const std::string_view part : split(text, by)) {
        const std::size_t at = part.find('=');
        if (at != std::string_view::npos) {
            fields.emplace(part.substr(0, at), part.substr(at + 1));
        }
    }
    return fields;
}

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                    : std::nullopt;
}

std::int64_t number_in(const Fields& fields, std::string_view key, std::int64_t otherwise) {
    const auto found = fields.find(key);
    return found != fields.end() ? number(found->second).value_or(otherwise) : otherwise;
}

std::string ids(const std::vector<BrokerId>& brokers) {
    std::string text;
    for (const BrokerId broker : brokers) {
        text += fmt::format("{}{}", text.empty() ? "" : "+", broker.value);
    }
    return text;
}

std::vector<BrokerId> brokers_in(const Fields& fields, std::string_view key) {
    std::vector<BrokerId> brokers;
    const auto found = fields.find(key);
    for (const std::string_view part :
         split(found != fields.end() ? std::string_view(found->second) : std::string_view(), '+')) {
        if (const auto id = number(part)) {
            brokers.emplace_back(static_cast<std::int32_t>(*id));
        }
    }
    return brokers;
}

std::uint64_t hash_of(std::string_view text, std::uint64_t seed) {
    std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    return hash;
}

}  // namespace

std::string wish_text(const admin::PlanWish& wish) {
    std::string text = fmt::format("mode={}", static_cast<int>(wish.mode));
    if (!wish.drain.empty()) {
        text += ",drain=" + ids(wish.drain);
    }
    if (!wish.lost.empty()) {
        text += ",lost=" + ids(wish.lost);
    }
    std::string factors;
    for (const auto& [topic, factor] : wish.replication_factors) {
        factors += fmt::format("{}{}:{}", factors.empty() ? "" : "+", topic, factor);
    }
    text += factors.empty() ? "" : ",factors=" + factors;
    std::string exclude;
    for (const std::string& glob : wish.exclude_topics) {
        exclude += (exclude.empty() ? "" : "+") + glob;
    }
    text += exclude.empty() ? "" : ",exclude=" + exclude;
    text += wish.empty_cordoned_disks ? ",empty=1" : "";
    if (wish.throttle_bytes_per_second > 0) {
        text += fmt::format(",throttle={}", wish.throttle_bytes_per_second);
    }
    const placement::Limits& limits = wish.limits;
    text += fmt::format(",cap={},bytes={},counts={},spread={}", limits.max_moves_per_broker,
                        limits.max_bytes, limits.count_band_percent, limits.bytes_band_percent);
    return text;
}

Result<admin::PlanWish> parse_wish(std::string_view text) {
    const Fields fields = fields_of(text, ',');
    const std::int64_t mode = number_in(fields, "mode", -1);
    if (mode < 0 || mode >= static_cast<int>(placement::Mode::relieve)) {
        return Error::make(Code::invalid, "'{}' is no name of a plan", text);
    }
    admin::PlanWish wish;
    wish.mode = static_cast<placement::Mode>(mode);
    wish.drain = brokers_in(fields, "drain");
    wish.lost = brokers_in(fields, "lost");
    if (const auto factors = fields.find("factors"); factors != fields.end()) {
        for (const std::string_view part : split(factors->second, '+')) {
            const std::size_t colon = part.rfind(':');
            const auto factor = colon != std::string_view::npos ? number(part.substr(colon + 1))
                                                                : std::optional<std::int64_t>();
            if (!factor) {
                return Error::make(Code::invalid, "'{}' is no replication factor", part);
            }
            wish.replication_factors[std::string(part.substr(0, colon))] =
                static_cast<int>(*factor);
        }
    }
    if (const auto exclude = fields.find("exclude"); exclude != fields.end()) {
        for (const std::string_view glob : split(exclude->second, '+')) {
            wish.exclude_topics.emplace_back(glob);
        }
    }
    wish.empty_cordoned_disks = number_in(fields, "empty", 0) == 1;
    wish.throttle_bytes_per_second = number_in(fields, "throttle", 0);
    placement::Limits& limits = wish.limits;
    limits.max_moves_per_broker =
        static_cast<int>(number_in(fields, "cap", limits.max_moves_per_broker));
    limits.max_bytes = number_in(fields, "bytes", limits.max_bytes);
    limits.count_band_percent =
        static_cast<int>(number_in(fields, "counts", limits.count_band_percent));
    limits.bytes_band_percent =
        static_cast<int>(number_in(fields, "spread", limits.bytes_band_percent));
    return wish;
}

std::string plan_name(std::string_view fingerprint, const admin::PlanWish& wish) {
    const std::string text = wish_text(wish);
    return fmt::format("{:016x}{:016x}/{}", hash_of(text, hash_of(fingerprint, 1)),
                       hash_of(fingerprint, hash_of(text, 2)), text);
}

Result<admin::PlanWish> wish_in(std::string_view name) {
    const std::size_t slash = name.find('/');
    if (slash == std::string_view::npos) {
        return Error::make(Code::invalid, "'{}' is no name of a plan", name);
    }
    return parse_wish(name.substr(slash + 1));
}

std::string intent_text(const PlanIntent& intent) {
    return fmt::format(
        "state={};moves={};bytes={};bound={};throttle={};started={};ended={};name={}",
        static_cast<int>(intent.state), intent.moves, intent.bytes, intent.lower_bound,
        intent.throttle_bytes_per_second, intent.started_ms, intent.ended_ms, intent.name);
}

std::optional<PlanIntent> parse_intent(std::string_view text) {
    // The name comes last and whole: it has separators of its own.
    const std::size_t at = text.find(";name=");
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const Fields fields = fields_of(text.substr(0, at), ';');
    PlanIntent intent;
    intent.name = text.substr(at + std::string_view(";name=").size());
    intent.state = static_cast<admin::PlanState>(
        number_in(fields, "state", static_cast<int>(admin::PlanState::failed)));
    intent.moves = number_in(fields, "moves", 0);
    intent.bytes = number_in(fields, "bytes", 0);
    intent.lower_bound = number_in(fields, "bound", 0);
    intent.throttle_bytes_per_second = number_in(fields, "throttle", 0);
    intent.started_ms = number_in(fields, "started", 0);
    intent.ended_ms = number_in(fields, "ended", 0);
    return intent;
}

std::optional<PlanIntent> intent_in(const metadata::Image& image) {
    const std::string* text =
        image.configs.find({metadata::ConfigResourceType::broker, {}}, metadata::setting::plan);
    return text != nullptr ? parse_intent(*text) : std::nullopt;
}

std::string id_of(std::string_view name) {
    return std::string(name.substr(0, name.find('/')));
}

std::string note_text(const PlanNote& note) {
    std::string text = fmt::format(
        "id={};done={};in_flight={};failed={};dropped={};bytes={};rate={};blocked=", note.id,
        note.done, note.in_flight, note.failed, note.dropped, note.bytes_done,
        note.bytes_per_second);
    for (const admin::BlockedMove& move : note.blocked) {
        text += fmt::format("{}/{}/{}\n", move.partition.topic, move.partition.partition.value,
                            move.reason);
    }
    return text;
}

std::optional<PlanNote> parse_note(std::string_view text) {
    // What blocks comes last: its reasons are free text.
    constexpr std::string_view last = ";blocked=";
    const std::size_t at = text.find(last);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const Fields fields = fields_of(text.substr(0, at), ';');
    PlanNote note;
    const auto id = fields.find("id");
    note.id = id != fields.end() ? id->second : "";
    note.done = number_in(fields, "done", 0);
    note.in_flight = number_in(fields, "in_flight", 0);
    note.failed = number_in(fields, "failed", 0);
    note.dropped = number_in(fields, "dropped", 0);
    note.bytes_done = number_in(fields, "bytes", 0);
    note.bytes_per_second = number_in(fields, "rate", 0);
    for (const std::string_view line : split(text.substr(at + last.size()), '\n')) {
        const std::size_t topic = line.find('/');
        const std::size_t partition =
            topic != std::string_view::npos ? line.find('/', topic + 1) : std::string_view::npos;
        const auto index = partition != std::string_view::npos
                               ? number(line.substr(topic + 1, partition - topic - 1))
                               : std::optional<std::int64_t>();
        if (index) {
            note.blocked.push_back({{std::string(line.substr(0, topic)),
                                     PartitionIndex{static_cast<std::int32_t>(*index)}},
                                    std::string(line.substr(partition + 1))});
        }
    }
    return note;
}

std::optional<PlanNote> note_in(const metadata::Image& image, const PlanIntent& intent) {
    const std::string* text = image.configs.find({metadata::ConfigResourceType::broker, {}},
                                                 metadata::setting::plan_note);
    auto note = text != nullptr ? parse_note(*text) : std::nullopt;
    return note && note->id == id_of(intent.name) ? note : std::nullopt;
}

admin::PlanProgress progress_of(const PlanIntent& intent, const PlanNote& note) {
    admin::PlanProgress progress;
    progress.hash = intent.name;
    progress.state = intent.state;
    progress.moves_total = static_cast<int>(intent.moves);
    progress.bytes_total = intent.bytes;
    progress.lower_bound_moves = static_cast<int>(intent.lower_bound);
    progress.throttle_bytes_per_second = intent.throttle_bytes_per_second;
    progress.throttle_reason = intent.throttle_bytes_per_second > 0
                                   ? "asked for; each broker goes slower while clients wait"
                                   : "each broker goes as fast as its clients don't feel";
    progress.started_at = Timestamp{intent.started_ms};
    progress.ended_at = Timestamp{intent.ended_ms};
    if (intent.state == admin::PlanState::done ||
        (intent.state == admin::PlanState::rolled_back && note.dropped + note.failed == 0)) {
        progress.moves_done = progress.moves_total;
        progress.bytes_done = progress.bytes_total;
        progress.eta_seconds = 0;
        return progress;
    }
    progress.moves_done = static_cast<int>(note.done);
    progress.moves_in_flight = intent.is_over() ? 0 : static_cast<int>(note.in_flight);
    progress.moves_failed = static_cast<int>(note.failed);
    progress.moves_dropped = static_cast<int>(note.dropped);
    progress.bytes_done = note.bytes_done;
    progress.bytes_per_second = intent.is_over() ? 0 : note.bytes_per_second;
    progress.blocked = note.blocked;
    if (progress.bytes_per_second > 0 && intent.state == admin::PlanState::running) {
        progress.eta_seconds =
            (progress.bytes_total - progress.bytes_done) / progress.bytes_per_second;
    }
    return progress;
}

}  // namespace millrace::app
