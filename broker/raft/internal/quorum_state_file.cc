#include "raft/internal/quorum_state_file.h"

#include <charconv>
#include <map>
#include <optional>

namespace millrace::raft {

namespace {

/// As much of JSON as the file holds: one object of numbers, strings, and values to skip.
class ObjectReader {
public:
    explicit ObjectReader(std::string_view text) : rest_(text) {}

    /// Values as they are written; strings without their quotes.
    std::optional<std::map<std::string_view, std::string_view>> read() {
        std::map<std::string_view, std::string_view> fields;
        if (!take('{')) {
            return std::nullopt;
        }
        if (!take('}')) {
            do {
                const auto name = string();
                if (!name || !take(':')) {
                    return std::nullopt;
                }
                const auto value = this->value();
                if (!value || !fields.emplace(*name, *value).second) {
                    return std::nullopt;
                }
            } while (take(','));
            if (!take('}')) {
                return std::nullopt;
            }
        }
        skip_space();
        return rest_.empty() ? std::optional(std::move(fields)) : std::nullopt;
    }

private:
    static constexpr std::string_view space = " \t\r\n";

    void skip_space() {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(space), rest_.size()));
    }
    bool take(char wanted) {
        skip_space();
        const bool is_next = !rest_.empty() && rest_.front() == wanted;
        rest_.remove_prefix(is_next ? 1 : 0);
        return is_next;
    }
    std::optional<std::string_view> string() {
        if (!take('"')) {
            return std::nullopt;
        }
        // Nothing in this file needs an escape.
        const std::size_t end = rest_.find_first_of("\"\\");
        if (end == std::string_view::npos || rest_[end] == '\\') {
            return std::nullopt;
        }
        const auto text = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return text;
    }
    std::optional<std::string_view> value() {
        skip_space();
        if (rest_.empty()) {
            return std::nullopt;
        }
        if (rest_.front() == '"') {
            return string();
        }
        if (rest_.front() == '[') {
            // The voters of version 0, which the configuration names as well.
            const std::size_t end = rest_.find(']');
            if (end == std::string_view::npos) {
                return std::nullopt;
            }
            const auto text = rest_.substr(0, end + 1);
            rest_.remove_prefix(end + 1);
            return text;
        }
        const std::size_t length = std::min(rest_.find_first_of(",} \t\r\n"), rest_.size());
        const auto text = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return text.empty() ? std::nullopt : std::optional(text);
    }

    std::string_view rest_;
};

std::optional<std::int32_t> to_number(std::string_view text) {
    std::int32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_whole = error == std::errc() && end == text.data() + text.size();
    return is_whole ? std::optional(value) : std::nullopt;
}

}  // namespace

std::string print_quorum_state(const ElectionState& state) {
    const ReplicaKey voted = state.voted.value_or(ReplicaKey{});
    return fmt::format(
        "{{\"leaderId\":{},\"leaderEpoch\":{},\"votedId\":{},\"votedDirectoryId\":\"{}\","
        "\"data_version\":1}}",
        state.leader, state.epoch, voted.id, voted.directory);
}

Result<ElectionState> parse_quorum_state(std::string_view text) {
    const auto fields = ObjectReader(text).read();
    if (!fields) {
        return Error(Code::corrupt, "quorum-state is not one JSON object");
    }
    const auto number = [&](std::string_view name) -> std::optional<std::int32_t> {
        const auto found = fields->find(name);
        return found == fields->end() ? std::nullopt : to_number(found->second);
    };
    const auto version = number("data_version");
    if (!version) {
        return Error(Code::corrupt, "quorum-state has no data_version");
    }
    if (*version != 0 && *version != 1) {
        return Error::make(Code::unsupported,
                           "quorum-state has data_version {}, this release knows 0 and 1: a newer "
                           "release wrote it; start that one",
                           *version);
    }
    const auto leader = number("leaderId");
    const auto epoch = number("leaderEpoch");
    const auto voted = number("votedId");
    if (!leader || !epoch || !voted || *epoch < 0 || *leader < -1 || *voted < -1) {
        return Error(Code::corrupt, "quorum-state lacks leaderId, leaderEpoch or votedId");
    }
    ElectionState state{QuorumEpoch{*epoch}, BrokerId{*leader}, std::nullopt};
    if (*voted >= 0) {
        const auto found = fields->find("votedDirectoryId");
        Uuid directory;
        if (found != fields->end()) {
            const auto parsed = Uuid::parse(found->second);
            if (!parsed) {
                return Error(Code::corrupt, "quorum-state has a malformed votedDirectoryId");
            }
            directory = *parsed;
        }
        state.voted = ReplicaKey{BrokerId{*voted}, directory};
    }
    return state;
}

}  // namespace millrace::raft
