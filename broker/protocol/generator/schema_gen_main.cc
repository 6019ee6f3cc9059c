// schema_gen OUT GROUPS SCHEMA...: writes OUT/protocol/messages/<message>.h for each schema, their
// functions spread over OUT/messages_<n>.cc, and the list of them all. A file whose text stays the
// same is not touched, so that only what depends on a changed schema is built again.
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
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

std::string source_file(const std::vector<const Message*>& messages) {
    std::string out = "// Generated from protocol/schemas.\n";
    for (const Message* message : messages) {
        out += fmt::format("#include \"protocol/messages/{}.h\"\n", message->cpp_name);
    }
    out += "\n#include \"protocol/internal/codec.h\"\n\nnamespace millrace::protocol {\n\n";
    for (const Message* message : messages) {
        out += emit_source(*message);
    }
    return out + "}  // namespace millrace::protocol\n";
}

// MR_MESSAGE(type, kind, family) for each, to make tables from.
std::string list_file(const std::vector<Message>& messages) {
    std::string out = "// Generated from protocol/schemas.\n";
    for (const Message& message : messages) {
        out += fmt::format("MR_MESSAGE({}, \"{}\", \"{}\")\n", message.name, message.kind,
                           message.family);
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
    std::vector<std::vector<const Message*>> grouped(groups);
    for (std::size_t i = 0; i < messages.size(); ++i) {
        write_if_changed(folder / (messages[i].cpp_name + ".h"), emit_header(messages[i]));
        grouped[i * groups / messages.size()].push_back(&messages[i]);
    }
    for (std::size_t i = 0; i < groups; ++i) {
        write_if_changed(to / fmt::format("messages_{}.cc", i), source_file(grouped[i]));
    }
    write_if_changed(folder / "list.def", list_file(messages));
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
