#include <fmt/format.h>
#include <map>

#include "protocol/generator/emit.h"

namespace millrace::protocol::generator {
namespace {

const std::map<std::string, std::string> scalar_types = {{"bool", "bool"},
                                                         {"int8", "std::int8_t"},
                                                         {"int16", "std::int16_t"},
                                                         {"uint16", "std::uint16_t"},
                                                         {"int32", "std::int32_t"},
                                                         {"uint32", "std::uint32_t"},
                                                         {"int64", "std::int64_t"},
                                                         {"float64", "double"},
                                                         {"string", "std::string_view"},
                                                         {"bytes", "ByteView"},
                                                         {"records", "Records"},
                                                         {"uuid", "Uuid"}};

bool holds_bytes(const Struct& one) {
    for (const Field& field : one.fields) {
        if (field.type == "bytes") {
            return true;
        }
    }
    return false;
}

std::string member(const Field& field) {
    const std::string type = plain_type(field);
    const bool scalar = !field.is_array && !field.is_struct;
    if (field.is_optional) {
        if (default_is_null(field)) {
            return fmt::format("std::optional<{}> {};", type, field.cpp_name);
        }
        return fmt::format("std::optional<{0}> {1} = {0}{{{2}}};", type, field.cpp_name,
                           scalar ? default_literal(field) : "");
    }
    return fmt::format("{} {}{{{}}};", type, field.cpp_name, scalar ? default_literal(field) : "");
}

std::string functions(const Struct& one, const std::string& indent) {
    std::string out;
    out += indent + "void decode(Reader& in, std::int16_t v);\n";
    out += indent + "void encode(Writer& out, std::int16_t v) const;\n";
    out += indent + "void print(DebugPrinter& p) const;\n";
    out += fmt::format("{}friend bool operator==(const {}& a, const {}& b){};\n", indent, one.name,
                       one.name, holds_bytes(one) ? "" : " = default");
    return out;
}

std::string body(const Message& message, const Struct& one, const std::string& indent) {
    std::string out;
    for (const Field& field : one.fields) {
        out += indent + member(field) + "\n";
    }
    if (!message.flexible.intersect(one.context).empty()) {
        out += indent + "std::vector<UnknownTag> unknown_tags;\n";
    }
    return out + "\n" + functions(one, indent);
}

}  // namespace

std::string plain_type(const Field& field) {
    const auto found = scalar_types.find(field.type);
    const std::string element = found == scalar_types.end() ? field.type : found->second;
    return field.is_array ? fmt::format("std::vector<{}>", element) : element;
}

bool default_is_null(const Field& field) {
    // Records have no empty value: absent until set.
    return field.is_optional && (field.fallback == "null" || field.type == "records");
}

std::string default_literal(const Field& field) {
    if (!field.fallback || *field.fallback == "null" || field.type == "bytes" ||
        field.type == "records") {
        return "";
    }
    if (field.type == "string") {
        return field.fallback->empty() ? "\"\"" : '"' + *field.fallback + '"';
    }
    if (field.type == "uuid") {
        stop(field.name + ": a uuid with a default");
    }
    return *field.fallback;
}

// The parts lie outside the message: inside it, a member's std::optional<Part> could not see the
// part's default values yet.
std::string emit_parts(const Message& message) {
    std::string out;
    for (const Struct& one : message.structs) {
        if (&one != &message.root()) {
            out += fmt::format("struct {} {{\n{}}};\n\n", one.name, body(message, one, "    "));
        }
    }
    return out.empty()
               ? out
               : fmt::format("namespace parts::{0} {{\n\n{1}}}  // namespace parts::{0}\n\n",
                             message.cpp_name, out);
}

std::string emit_header(const Message& message) {
    std::string out = fmt::format(
        "// Generated from protocol/schemas/{}.yaml.\n#pragma once\n\n"
        "#include <cstdint>\n#include <optional>\n#include <string>\n#include <string_view>\n"
        "#include <vector>\n\n#include \"protocol/types.h\"\n\n"
        "namespace millrace::protocol {{\n\n",
        message.cpp_name);
    const Struct& root = message.root();
    out += emit_parts(message);
    out += fmt::format("struct {} {{\n", root.name);
    const auto constant = [&out](const char* type, const char* name, int value) {
        out += fmt::format("    static constexpr {} {} = {};\n", type, name, value);
    };
    constant("std::int16_t", "api_key", message.api_key);
    constant("std::int16_t", "min_version", message.versions.low);
    constant("std::int16_t", "max_version", message.versions.high);
    constant("std::int16_t", "first_flexible_version",
             message.flexible.empty() ? Range::open_end : message.flexible.low);
    out += fmt::format("    static constexpr bool latest_version_unstable = {};\n\n",
                       message.latest_unstable);
    for (const Struct& one : message.structs) {
        if (&one != &root) {
            out += fmt::format("    using {0} = parts::{1}::{0};\n", one.name, message.cpp_name);
        }
    }
    out += (message.structs.size() > 1 ? "\n" : "") + body(message, root, "    ");
    out += "    std::string debug_string() const;\n};\n\n}  // namespace millrace::protocol\n";
    return out;
}

}  // namespace millrace::protocol::generator
