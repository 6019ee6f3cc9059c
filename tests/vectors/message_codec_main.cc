// message_codec: what our codec makes of bytes that others wrote. Lines come in on standard input,
// each a message:
//
//   FetchRequest 12 00000001...                  name, version, bytes in hex; what follows is
//   passed over FetchRequest 12 full 00000001...             the same with a word for its kind, as
//   in *.txt.zst beside this file
//   {"name":"Fetch","direction":"request","version":12,"hex":"00000001...", ...}
//
// and for each goes out what became of it: `same`, `other HEX` where it comes back to other bytes,
// `trailing N` where N bytes are left behind its last field, `refused byte N: why`. --help says the
// rest.
#include <charconv>
#include <cstdio>
#include <fmt/core.h>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/reader.h"
#include "protocol/registry.h"
#include "protocol/writer.h"
#include "tests/support/allocation_counter.h"

namespace millrace::protocol {
namespace {

constexpr int exit_usage = 2;
constexpr const char* usage =
    "message_codec [--brief] [--show] <LINES\n"
    "  --brief  only what does not come back to the same bytes\n"
    "  --show   each message that can be read, as text; secrets are hidden\n"
    "  --list   every message with its kind, API key and versions\n"
    "ends with 0 if every message came back to the same bytes, 1 if not, 2 if a line is no "
    "message\n";

struct Message {
    std::string name;
    std::int16_t version = 0;
    Buffer bytes;
};

std::optional<Buffer> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) {
        return std::nullopt;
    }
    Buffer bytes(hex.size() / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        unsigned value = 0;
        const char* const at = hex.data() + 2 * i;
        if (std::from_chars(at, at + 2, value, 16).ptr != at + 2) {
            return std::nullopt;
        }
        bytes[i] = static_cast<std::byte>(value);
    }
    return bytes;
}

std::string to_hex(ByteView bytes) {
    std::string hex;
    for (const std::byte byte : bytes) {
        hex += fmt::format("{:02x}", static_cast<unsigned>(byte));
    }
    return hex;
}

/// The value behind a key of a flat JSON object, without its quotes; empty if there is none.
std::string_view json_value(std::string_view line, std::string_view key) {
    std::size_t at = line.find(fmt::format("\"{}\":", key));
    if (at == std::string_view::npos) {
        return {};
    }
    at = line.find_first_not_of(' ', at + key.size() + 3);
    if (at == std::string_view::npos) {
        return {};
    }
    const bool quoted = line[at] == '"';
    line.remove_prefix(at + (quoted ? 1 : 0));
    return line.substr(0, line.find_first_of(quoted ? "\"" : ",} "));
}

std::optional<Message> message_of(std::string name, std::string_view version,
                                  std::string_view hex) {
    Message message{.name = std::move(name), .bytes = {}};
    const char* const end = version.data() + version.size();
    auto bytes = from_hex(hex);
    if (std::from_chars(version.data(), end, message.version).ptr != end || version.empty() ||
        !bytes) {
        return std::nullopt;
    }
    message.bytes = *std::move(bytes);
    return message;
}

std::optional<Message> parse(const std::string& line) {
    if (line.starts_with('{')) {
        const std::string_view direction = json_value(line, "direction");
        std::string name(json_value(line, "name"));
        name += direction == "request" ? "Request" : direction == "response" ? "Response" : "";
        return message_of(std::move(name), json_value(line, "version"), json_value(line, "hex"));
    }
    std::vector<std::string> words;  // an empty message has an empty word
    std::istringstream rest(line);
    for (std::string word; std::getline(rest, word, ' ');) {
        words.push_back(word);
    }
    if (words.size() < 3) {
        return std::nullopt;
    }
    const bool has_kind = words[2].find_first_not_of("0123456789abcdefABCDEF") != std::string::npos;
    if (has_kind && words.size() < 4) {
        return std::nullopt;
    }
    return message_of(words[0], words[1], words[has_kind ? 3 : 2]);
}

/// "same", or what is not.
std::string verdict(const MessageType& type, const Message& message) {
    Buffer bytes;
    bytes.reserve(message.bytes.size() + 64);
    Reader reader(message.bytes);
    Writer writer(bytes);
    const std::size_t before = test::allocations().bytes;
    type.recode(reader, writer, message.version);
    const std::size_t used = test::allocations().bytes - before;
    if (!reader.ok()) {
        return "refused " + reader.error().message();
    }
    if (!writer.ok()) {
        return "refused when written: " + writer.error().message();
    }
    if (reader.remaining() > 0) {
        return fmt::format("trailing {}", reader.remaining());
    }
    if (used > 32 * message.bytes.size() + 64 * 1024) {
        return fmt::format("greedy {} bytes allocated", used);
    }
    return bytes == message.bytes ? "same" : "other " + to_hex(bytes);
}

void list() {
    for (const MessageType& type : all_messages()) {
        fmt::print("{} {} {} {}-{}\n", type.name, type.kind, type.api_key, type.min_version,
                   type.max_version);
    }
}

int run(bool brief, bool show) {
    std::size_t same = 0;
    std::size_t others = 0;
    for (std::string line; std::getline(std::cin, line);) {
        const auto message = parse(line);
        const MessageType* type = message ? find_message(message->name) : nullptr;
        if (type == nullptr) {
            fmt::print(stderr, "no message: {}\n", line.substr(0, 100));
            return exit_usage;
        }
        const std::string found = verdict(*type, *message);
        ++(found == "same" ? same : others);
        if (!brief || found != "same") {
            fmt::print("{} {} {}\n", message->name, message->version, found);
        }
        if (show) {
            Reader reader(message->bytes);
            fmt::print("  {}\n", type->debug_string(reader, message->version));
        }
    }
    fmt::print(stderr, "{} messages came back to the same bytes, {} did not\n", same, others);
    return others == 0 ? 0 : 1;
}

}  // namespace
}  // namespace millrace::protocol

int main(int argc, char** argv) {
    using namespace millrace::protocol;
    bool brief = false;
    bool show = false;
    for (const std::string_view word : std::vector<std::string_view>(argv + 1, argv + argc)) {
        if (word == "--list") {
            list();
            return 0;
        }
        if (word != "--brief" && word != "--show") {
            std::fputs(usage, word == "--help" ? stdout : stderr);
            return word == "--help" ? 0 : exit_usage;
        }
        (word == "--brief" ? brief : show) = true;
    }
    std::ios::sync_with_stdio(false);
    return run(brief, show);
}
