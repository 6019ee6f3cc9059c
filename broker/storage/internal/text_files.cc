#include "storage/internal/text_files.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <optional>

namespace millrace::storage {

namespace {

constexpr int checkpoint_version = 0;

/// Takes the next line, without its end; nothing once the text is used up.
std::optional<std::string_view> take_line(std::string_view& text) {
    if (text.empty()) {
        return std::nullopt;
    }
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    return line;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    return text;
}

template <typename T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || at != text.data() + text.size() || text.empty()) {
        return std::nullopt;
    }
    return value;
}

std::vector<std::string_view> split_words(std::string_view line) {
    std::vector<std::string_view> words;
    while (!(line = trim(line)).empty()) {
        const std::size_t end = line.find_first_of(" \t");
        words.push_back(line.substr(0, end));
        line.remove_prefix(end == std::string_view::npos ? line.size() : end);
    }
    return words;
}

/// Version line, count line, entries: calls `entry` with the words of each.
template <typename Entry>
Result<void> parse_checkpoint(std::string_view text, std::size_t words_per_line, Entry entry) {
    const auto version = take_line(text);
    if (!version || parse_number<int>(trim(*version)) != checkpoint_version) {
        return Error::make(Code::corrupt, "checkpoint of version '{}'", version.value_or(""));
    }
    const auto count_line = take_line(text);
    const auto count = count_line ? parse_number<std::int64_t>(trim(*count_line)) : std::nullopt;
    if (!count || *count < 0) {
        return Error::make(Code::corrupt, "checkpoint with a count of '{}'",
                           count_line.value_or(""));
    }
    std::int64_t seen = 0;
    while (const auto line = take_line(text)) {
        const auto words = split_words(*line);
        if (words.empty()) {
            break;
        }
        if (words.size() != words_per_line || !entry(words)) {
            return Error::make(Code::corrupt, "checkpoint entry '{}'", *line);
        }
        ++seen;
    }
    if (seen != *count) {
        return Error::make(Code::corrupt, "checkpoint of {} entries, {} announced", seen, *count);
    }
    return {};
}

/// One key and value of a Java properties line; nothing for comments and blank lines.
std::optional<std::pair<std::string, std::string>> parse_property(std::string_view line) {
    line = trim(line);
    if (line.empty() || line.front() == '#' || line.front() == '!') {
        return std::nullopt;
    }
    std::string key;
    std::string value;
    bool in_value = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        char c = line[i];
        if (c == '\\' && i + 1 < line.size()) {
            c = line[++i];
        } else if (!in_value && (c == '=' || c == ':')) {
            in_value = true;
            continue;
        }
        (in_value ? value : key).push_back(c);
    }
    return std::pair{std::string(trim(key)), std::string(trim(value))};
}

std::map<std::string, std::string> parse_properties(std::string_view text) {
    std::map<std::string, std::string> properties;
    while (const auto line = take_line(text)) {
        if (auto property = parse_property(*line)) {
            properties[std::move(property->first)] = std::move(property->second);
        }
    }
    return properties;
}

}  // namespace

std::string print_offset_checkpoint(const OffsetMap& offsets) {
    std::string text = fmt::format("{}\n{}\n", checkpoint_version, offsets.size());
    for (const auto& [at, offset] : offsets) {
        text += fmt::format("{} {} {}\n", at.topic, at.partition, offset);
    }
    return text;
}

Result<OffsetMap> parse_offset_checkpoint(std::string_view text) {
    OffsetMap offsets;
    MR_TRY_VOID(parse_checkpoint(text, 3, [&offsets](const auto& words) {
        const auto partition = parse_number<std::int32_t>(words[1]);
        const auto offset = parse_number<std::int64_t>(words[2]);
        if (!partition || !offset || *partition < 0 || *offset < 0) {
            return false;
        }
        const TopicPartition at{std::string(words[0]), PartitionIndex{*partition}};
        return offsets.emplace(at, Offset{*offset}).second;
    }));
    return offsets;
}

std::string print_epoch_checkpoint(const std::vector<EpochStart>& entries) {
    std::string text = fmt::format("{}\n{}\n", checkpoint_version, entries.size());
    for (const EpochStart& entry : entries) {
        text += fmt::format("{} {}\n", entry.epoch, entry.start);
    }
    return text;
}

Result<std::vector<EpochStart>> parse_epoch_checkpoint(std::string_view text) {
    std::vector<EpochStart> entries;
    MR_TRY_VOID(parse_checkpoint(text, 2, [&entries](const auto& words) {
        const auto epoch = parse_number<std::int32_t>(words[0]);
        const auto start = parse_number<std::int64_t>(words[1]);
        if (!epoch || !start || *epoch < 0 || *start < 0) {
            return false;
        }
        entries.push_back({LeaderEpoch{*epoch}, Offset{*start}});
        return true;
    }));
    return entries;
}

std::string print_partition_metadata(Uuid topic_id) {
    return fmt::format("version: 0\ntopic_id: {}", topic_id);
}

Result<Uuid> parse_partition_metadata(std::string_view text) {
    const std::string_view written = text.substr(0, text.find('\0'));
    const bool blank_after = std::all_of(text.begin() + static_cast<std::ptrdiff_t>(written.size()),
                                         text.end(), [](char c) { return c == '\0'; });
    static const std::string whole = print_partition_metadata(Uuid{});
    static const std::string_view constant =
        std::string_view(whole).substr(0, whole.size() - Uuid{}.to_string().size());
    if (blank_after && written.size() < whole.size() &&
        written.substr(0, constant.size()) == constant.substr(0, written.size())) {
        return Uuid{};
    }
    const auto properties = parse_properties(text);
    const auto version = properties.find("version");
    if (version == properties.end() || version->second != "0") {
        return Error(Code::corrupt, "partition.metadata of an unknown version");
    }
    const auto id = properties.find("topic_id");
    const auto parsed = id == properties.end() ? std::nullopt : Uuid::parse(id->second);
    if (!parsed || parsed->is_zero()) {
        return Error(Code::corrupt, "partition.metadata without a topic id");
    }
    return *parsed;
}

std::string print_meta_properties(const MetaProperties& properties) {
    // Without the date that Java's writer adds: the same facts give the same bytes.
    return fmt::format("#\ncluster.id={}\ndirectory.id={}\nnode.id={}\nversion=1\n",
                       properties.cluster_id, properties.directory_id, properties.node);
}

Result<MetaProperties> parse_meta_properties(std::string_view text) {
    const auto properties = parse_properties(text);
    const auto get = [&properties](const std::string& key) {
        const auto found = properties.find(key);
        return found == properties.end() ? std::string{} : found->second;
    };
    const std::string version = get("version");
    if (version.empty()) {
        return Error(Code::corrupt,
                     "it has no version: it is cut off or something else; put back what it held "
                     "(version=1 and cluster.id, node.id and directory.id of this directory), or "
                     "name another directory");
    }
    if (version != "1") {
        return Error::make(Code::unsupported, "meta.properties of version '{}', not 1{}", version,
                           version == "0" ? ": a broker that kept its metadata in ZooKeeper wrote "
                                            "it; bring that cluster to KRaft first, or mirror it "
                                            "(docs/migration.md)"
                                          : "");
    }
    MetaProperties result{.cluster_id = get("cluster.id")};
    const auto node = parse_number<std::int32_t>(get("node.id"));
    if (result.cluster_id.empty() || !node) {
        return Error(Code::corrupt, "meta.properties without a cluster.id and a node.id");
    }
    result.node = BrokerId{*node};
    if (const std::string id = get("directory.id"); !id.empty()) {
        const auto parsed = Uuid::parse(id);
        if (!parsed) {
            return Error::make(Code::corrupt, "meta.properties: directory.id '{}'", id);
        }
        result.directory_id = *parsed;
    }
    return result;
}

std::string print_clean_shutdown(BrokerEpoch epoch) {
    return fmt::format(R"({{"version":0,"brokerEpoch":{}}})", epoch);
}

std::optional<BrokerEpoch> parse_clean_shutdown(std::string_view text) {
    constexpr std::string_view key = "\"brokerEpoch\"";
    const std::size_t at = text.find(key);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    text = trim(text.substr(at + key.size()));
    if (!text.starts_with(':')) {
        return std::nullopt;
    }
    text = trim(text.substr(1));
    const auto epoch =
        parse_number<std::int64_t>(text.substr(0, text.find_first_not_of("-0123456789")));
    return epoch ? std::optional{BrokerEpoch{*epoch}} : std::nullopt;
}

}  // namespace millrace::storage
