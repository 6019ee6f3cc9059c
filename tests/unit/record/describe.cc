#include "tests/unit/record/describe.h"

#include <array>
#include <fmt/format.h>
#include <fstream>
#include <sstream>

#include "base/crc32c.h"
#include "record/batch_view.h"
#include "record/legacy.h"
#include "record/record_view.h"

namespace millrace::record {

namespace {

// RecordVectors.java lists up to this many records and sums up the others.
constexpr std::size_t many = 12;
constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string hex(const std::optional<ByteView>& bytes) {
    if (!bytes) {
        return "~";
    }
    std::string text = "x";
    for (const std::byte b : *bytes) {
        text += fmt::format("{:02x}", static_cast<unsigned>(b));
    }
    return text;
}

std::string facts(const BatchView& batch) {
    const auto horizon = batch.delete_horizon();
    return fmt::format(
        "facts base={} last={} epoch={} codec={} type={} txn={} control={} horizon={} max={} "
        "producer={}/{}/{} count={} size={}",
        batch.base_offset(), batch.last_offset(), batch.partition_leader_epoch(),
        to_string(batch.compression()), to_string(batch.timestamp_type()), batch.is_transactional(),
        batch.is_control(), horizon ? fmt::format("{}", *horizon) : "none", batch.max_timestamp(),
        batch.producer_id(), batch.producer_epoch(), batch.base_sequence(), batch.record_count(),
        batch.size());
}

std::string record_line(const BatchView& batch, const RecordView& record) {
    std::string line = fmt::format("record {} {} {} {}", offset_of(batch, record),
                                   timestamp_of(batch, record), hex(record.key), hex(record.value));
    for (const HeaderView& header : record.headers) {
        line += fmt::format(" {}={}", hex(as_bytes(header.key)), hex(header.value));
    }
    return line;
}

void append_records(const BatchView& batch, std::vector<std::string>& lines) {
    Decompressor decompressor;
    RecordReader reader{batch, decompressor};
    std::vector<std::string> records;
    for (RecordView record; reader.next(record);) {
        records.push_back(record_line(batch, record));
    }
    if (const auto status = reader.status(); !status) {
        records.push_back(status.error().to_string());
    }
    if (records.size() <= many) {
        lines.insert(lines.end(), records.begin(), records.end());
        return;
    }
    std::uint32_t crc = 0;
    for (const std::string& line : records) {
        crc = crc32c_extend(crc, as_bytes(line + "\n"));
    }
    lines.push_back(fmt::format("digest {} {}", records.size(), crc));
}

std::vector<std::string> describe_legacy(ByteView bytes) {
    const auto entry = LegacyEntry::parse(bytes);
    if (!entry) {
        return {entry.error().to_string()};
    }
    std::vector<std::string> lines{
        fmt::format("facts magic={} last={} codec={} size={}", entry->magic, entry->offset,
                    to_string(entry->compression()), entry->bytes.size())};
    Decompressor decompressor;
    const auto current = to_current(*entry, decompressor);
    if (!current) {
        lines.push_back(current.error().to_string());
        return lines;
    }
    const auto batch = BatchView::parse(*current);
    if (!batch || !batch->check()) {
        lines.push_back("converted to a batch that is none");
        return lines;
    }
    append_records(*batch, lines);
    return lines;
}

}  // namespace

std::vector<std::string> describe(ByteView bytes) {
    if (frame_first(bytes).framing == Framing::old_magic) {
        return describe_legacy(bytes);
    }
    const auto batch = BatchView::parse(bytes);
    if (!batch) {
        return {batch.error().to_string()};
    }
    if (const auto checked = batch->check(); !checked) {
        return {checked.error().to_string()};
    }
    std::vector<std::string> lines{facts(*batch)};
    append_records(*batch, lines);
    return lines;
}

std::vector<std::string> read_lines(std::string_view file) {
    std::ifstream in(std::string{MILLRACE_SOURCE_DIR "/tests/vectors/records/"} +
                     std::string{file});
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

std::vector<std::string> split(const std::string& line, char at) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; std::getline(in, word, at);) {
        words.push_back(word);
    }
    return words;
}

std::vector<Vector> read_vectors(std::string_view file) {
    std::vector<Vector> vectors;
    for (const std::string& line : read_lines(file)) {
        if (line.starts_with("batch ")) {
            const auto words = split(line, ' ');
            vectors.push_back({words.at(1), from_base64(words.at(2)), {}});
        } else {
            vectors.back().lines.push_back(line);
        }
    }
    return vectors;
}

Buffer from_base64(std::string_view text) {
    Buffer bytes;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const std::size_t value = alphabet.find(c);
        if (value == std::string_view::npos) {
            break;
        }
        bits = (bits << 6) | static_cast<std::uint32_t>(value);
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes.push_back(static_cast<std::byte>((bits >> count) & 0xff));
        }
    }
    return bytes;
}

std::string to_base64(ByteView bytes) {
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t bits = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            bits = (bits << 8) |
                   (i + k < bytes.size() ? static_cast<std::uint32_t>(bytes[i + k]) : 0U);
        }
        for (std::size_t k = 0; k < 4; ++k) {
            const bool padding = i + k > bytes.size();
            text += padding ? '=' : alphabet[(bits >> (18 - 6 * k)) & 0x3f];
        }
    }
    return text;
}

}  // namespace millrace::record
