#include "runtime/logfmt.h"

#include <algorithm>

namespace millrace::runtime {

namespace {

bool is_plain(std::string_view value) {
    return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
        return c > ' ' && c < 127 && c != '"' && c != '\\' && c != '=';
    });
}

void append_value(std::string& line, std::string_view value) {
    if (is_plain(value)) {
        line += value;
        return;
    }
    line += '"';
    for (const char c : value) {
        if (c == '"' || c == '\\') {
            line += '\\';
            line += c;
        } else if (static_cast<unsigned char>(c) < ' ' || c == 127) {
            // One event is one line, whatever a peer put into a name.
            line += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else {
            line += c;
        }
    }
    line += '"';
}

}  // namespace

std::string to_logfmt(Level level, std::string_view event, std::initializer_list<Field> fields) {
    std::string line = fmt::format("{} {}", to_string(level), event);
    for (const Field& one : fields) {
        line += ' ';
        line += one.name;
        line += '=';
        append_value(line, one.value);
    }
    return line;
}

}  // namespace millrace::runtime
