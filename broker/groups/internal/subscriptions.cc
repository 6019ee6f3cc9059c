#include "groups/internal/subscriptions.h"

#include <algorithm>
#include <re2/re2.h>

namespace millrace::groups {

namespace {

/// FNV-1a, finished with a mixing step: stable over versions and machines, good enough to notice a
/// change.
class Hash {
public:
    void add(std::string_view text) {
        add(text.size());
        for (const char c : text) {
            byte(static_cast<unsigned char>(c));
        }
    }
    void add(std::uint64_t value) {
        for (int shift = 0; shift < 64; shift += 8) {
            byte(static_cast<unsigned char>(value >> shift));
        }
    }
    std::uint64_t value() const {
        std::uint64_t mixed = state_ ^ (state_ >> 32);
        mixed *= 0x9e3779b97f4a7c15ULL;
        return mixed ^ (mixed >> 29);
    }

private:
    void byte(unsigned char b) { state_ = (state_ ^ b) * 0x100000001b3ULL; }
    std::uint64_t state_ = 0xcbf29ce484222325ULL;
};

std::uint64_t hash_topic(std::string_view name, const TopicsView& view) {
    const std::optional<TopicInfo> topic = view.find(name);
    if (!topic) {
        return 0;
    }
    Hash hash;
    hash.add(topic->id.high);
    hash.add(topic->id.low);
    hash.add(name);
    hash.add(static_cast<std::uint64_t>(topic->partitions));
    for (std::int32_t partition = 0; partition < topic->partitions; ++partition) {
        for (const std::string& rack : view.racks(topic->id, partition)) {
            hash.add(static_cast<std::uint64_t>(partition));
            hash.add(rack);
        }
    }
    return hash.value() | 1;  // Never the 0 of a topic that isn't there.
}

RE2::Options options() {
    RE2::Options out;
    out.set_log_errors(false);
    out.set_max_mem(std::int64_t{1} << 20);
    return out;
}

re2::StringPiece piece(std::string_view text) {
    return {text.data(), text.size()};
}

/// Kafka's dialect is RE2's, with Java's way to name a group beside RE2's and without \C, which is
/// half a letter at times. Nothing for an expression that has that.
std::optional<std::string> in_our_dialect(std::string_view regex) {
    std::string out;
    for (std::size_t at = 0; at < regex.size(); ++at) {
        const std::string_view rest = regex.substr(at);
        if (rest.starts_with("\\Q")) {
            const std::size_t end = std::min(rest.find("\\E"), rest.size());
            out += rest.substr(0, end);
            at += end - 1;
        } else if (rest.starts_with("\\C")) {
            return std::nullopt;
        } else if (rest.starts_with('\\')) {
            out += rest.substr(0, 2);
            ++at;
        } else if (rest.starts_with("(?<") && !rest.starts_with("(?<=") &&
                   !rest.starts_with("(?<!")) {
            out += "(?P<";
            at += 2;
        } else {
            out += rest.front();
        }
    }
    return out;
}

}  // namespace

std::int64_t MetadataHash::of(const std::vector<std::string_view>& topics, const TopicsView& view) {
    if (version_ != view.version()) {
        by_topic_.clear();
        version_ = view.version();
    }
    Hash hash;
    bool any = false;
    for (const std::string_view name : topics) {
        auto known = by_topic_.find(name);
        if (known == by_topic_.end()) {
            known = by_topic_.emplace(std::string{name}, hash_topic(name, view)).first;
        }
        if (known->second != 0) {
            any = true;
            hash.add(known->second);
        }
    }
    return any ? static_cast<std::int64_t>(hash.value()) : 0;
}

std::optional<std::string> check_regex(std::string_view regex) {
    const std::optional<std::string> ours = in_our_dialect(regex);
    if (!ours) {
        return "invalid escape sequence: \\C";
    }
    const RE2 compiled{piece(*ours), options()};
    return compiled.ok() ? std::nullopt : std::optional{compiled.error()};
}

std::vector<std::string> resolve_regex(std::string_view regex, const TopicsView& view,
                                       const std::function<bool(std::string_view)>& may_describe) {
    std::vector<std::string> out;
    const std::optional<std::string> ours = in_our_dialect(regex);
    const RE2 compiled{piece(ours.value_or("(")), options()};
    if (!compiled.ok()) {
        return out;
    }
    view.for_each([&](const TopicInfo& topic) {
        if (RE2::FullMatch(piece(topic.name), compiled) &&
            (!may_describe || may_describe(topic.name))) {
            out.emplace_back(topic.name);
        }
    });
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace millrace::groups
