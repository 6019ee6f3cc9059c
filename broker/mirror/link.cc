#include "mirror/link.h"

#include <algorithm>
#include <charconv>

#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::mirror {
namespace {

constexpr std::int8_t layout = 0;
constexpr std::string_view digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool matches_any(const std::vector<std::string>& patterns, std::string_view text) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return matches_glob(pattern, text); });
}

std::string to_text(ByteView bytes) {
    std::string text;
    text.reserve(bytes.size() * 4 / 3 + 4);
    std::uint32_t bits = 0;
    int held = 0;
    for (const std::byte byte : bytes) {
        bits = bits << 8 | std::to_integer<std::uint32_t>(byte);
        for (held += 8; held >= 6; held -= 6) {
            text += digits[bits >> (held - 6) & 63];
        }
    }
    if (held > 0) {
        text += digits[bits << (6 - held) & 63];
    }
    return text;
}

std::optional<Buffer> to_bytes(std::string_view text) {
    Buffer bytes;
    std::uint32_t bits = 0;
    int held = 0;
    for (const char c : text) {
        const std::size_t digit = digits.find(c);
        if (digit == std::string_view::npos) {
            return std::nullopt;
        }
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes.push_back(static_cast<std::byte>(bits >> held & 255));
        }
    }
    return bytes;
}

/// Both directions walk the same list of fields (see walk()), so they can't disagree.
class Saver {
public:
    explicit Saver(Buffer& out) : out_(out) {}
    void operator()(const std::string& value) { out_.string(value, true); }
    void operator()(const Secret& value) { out_.string(value.reveal(), true); }
    void operator()(bool value) { out_.boolean(value); }
    void operator()(std::int32_t value) { out_.int32(value); }
    void operator()(std::int64_t value) { out_.int64(value); }
    template <typename E>
        requires std::is_enum_v<E>
    void operator()(E value) {
        out_.int8(static_cast<std::int8_t>(value));
    }
    template <typename T>
    void later(const T& value) {
        (*this)(value);
    }
    void operator()(const std::vector<std::string>& values) {
        out_.int32(static_cast<std::int32_t>(values.size()));
        for (const std::string& value : values) {
            (*this)(value);
        }
    }
    void operator()(const std::map<std::string, Desired>& values) {
        out_.int32(static_cast<std::int32_t>(values.size()));
        for (const auto& [name, value] : values) {
            (*this)(name);
            (*this)(value);
        }
    }

private:
    protocol::Writer out_;
};

class Loader {
public:
    explicit Loader(ByteView in) : in_(in) {}
    void operator()(std::string& value) { value = in_.string(true); }
    void operator()(Secret& value) { value = Secret(std::string(in_.string(true))); }
    void operator()(bool& value) { value = in_.boolean(); }
    void operator()(std::int32_t& value) { value = in_.int32(); }
    void operator()(std::int64_t& value) { value = in_.int64(); }
    template <typename E>
        requires std::is_enum_v<E>
    void operator()(E& value) {
        value = static_cast<E>(in_.int8());
    }
    /// Of a field that entries of before don't have.
    template <typename T>
    void later(T& value) {
        if (in_.remaining() > 0) {
            (*this)(value);
        }
    }
    void operator()(std::vector<std::string>& values) {
        for (std::int32_t left = in_.int32(); left > 0 && in_.ok(); --left) {
            (*this)(values.emplace_back());
        }
    }
    void operator()(std::map<std::string, Desired>& values) {
        for (std::int32_t left = in_.int32(); left > 0 && in_.ok(); --left) {
            std::string name;
            (*this)(name);
            (*this)(values[name]);
        }
    }
    bool ok() const { return in_.ok(); }

private:
    protocol::Reader in_;
};

/// New fields go to the end: a reader of before stops there, a newer one finds defaults.
template <typename Archive, typename Any>
void walk(Archive& field, Any& link) {
    auto& spec = link.spec;
    field(link.id);
    field(link.cluster_id);
    field(spec.name);
    field(spec.bootstrap_servers);
    field(spec.expected_cluster_id);
    field(spec.tls);
    field(spec.tls_ca);
    field(spec.tls_certificate);
    field(spec.tls_key);
    field(spec.tls_server_name);
    field(spec.sasl_mechanism);
    field(spec.sasl_username);
    field(spec.sasl_password);
    field(spec.naming);
    field(spec.alias);
    field(spec.topics_include);
    field(spec.topics_exclude);
    field(spec.start_from);
    field(spec.groups_include);
    field(spec.groups_exclude);
    field(spec.groups_interval_ms);
    field(spec.configs_interval_ms);
    field(spec.sync_acls);
    field(spec.state);
    field(spec.promotion);
    field(spec.topic_states);
    field(spec.truncate_existing);
    field(spec.bytes_per_second);
    field(spec.connections_per_broker);
    field(spec.read_up_to);
    field(spec.truncate_open_transactions);
    field(spec.on_gap);
    field(spec.on_source_deleted);
    field(spec.on_source_recreated);
    field(spec.on_divergence);
    bool spare = false;
    field(spare);
    field(spec.max_lag_ms);
    field.later(spec.credentials_version);
}

bool is_a_clusters_own(std::string_view topic) {
    return topic.starts_with("__") || topic.ends_with(".internal") || topic == "heartbeats" ||
           topic.ends_with(".heartbeats");
}

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view text) {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t after_star = 0;
    while (t < text.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) &&
            pattern[p] != '*') {
            ++p;
            ++t;
        } else if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            after_star = t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++after_star;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

Desired LinkSpec::desired(const std::string& topic) const {
    const auto own = topic_states.find(topic);
    return own != topic_states.end() ? own->second : leaves_out(topic) ? Desired::paused : state;
}

bool LinkSpec::leaves_out(const std::string& topic) const {
    const auto source = source_name(topic);
    return !topic_states.contains(topic) && source && !takes_topic(*source);
}

bool LinkSpec::takes_topic(std::string_view source_topic) const {
    const bool internal = is_a_clusters_own(source_topic);
    // With prefixes, what already carries ours came from there.
    const bool came_back = naming == Naming::prefix && source_topic.starts_with(alias + ".");
    return !internal && !came_back && matches_any(topics_include, source_topic) &&
           !matches_any(topics_exclude, source_topic);
}

bool LinkSpec::misses(std::string_view source_topic) const {
    // Those of MirrorMaker 2 nobody looks for here.
    const bool looks_like_data = source_topic.ends_with(".internal") &&
                                 !source_topic.starts_with("mm2-") &&
                                 !source_topic.ends_with(".checkpoints.internal");
    return is_a_clusters_own(source_topic) && matches_any(topics_include, source_topic) &&
           !matches_any(topics_exclude, source_topic) &&
           (looks_like_data || names_topic(source_topic));
}

bool LinkSpec::names_topic(std::string_view source_topic) const {
    return std::find(topics_include.begin(), topics_include.end(), source_topic) !=
           topics_include.end();
}

bool LinkSpec::takes_group(std::string_view group) const {
    return matches_any(groups_include, group) && !matches_any(groups_exclude, group);
}

std::string LinkSpec::mirror_name(std::string_view source_topic) const {
    return naming == Naming::prefix ? fmt::format("{}.{}", alias, source_topic)
                                    : std::string(source_topic);
}

std::optional<std::string> LinkSpec::source_name(std::string_view mirror_topic) const {
    if (naming == Naming::identity) {
        return std::string(mirror_topic);
    }
    const std::string prefix = alias + ".";
    if (!mirror_topic.starts_with(prefix)) {
        return std::nullopt;
    }
    return std::string(mirror_topic.substr(prefix.size()));
}

Result<void> check(const LinkSpec& spec) {
    const auto is_word = [](std::string_view text) {
        return !text.empty() && text.size() <= 100 &&
               std::all_of(text.begin(), text.end(), [](char c) {
                   return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
               });
    };
    if (!is_word(spec.name)) {
        return Error::make(Code::invalid, "'{}' is no name of a link: letters, digits, - _ .",
                           spec.name);
    }
    if (spec.bootstrap_servers.empty()) {
        return Error(Code::invalid, "a link needs the source's bootstrap servers");
    }
    if (spec.naming == Naming::prefix && !is_word(spec.alias)) {
        return Error(Code::invalid, "naming with prefix needs an alias: letters, digits, - _ .");
    }
    if (!spec.tls && !(spec.tls_ca.empty() && spec.tls_certificate.empty())) {
        return Error(Code::invalid, "certificates are given for a source without TLS: enable it");
    }
    if (!spec.sasl_mechanism.empty() && spec.sasl_mechanism != "PLAIN" &&
        spec.sasl_mechanism != "SCRAM-SHA-256" && spec.sasl_mechanism != "SCRAM-SHA-512") {
        return Error::make(Code::invalid,
                           "SASL mechanism {} is not offered: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512",
                           spec.sasl_mechanism);
    }
    return {};
}

std::string encode(const Link& link) {
    Buffer bytes;
    bytes.push_back(static_cast<std::byte>(layout));
    Saver save(bytes);
    walk(save, link);
    return fmt::format("{}:{}", link.version, to_text(bytes));
}

Result<Link> decode(std::string_view value) {
    Link link;
    const auto [end, error] =
        std::from_chars(value.data(), value.data() + value.size(), link.version);
    const auto colon = static_cast<std::size_t>(end - value.data());
    if (error != std::errc{} || colon >= value.size() || value[colon] != ':') {
        return Error(Code::corrupt, "a link's entry without a version");
    }
    const auto bytes = to_bytes(value.substr(colon + 1));
    if (!bytes || bytes->empty() || bytes->front() != static_cast<std::byte>(layout)) {
        return Error(Code::corrupt, "a link's entry in a layout that is not known");
    }
    Loader load(ByteView(*bytes).subspan(1));
    walk(load, link);
    if (!load.ok()) {
        return Error(Code::corrupt, "a link's entry is cut short");
    }
    return link;
}

}  // namespace millrace::mirror
