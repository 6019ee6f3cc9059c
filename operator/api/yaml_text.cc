// Json as YAML that a person reads: block style, quotes only where a reader could err.
#include <fmt/core.h>
#include <re2/re2.h>

#include "operator/api/kinds.h"

namespace millrace::api {

using kube::Json;

namespace {

/// Plain only what no YAML reader, 1.1 or 1.2, takes for anything but this text.
std::string scalar(const Json& value) {
    static const RE2 plain("[A-Za-z./][A-Za-z0-9 ._/()+,;-]*[A-Za-z0-9._/()+]|[A-Za-z]");
    static const RE2 taken("(?i)(true|false|yes|no|on|off|y|n|null|none|~)|[.].*");
    if (!value.is_string()) {
        return value.is_object() ? "{}" : value.is_array() ? "[]" : value.dump();
    }
    const std::string& text = value.text();
    return RE2::FullMatch(text, plain) && !RE2::FullMatch(text, taken) ? text : value.dump();
}

/// On one line, with brackets; inside them a plain text may not hold commas or brackets.
std::string flow(const Json& value) {
    std::string out;
    for (const auto& [name, member] : value.members()) {
        out += (out.empty() ? "" : ", ") + flow(name) + ": " + flow(member);
    }
    if (value.is_object()) {
        return "{" + out + "}";
    }
    for (const Json& item : value.items()) {
        out += (out.empty() ? "" : ", ") + flow(item);
    }
    if (value.is_array()) {
        return "[" + out + "]";
    }
    const std::string text = scalar(value);
    return text.find(',') == std::string::npos || text.starts_with('"') ? text : value.dump();
}

/// A value that is short enough stands behind its name, else below it.
bool is_block(const Json& value) {
    constexpr std::size_t longest = 160;
    return !value.empty() && flow(value).size() > longest;
}

void write(const Json& value, std::size_t indent, std::string& out);

void write_member(std::string_view head, const Json& value, std::size_t indent, std::string& out) {
    out += head;
    if (is_block(value)) {
        out += '\n';
        write(value, value.is_array() ? indent : indent + 2, out);
    } else {
        out += ' ' + (value.empty() ? scalar(value) : flow(value)) + '\n';
    }
}

/// Every line of the value, indented; an object's first line is left to the caller in a list.
void write(const Json& value, std::size_t indent, std::string& out) {
    const std::string margin(indent, ' ');
    for (const auto& [name, member] : value.members()) {
        write_member(margin + scalar(name) + ":", member, indent, out);
    }
    for (const Json& item : value.items()) {
        if (!is_block(item)) {
            out += margin + "- " + (item.empty() ? scalar(item) : flow(item)) + '\n';
            continue;
        }
        std::string block;
        write(item, indent + 2, block);
        block.replace(0, indent + 2, margin + "- ");
        out += block;
    }
}

}  // namespace

std::string to_yaml(const Json& object) {
    std::string out;
    write(object, 0, out);
    return out;
}

}  // namespace millrace::api
