// protocol/debug_printer.h
//
// Writes a message as JSON for people: sensitive fields hidden, bytes as hex cut after a few,
// records as their size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/types.h"

namespace millrace::protocol {

class DebugPrinter {
public:
    /// Bytes longer than `max_bytes` are cut.
    explicit DebugPrinter(std::size_t max_bytes = 32) : max_bytes_(max_bytes) {}

    std::string take() && { return std::move(out_); }

    void begin() { open('{'); }
    void end() { close('}'); }
    void begin(std::string_view name) {
        key(name);
        begin();
    }

    void field(std::string_view name, bool value);
    void field(std::string_view name, std::int64_t value);
    void field(std::string_view name, double value);
    void field(std::string_view name, std::string_view value);
    void field(std::string_view name, ByteView value);
    void field(std::string_view name, const Uuid& value);
    void field(std::string_view name, const Records& value);
    void field(std::string_view name, std::int8_t value) { field(name, std::int64_t{value}); }
    void field(std::string_view name, std::int16_t value) { field(name, std::int64_t{value}); }
    void field(std::string_view name, std::uint16_t value) { field(name, std::int64_t{value}); }
    void field(std::string_view name, std::int32_t value) { field(name, std::int64_t{value}); }
    void field(std::string_view name, std::uint32_t value) { field(name, std::int64_t{value}); }
    void hidden(std::string_view name);
    void null(std::string_view name);

    void field(std::string_view name, const std::vector<std::int8_t>& values);
    void field(std::string_view name, const std::vector<std::int16_t>& values);
    void field(std::string_view name, const std::vector<std::int32_t>& values);
    void field(std::string_view name, const std::vector<std::int64_t>& values);
    void field(std::string_view name, const std::vector<std::string_view>& values);
    void field(std::string_view name, const std::vector<Uuid>& values);
    void field(std::string_view name, const std::vector<UnknownTag>& tags);

    template <typename T>
    void field(std::string_view name, const std::optional<T>& value) {
        if (value) {
            field(name, *value);
        } else {
            null(name);
        }
    }
    /// A struct, or an array of structs.
    template <typename T>
        requires requires(const T& value, DebugPrinter& printer) { value.print(printer); }
    void field(std::string_view name, const T& value) {
        key(name);
        element(value);
    }
    template <typename T>
        requires requires(const T& value, DebugPrinter& printer) { value.print(printer); }
    void field(std::string_view name, const std::vector<T>& values) {
        begin_array(name);
        for (const T& value : values) {
            separate();
            element(value);
        }
        end_array();
    }

private:
    template <typename T>
    void element(const T& value) {
        begin();
        value.print(*this);
        end();
    }
    template <typename T>
    void numbers(std::string_view name, const std::vector<T>& values);
    void begin_array(std::string_view name);
    void end_array() { close(']'); }
    void open(char bracket);
    void close(char bracket);
    void separate();
    void key(std::string_view name);
    void quoted(std::string_view text);
    void bytes(ByteView value);

    std::size_t max_bytes_;
    std::string out_;
    bool first_ = true;
};

}  // namespace millrace::protocol
