// schema_gen OUT GROUPS SCHEMA...: writes OUT/protocol/messages/<message>.h for each schema, their
// functions spread over OUT/messages_<n>.cc, and the list of them all. A file whose text stays the
// same is not touched, so that only what depends on a changed schema is built again.
#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "protocol/generator/emit.h"
#include "protocol/generator/schema.h"

namespace millrace::protocol::generator {
namespace {

void write_if_changed(const std::filesystem::path& path, const std::string& text) {
    std::ifstream old(path);
    std::stringstream present;
    present << old.rdbuf();
    if (old && present.str() == text) {
        return;
    }
    std::ofstream made(path);
    made << text;
    if (!made.flush()) {
        stop("can't write " + path.string());
    }
}

// Rows of the registry stand where their messages are compiled anyway.
std::string registry_rows(std::size_t group, const std::vector<const Message*>& messages) {
    std::string out = fmt::format(
        "\nnamespace internal {{\n\nextern const MessageType messages_of_group_{0}[];\n"
        "const MessageType messages_of_group_{0}[] = {{\n",
        group);
    for (const Message* message : messages) {
        out += fmt::format("    registry_row<{0}>(\"{0}\", \"{1}\", \"{2}\"),\n", message->name,
                           message->kind, message->family);
    }
    return out + "    {}};\n\n}  // namespace internal\n";
}

// MR_GROUP(number) for each source, to join their rows.
std::string group_file(std::size_t groups) {
    std::string out = "// Generated from protocol/schemas.\n";
    for (std::size_t group = 0; group < groups; ++group) {
        out += fmt::format("MR_GROUP({})\n", group);
    }
    return out;
}

std::string source_file(std::size_t group, const std::vector<const Message*>& messages) {
    std::string out = "// Generated from protocol/schemas.\n";
    for (const Message* message : messages) {
        out += fmt::format("#include \"protocol/messages/{}.h\"\n", message->cpp_name);
    }
    out +=
        "\n#include \"protocol/internal/codec.h\"\n#include "
        "\"protocol/internal/registry_row.h\"\n\n"
        "namespace millrace::protocol {\n\n";
    for (const Message* message : messages) {
        out += emit_source(*message);
    }
    return out + registry_rows(group, messages) + "\n}  // namespace millrace::protocol\n";
}

bool listens(const Message& message, const char* listener) {
    return std::count(message.listeners.begin(), message.listeners.end(), listener) > 0;
}

// MR_API(name, enumerator, key, min, max, unstable, first flexible, on brokers, on controllers), by
// key.
std::string api_file(const std::vector<Message>& messages) {
    std::map<int, const Message*> requests;
    for (const Message& message : messages) {
        if (message.kind == "request") {
            requests[message.api_key] = &message;
        }
    }
    std::string out = "// Generated from protocol/schemas.\n";
    for (const auto& [key, message] : requests) {
        const std::string name =
            message->name.substr(0, message->name.size() - sizeof("Request") + 1);
        out +=
            fmt::format("MR_API({}, {}, {}, {}, {}, {}, {}, {}, {})\n", name, snake_case(name), key,
                        message->versions.low, message->versions.high, message->latest_unstable,
                        message->flexible.empty() ? Range::open_end : message->flexible.low,
                        listens(*message, "broker"), listens(*message, "controller"));
    }
    return out;
}

// MR_METADATA_RECORD(type, key), the records of the metadata log.
std::string metadata_file(const std::vector<Message>& messages) {
    std::string out = "// Generated from protocol/schemas.\n";
    for (const Message& message : messages) {
        if (message.family == "metadata") {
            out += fmt::format("MR_METADATA_RECORD({}, {})\n", message.name, message.api_key);
        }
    }
    return out;
}

std::string all_header(const std::vector<Message>& messages) {
    std::string out =
        "// Generated: every message. For tables and tests; others name what they use.\n#pragma "
        "once\n\n";
    for (const Message& message : messages) {
        out += fmt::format("#include \"protocol/messages/{}.h\"\n", message.cpp_name);
    }
    return out;
}

// A message that is gone must not linger as a header that still compiles.
void remove_all_but(const std::filesystem::path& folder, const std::vector<Message>& messages) {
    std::set<std::string> kept = {"all"};
    for (const Message& message : messages) {
        kept.insert(message.cpp_name);
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".h" && kept.count(entry.path().stem()) == 0) {
            std::filesystem::remove(entry.path());
        }
    }
}

int run(const std::filesystem::path& to, std::size_t groups,
        const std::vector<std::string>& paths) {
    std::filesystem::create_directories(to / "protocol" / "messages");
    std::vector<Message> messages;
    for (const std::string& path : paths) {
        messages.push_back(load_message(path));
        if (std::filesystem::path(path).stem() != messages.back().cpp_name) {
            stop(path + " holds " + messages.back().name);
        }
    }
    const auto folder = to / "protocol" / "messages";
    remove_all_but(folder, messages);
    std::vector<std::vector<const Message*>> grouped(groups);
    for (std::size_t i = 0; i < messages.size(); ++i) {
        write_if_changed(folder / (messages[i].cpp_name + ".h"), emit_header(messages[i]));
        grouped[i * groups / messages.size()].push_back(&messages[i]);
    }
    for (std::size_t i = 0; i < groups; ++i) {
        write_if_changed(to / fmt::format("messages_{}.cc", i), source_file(i, grouped[i]));
    }
    write_if_changed(folder / "groups.def", group_file(groups));
    write_if_changed(folder / "apis.def", api_file(messages));
    write_if_changed(folder / "metadata_records.def", metadata_file(messages));
    write_if_changed(folder / "all.h", all_header(messages));
    return 0;
}

}  // namespace
}  // namespace millrace::protocol::generator

int main(int argc, char** argv) {
    if (argc < 4) {
        millrace::protocol::generator::stop("usage: schema_gen OUT GROUPS SCHEMA...");
    }
    return millrace::protocol::generator::run(argv[1], std::stoul(argv[2]),
                                              {argv + 3, argv + argc});
}
