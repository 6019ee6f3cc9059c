// protocol/generator/schema.h
//
// One message as the schemas describe it, resolved: each struct knows in which of the message's
// versions it can occur.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace millrace::protocol::generator {

/// Both ends included; empty when low > high.
struct Range {
    static constexpr int open_end = 0x7fff;
    int low = 1;
    int high = 0;

    bool empty() const { return low > high; }
    bool holds(int version) const { return low <= version && version <= high; }
    bool covers(const Range& other) const {
        return other.empty() || (low <= other.low && high >= other.high);
    }
    Range intersect(const Range& other) const;
    /// The smallest range that holds both.
    Range hull(const Range& other) const;
};

/// "3", "3-7", "3+" or "none".
Range parse_range(const std::string& text);

struct Field {
    std::string name;      ///< Official.
    std::string cpp_name;  ///< snake_case.
    std::string type;      ///< Of the element when is_array.
    bool is_array = false;
    bool is_struct = false;
    Range versions;
    Range nullable;
    Range tagged;
    int tag = -1;
    std::optional<std::string> fallback;  ///< The default as written; "null" for null.
    bool ignorable = false;
    bool sensitive = false;
    bool never_compact = false;

    /// Nullable in a version that can occur: the C++ type is an optional.
    bool is_optional = false;
    bool is_tagged() const { return !tagged.empty(); }
};

struct Struct {
    std::string name;
    std::vector<Field> fields;
    Range context;  ///< The message's versions in which it occurs.
    /// Fewest bytes on the wire in any of them.
    int least_size = 0;
};

struct Message {
    std::string name;
    std::string cpp_name;
    std::string kind;
    std::string family;
    int api_key = -1;
    Range versions;
    Range flexible;
    bool latest_unstable = false;
    std::vector<std::string> listeners;
    /// Each after those that it uses; the message itself is the last.
    std::vector<Struct> structs;

    const Struct& root() const { return structs.back(); }
    const Struct* find(const std::string& struct_name) const;
};

std::string snake_case(const std::string& name);

/// Stops the build with a message on anything it doesn't understand.
Message load_message(const std::string& path);

[[noreturn]] void stop(const std::string& why);

}  // namespace millrace::protocol::generator
