#include "protocol/generator/schema.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <yaml-cpp/yaml.h>

namespace millrace::protocol::generator {
namespace {

// What a field may not be called in C++, or in the functions we generate around it.
const std::set<std::string> reserved = {
    "auto",        "bool",    "class",    "default",  "delete",       "double", "enum",
    "explicit",    "export",  "float",    "friend",   "int",          "long",   "new",
    "operator",    "private", "public",   "register", "short",        "signed", "static",
    "struct",      "switch",  "template", "this",     "typename",     "union",  "virtual",
    "namespace",   "in",      "out",      "v",        "flex",         "tags",   "known",
    "p",           "decode",  "encode",   "print",    "debug_string", "a",      "b",
    "unknown_tags"};

std::string text_of(const YAML::Node& node, const char* key) {
    return node[key] ? node[key].as<std::string>() : std::string{};
}

Range range_of(const YAML::Node& node, const char* key) {
    return node[key] ? parse_range(node[key].as<std::string>()) : Range{};
}

bool flag_of(const YAML::Node& node, const char* key) {
    return node[key] && node[key].as<bool>();
}

class Loader {
public:
    explicit Loader(const YAML::Node& root) : root_(root) {}

    Message load() {
        message_.name = text_of(root_, "name");
        message_.cpp_name = snake_case(message_.name);
        message_.kind = text_of(root_, "kind");
        message_.family = text_of(root_, "family");
        message_.api_key = root_["api_key"] ? root_["api_key"].as<int>() : -1;
        message_.versions = parse_range(text_of(root_, "versions"));
        message_.flexible = range_of(root_, "flexible");
        message_.latest_unstable = flag_of(root_, "unstable");
        for (const YAML::Node& listener : root_["listeners"]) {
            message_.listeners.push_back(listener.as<std::string>());
        }
        for (const YAML::Node& common : root_["structs"]) {
            bodies_[text_of(common, "name")] = common["fields"];
        }
        read_struct(message_.name, root_["fields"]);
        spread(message_.structs.size() - 1, message_.versions);
        for (Struct& one : message_.structs) {
            finish(one);
        }
        return std::move(message_);
    }

private:
    void read_struct(const std::string& name, const YAML::Node& fields) {
        if (!open_.insert(name).second) {
            stop(message_.name + ": " + name + " contains itself");
        }
        Struct made;
        made.name = name;
        for (const YAML::Node& node : fields) {
            made.fields.push_back(read_field(node));
        }
        check_tags(made);
        open_.erase(name);
        message_.structs.push_back(std::move(made));
    }

    Field read_field(const YAML::Node& node) {
        const YAML::Node facts = node["facts"] ? node["facts"] : node;
        Field field;
        field.name = text_of(facts, "name");
        field.cpp_name = snake_case(field.name);
        if (reserved.count(field.cpp_name) > 0) {
            field.cpp_name += '_';
        }
        field.type = text_of(facts, "type");
        field.is_array = field.type.rfind("[]", 0) == 0;
        if (field.is_array) {
            field.type.erase(0, 2);
        }
        field.is_struct = std::isupper(static_cast<unsigned char>(field.type[0])) != 0;
        field.versions = range_of(facts, "versions");
        field.nullable = range_of(facts, "nullable");
        field.tagged = range_of(facts, "tagged");
        field.tag = facts["tag"] ? facts["tag"].as<int>() : -1;
        if (const YAML::Node fallback = facts["default"]) {
            field.fallback = fallback.IsNull() ? "null" : fallback.as<std::string>();
        }
        field.ignorable = flag_of(facts, "ignorable");
        field.sensitive = flag_of(facts, "sensitive");
        field.never_compact = text_of(facts, "flexible") == "none";
        if (field.is_tagged() && (!field.tagged.covers(field.versions) || field.tag < 0)) {
            stop(message_.name + "." + field.name + ": tagged in some of its versions only");
        }
        if (field.is_struct) {
            read_type(field.type, node["fields"] ? node["fields"] : bodies_[field.type]);
        }
        return field;
    }

    void read_type(const std::string& name, const YAML::Node& fields) {
        if (message_.find(name) != nullptr) {
            return;
        }
        if (!fields) {
            stop(message_.name + ": no struct " + name);
        }
        read_struct(name, fields);
    }

    void check_tags(const Struct& one) {
        std::set<int> tags;
        for (const Field& field : one.fields) {
            if (field.is_tagged() && !tags.insert(field.tag).second) {
                stop(message_.name + "." + one.name + ": a tag is used twice");
            }
        }
    }

    // Tells a struct and all below it that they occur in `range`.
    void spread(std::size_t index, Range range) {
        Struct& one = message_.structs[index];
        one.context = one.context.empty() ? range : one.context.hull(range);
        for (const Field& field : one.fields) {
            const Range below = field.versions.intersect(range);
            if (field.is_struct && !below.empty()) {
                const Struct* target = message_.find(field.type);
                spread(static_cast<std::size_t>(target - message_.structs.data()), below);
            }
        }
    }

    void finish(Struct& one) {
        for (Field& field : one.fields) {
            field.is_optional =
                !field.nullable.intersect(field.versions).intersect(one.context).empty();
        }
        one.least_size = least_size(one, one.context.low);
        for (int version = one.context.low; version <= one.context.high; ++version) {
            one.least_size = std::min(one.least_size, least_size(one, version));
        }
    }

    int least_size(const Struct& one, int version) const {
        int size = message_.flexible.holds(version) ? 1 : 0;
        for (const Field& field : one.fields) {
            if (!field.is_tagged() && field.versions.holds(version)) {
                size += least_size(field, version);
            }
        }
        return size;
    }

    int least_size(const Field& field, int version) const {
        const bool wide = field.never_compact || !message_.flexible.holds(version);
        if (field.is_array || field.type == "bytes" || field.type == "records") {
            return wide ? 4 : 1;
        }
        if (field.type == "string") {
            return wide ? 2 : 1;
        }
        if (field.is_struct) {
            return field.nullable.holds(version) ? 1
                                                 : least_size(*message_.find(field.type), version);
        }
        static const std::map<std::string, int> fixed = {
            {"bool", 1},   {"int8", 1},  {"int16", 2}, {"uint16", 2}, {"int32", 4},
            {"uint32", 4}, {"int64", 8}, {"uuid", 16}, {"float64", 8}};
        const auto found = fixed.find(field.type);
        if (found == fixed.end()) {
            stop(message_.name + "." + field.name + ": no type " + field.type);
        }
        return found->second;
    }

    YAML::Node root_;
    std::map<std::string, YAML::Node> bodies_;
    std::set<std::string> open_;
    Message message_;
};

}  // namespace

void stop(const std::string& why) {
    std::fprintf(stderr, "schema_gen: %s\n", why.c_str());
    std::exit(1);
}

Range Range::intersect(const Range& other) const {
    return {std::max(low, other.low), std::min(high, other.high)};
}

Range Range::hull(const Range& other) const {
    return {std::min(low, other.low), std::max(high, other.high)};
}

Range parse_range(const std::string& text) {
    if (text == "none") {
        return {};
    }
    const std::size_t dash = text.find('-');
    const int low = std::stoi(text);
    if (text.back() == '+') {
        return {low, Range::open_end};
    }
    return {low, dash == std::string::npos ? low : std::stoi(text.substr(dash + 1))};
}

std::string snake_case(const std::string& name) {
    std::string out;
    bool capital = true;
    for (const char c : name) {
        const bool upper = std::isupper(static_cast<unsigned char>(c)) != 0;
        if (upper && !capital) {
            out += '_';
        }
        capital = upper;
        out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return out;
}

const Struct* Message::find(const std::string& struct_name) const {
    for (const Struct& one : structs) {
        if (one.name == struct_name) {
            return &one;
        }
    }
    return nullptr;
}

Message load_message(const std::string& path) {
    return Loader(YAML::LoadFile(path)).load();
}

}  // namespace millrace::protocol::generator
