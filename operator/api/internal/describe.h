// operator/api/internal/describe.h
//
// One description of a struct, walked by whoever needs it. For each struct there is a
//
//   template <typename Visitor> void describe(Visitor& v, StorageSpec& s) {
//       v.field("size", s.size, {.doc = "Size of each disk.", .example = "100Gi"});
//       v.rule({.cel = "...", .message = "...", .holds = [](const Json& self, const Json*) {...}});
//   }
//
// and Reader (Json to struct), Writer (struct to Json) and SchemaBuilder (OpenAPI, for kubectl
// explain, validation and the reference page) are its visitors. A field's default is its member's
// initial value.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/values.h"
#include "operator/kube/json.h"

namespace millrace::api {

using kube::Json;

/// What a description says of a field besides its type.
struct About {
    std::string_view doc;
    bool required = false;
    std::optional<std::int64_t> minimum;
    std::optional<std::int64_t> maximum;
    std::string_view pattern;
    std::string_view example;     ///< What an error proposes to write.
    std::int64_t max_length = 0;  ///< Of text, or of a list's or map's texts.
    std::int64_t max_items = 0;   ///< Of a list or a map.
    std::int64_t min_items = 0;
    std::string_view key;  ///< A list of structs in which this member is unique.
    bool set = false;      ///< A list without doubles, merged by server-side apply.
    bool loose = false;    ///< Text for which numbers and booleans may be written.
};

/// A rule of the struct that is being described. `holds` sees the struct with its defaults. Without
/// `cel` only the parser judges by it: what CEL can't see is the inside of a map of any scalars.
struct DescribedRule {
    std::string cel;
    std::string_view message;
    bool (*holds)(const Json& self, const Json* old_self);
};

inline bool compares_with_old(std::string_view cel) {
    return cel.find("oldSelf") != std::string_view::npos;
}

class Reader;

template <typename T>
concept Described = requires(Reader& reader, T& value) { describe(reader, value); };

// ---- Struct to Json --------------------------------------------------------------------------

class Writer {
public:
    template <typename T>
    void field(std::string_view name, const T& member, const About& about) {
        if (Json value = write(member, about.loose); !value.is_null()) {
            out_[name] = std::move(value);
        }
    }
    void rule(const DescribedRule& /*rule*/) {}
    Json take() { return std::move(out_); }

    template <Described T>
    static Json write(const T& value, bool /*loose*/ = false) {
        Writer writer;
        T copy = value;  // A description takes what a reader could fill.
        describe(writer, copy);
        return writer.take();
    }

private:
    static Json write(bool value, bool) { return value; }
    static Json write(std::int32_t value, bool) { return std::int64_t{value}; }
    static Json write(std::int64_t value, bool) { return value; }
    static Json write(double value, bool) { return value; }
    static Json write(const std::string& value, bool) {
        return value.empty() ? Json() : Json(value);
    }
    static Json write(const Quantity& value, bool) { return value.text(); }
    static Json write(const Span& value, bool) { return value.to_string(); }
    static Json write(const Json& value, bool) { return value; }
    template <Worded Enum>
    static Json write(Enum value, bool) {
        return to_string(value);
    }
    template <typename T>
    static Json write(const std::optional<T>& value, bool loose) {
        if (!value) {
            return {};
        }
        // A text that was written, even an empty one, is not an absent one.
        if constexpr (std::same_as<T, std::string>) {
            return *value;
        } else if constexpr (Described<T>) {
            Json written = write(*value, loose);
            return written.is_null() ? Json(Json::Object{}) : written;
        } else {
            return write(*value, loose);
        }
    }
    template <typename T>
    static Json write(const std::vector<T>& values, bool loose) {
        if (values.empty()) {
            return {};
        }
        Json list;
        for (const T& value : values) {
            list.push_back(write(value, loose));
        }
        return list;
    }
    template <typename T>
    static Json write(const std::map<std::string, T, std::less<>>& values, bool loose) {
        if (values.empty()) {
            return {};
        }
        Json map;
        for (const auto& [name, value] : values) {
            if constexpr (std::same_as<T, std::string>) {
                map[name] = value;
            } else {
                map[name] = write(value, loose);
            }
        }
        return map;
    }

    Json out_;
};

// ---- Json to struct --------------------------------------------------------------------------

/// Where we are and what went wrong so far.
class Reader {
public:
    Reader(const Json& value, std::string path, std::vector<std::string>& errors)
        : value_(value), path_(std::move(path)), errors_(errors) {}

    template <typename T>
    void field(std::string_view name, T& member, const About& about) {
        const Json* found = value_.find(name);
        const std::string at = path_.empty() ? std::string(name) : path_ + "." + std::string(name);
        if (found == nullptr || found->is_null()) {
            if (about.required) {
                missing(at, about);
            }
            return;
        }
        read(*found, at, member, about);
    }
    void rule(DescribedRule rule) { rules_.push_back(std::move(rule)); }

    template <Described T>
    static void read_struct(const Json& value, const std::string& path, T& out,
                            std::vector<std::string>& errors) {
        if (!value.is_object()) {
            errors.push_back(path + ": must be an object of fields; write them indented below it");
            return;
        }
        const std::size_t before = errors.size();
        Reader reader(value, path, errors);
        describe(reader, out);
        if (errors.size() == before && !reader.rules_.empty()) {
            reader.judge(Writer::write(out));
        }
    }

private:
    void missing(const std::string& at, const About& about);
    void wrong(const std::string& at, const Json& value, std::string_view what,
               const std::string& remedy);
    void judge(const Json& self);
    bool in_range(const Json& value, const std::string& at, const About& about);

    void read(const Json& value, const std::string& at, bool& out, const About& about);
    void read(const Json& value, const std::string& at, std::int32_t& out, const About& about);
    void read(const Json& value, const std::string& at, std::int64_t& out, const About& about);
    void read(const Json& value, const std::string& at, double& out, const About& about);
    void read(const Json& value, const std::string& at, std::string& out, const About& about);
    void read(const Json& value, const std::string& at, Quantity& out, const About& about);
    void read(const Json& value, const std::string& at, Span& out, const About& about);
    void read(const Json& value, const std::string& at, Json& out, const About& about);
    bool is_list(const Json& value, const std::string& at, const About& about);
    bool is_map(const Json& value, const std::string& at, const About& about);
    void check_key(const Json& list, const std::string& at, const About& about);
    void not_one_of(const Json& value, const std::string& at, const std::string_view* words,
                    std::size_t count);

    template <Worded Enum>
    void read(const Json& value, const std::string& at, Enum& out, const About&) {
        if (const std::optional<Enum> known = from_word<Enum>(value.text())) {
            out = *known;
        } else {
            not_one_of(value, at, Words<Enum>::list.data(), Words<Enum>::list.size());
        }
    }
    template <typename T>
    void read(const Json& value, const std::string& at, std::optional<T>& out, const About& about) {
        read(value, at, out.emplace(), about);
    }
    template <typename T>
    void read(const Json& value, const std::string& at, std::vector<T>& out, const About& about) {
        if (!is_list(value, at, about)) {
            return;
        }
        out.clear();
        for (std::size_t i = 0; i < value.size(); ++i) {
            read(value[i], at + "[" + std::to_string(i) + "]", out.emplace_back(), about);
        }
        check_key(value, at, about);
    }
    template <typename T>
    void read(const Json& value, const std::string& at, std::map<std::string, T, std::less<>>& out,
              const About& about) {
        if (!is_map(value, at, about)) {
            return;
        }
        out.clear();
        for (const auto& [name, member] : value.members()) {
            read(member, at + "[" + name + "]", out[name], about);
        }
    }
    template <Described T>
    void read(const Json& value, const std::string& at, T& out, const About&) {
        read_struct(value, at, out, errors_);
    }

    const Json& value_;
    std::string path_;
    std::vector<std::string>& errors_;
    std::vector<DescribedRule> rules_;
};

// ---- OpenAPI ---------------------------------------------------------------------------------

class SchemaBuilder {
public:
    /// `wanted`: a spec, with defaults and required fields; else a status.
    explicit SchemaBuilder(bool wanted, std::vector<DescribedRule>& rules)
        : wanted_(wanted), all_rules_(rules) {
        out_["type"] = "object";
    }

    template <typename T>
    void field(std::string_view name, const T& member, const About& about) {
        Json schema = schema_of(member, about);
        schema["description"] = about.doc;
        if (about.required) {
            out_["required"].push_back(name);
        } else if (wanted_) {
            if (Json fallback = default_of(member); !fallback.is_null()) {
                schema["default"] = std::move(fallback);
            }
        }
        out_["properties"][name] = std::move(schema);
    }
    void rule(DescribedRule rule);
    Json take() { return std::move(out_); }

    template <Described T>
    static Json schema_of_struct(const T& initial, bool wanted, std::vector<DescribedRule>& rules) {
        SchemaBuilder builder(wanted, rules);
        T copy = initial;
        describe(builder, copy);
        return builder.take();
    }

private:
    static Json default_of(bool value) { return value; }
    static Json default_of(std::int32_t value) { return std::int64_t{value}; }
    static Json default_of(std::int64_t value) { return value; }
    static Json default_of(const std::string& value) {
        return value.empty() ? Json() : Json(value);
    }
    static Json default_of(const Span& value) { return value.to_string(); }
    static Json default_of(const std::vector<std::string>& values) {
        Json list;
        for (const std::string& value : values) {
            list.push_back(value);
        }
        return list;
    }
    /// Optional members, quantities, lists of structs and objects have none.
    template <typename T>
    static Json default_of(const T& value) {
        if constexpr (Worded<T>) {
            return to_string(value);
        } else {
            return {};
        }
    }

    Json schema_of(bool, const About&) const { return Json::object({{"type", "boolean"}}); }
    Json schema_of(std::int32_t, const About& about) const { return number("int32", about); }
    Json schema_of(std::int64_t, const About& about) const { return number("int64", about); }
    Json schema_of(double, const About&) const { return Json::object({{"type", "number"}}); }
    Json schema_of(const std::string&, const About& about) const;
    Json schema_of(const Quantity&, const About&) const;
    Json schema_of(const Span&, const About&) const;
    Json schema_of(const Json&, const About&) const;
    template <Worded Enum>
    Json schema_of(Enum, const About&) const {
        Json schema = Json::object({{"type", "string"}});
        for (const std::string_view word : Words<Enum>::list) {
            schema["enum"].push_back(word);
        }
        return schema;
    }
    template <typename T>
    Json schema_of(const std::optional<T>&, const About& about) const {
        return schema_of(T{}, about);
    }
    template <typename T>
    Json schema_of(const std::vector<T>&, const About& about) const {
        Json schema = Json::object({{"type", "array"}, {"items", schema_of(T{}, about)}});
        describe_list(schema, about);
        return schema;
    }
    template <typename T>
    Json schema_of(const std::map<std::string, T, std::less<>>&, const About& about) const {
        Json schema =
            Json::object({{"type", "object"}, {"additionalProperties", schema_of(T{}, about)}});
        describe_map(schema, about);
        return schema;
    }
    template <Described T>
    Json schema_of(const T& initial, const About&) const {
        return schema_of_struct(initial, wanted_, all_rules_);
    }
    static Json number(std::string_view format, const About& about);
    static void describe_list(Json& schema, const About& about);
    static void describe_map(Json& schema, const About& about);

    bool wanted_;
    std::vector<DescribedRule>& all_rules_;
    Json out_;
};
}  // namespace millrace::api
