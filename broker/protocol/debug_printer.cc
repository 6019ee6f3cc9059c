#include "protocol/debug_printer.h"

#include <fmt/format.h>

namespace millrace::protocol {

void DebugPrinter::open(char bracket) {
    out_ += bracket;
    first_ = true;
}

void DebugPrinter::close(char bracket) {
    out_ += bracket;
    first_ = false;
}

void DebugPrinter::separate() {
    if (!first_) {
        out_ += ',';
    }
    first_ = false;
}

void DebugPrinter::key(std::string_view name) {
    separate();
    out_ += '"';
    out_ += name;
    out_ += "\":";
}

void DebugPrinter::begin_array(std::string_view name) {
    key(name);
    open('[');
}

void DebugPrinter::quoted(std::string_view text) {
    out_ += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out_ += '\\';
            out_ += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out_ += c;
        }
    }
    out_ += '"';
}

void DebugPrinter::bytes(ByteView value) {
    const std::size_t shown = value.size() < max_bytes_ ? value.size() : max_bytes_;
    out_ += '"';
    for (const std::byte byte : value.first(shown)) {
        out_ += fmt::format("{:02x}", static_cast<unsigned>(byte));
    }
    if (shown < value.size()) {
        out_ += fmt::format("... {} bytes", value.size());
    }
    out_ += '"';
}

void DebugPrinter::field(std::string_view name, bool value) {
    key(name);
    out_ += value ? "true" : "false";
}

void DebugPrinter::field(std::string_view name, std::int64_t value) {
    key(name);
    out_ += std::to_string(value);
}

void DebugPrinter::field(std::string_view name, double value) {
    key(name);
    out_ += fmt::format("{}", value);
}

void DebugPrinter::field(std::string_view name, std::string_view value) {
    key(name);
    quoted(value);
}

void DebugPrinter::field(std::string_view name, ByteView value) {
    key(name);
    bytes(value);
}

void DebugPrinter::field(std::string_view name, const Uuid& value) {
    key(name);
    quoted(value.to_string());
}

void DebugPrinter::field(std::string_view name, const Records& value) {
    key(name);
    out_ += fmt::format("\"{} bytes{}\"", value.size(), value.is_external() ? " in a file" : "");
}

void DebugPrinter::hidden(std::string_view name) {
    key(name);
    out_ += "\"[hidden]\"";
}

void DebugPrinter::null(std::string_view name) {
    key(name);
    out_ += "null";
}

template <typename T>
void DebugPrinter::numbers(std::string_view name, const std::vector<T>& values) {
    begin_array(name);
    for (const T value : values) {
        separate();
        out_ += std::to_string(value);
    }
    end_array();
}

void DebugPrinter::field(std::string_view name, const std::vector<std::int8_t>& values) {
    numbers(name, values);
}
void DebugPrinter::field(std::string_view name, const std::vector<std::int16_t>& values) {
    numbers(name, values);
}
void DebugPrinter::field(std::string_view name, const std::vector<std::int32_t>& values) {
    numbers(name, values);
}
void DebugPrinter::field(std::string_view name, const std::vector<std::int64_t>& values) {
    numbers(name, values);
}

void DebugPrinter::field(std::string_view name, const std::vector<std::string_view>& values) {
    begin_array(name);
    for (const std::string_view value : values) {
        separate();
        quoted(value);
    }
    end_array();
}

void DebugPrinter::field(std::string_view name, const std::vector<Uuid>& values) {
    begin_array(name);
    for (const Uuid& value : values) {
        separate();
        quoted(value.to_string());
    }
    end_array();
}

void DebugPrinter::field(std::string_view name, const std::vector<UnknownTag>& tags) {
    if (tags.empty()) {
        return;
    }
    key(name);
    open('{');
    for (const UnknownTag& tag : tags) {
        key(fmt::format("{}", tag.tag));
        bytes(tag.data);
    }
    close('}');
}

}  // namespace millrace::protocol
