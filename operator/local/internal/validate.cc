// What a schema forbids, in the API server's words.
#include <algorithm>
#include <fmt/format.h>
#include <re2/re2.h>

#include "operator/local/internal/schema.h"

namespace millrace::local {

namespace {

/// How the API shows a value inside a message: text quoted, containers by their type.
std::string shown(const Json& value) {
    if (value.is_object()) {
        return "\"object\"";
    }
    return value.is_array() ? "\"array\"" : value.dump();
}

std::string type_of(const Json& value) {
    if (value.is_string()) {
        return "string";
    }
    if (value.is_bool()) {
        return "boolean";
    }
    if (value.is_integer()) {
        return "integer";
    }
    if (value.is_number()) {
        return "number";
    }
    if (value.is_array()) {
        return "array";
    }
    return value.is_object() ? "object" : "null";
}

class Validator {
public:
    Validator(const SchemaSet& schemas, const RuleTable& rules)
        : schemas_(schemas), rules_(rules) {}

    void check(const Json& raw, const Json& value, const Json* old_value, const std::string& path) {
        const Json& schema = schemas_.resolve(raw);
        if (value.is_null()) {
            if (!schema["nullable"].boolean() && !schema["type"].text().empty()) {
                invalid(path, value, "null",
                        fmt::format("{} in body must be of type {}: \"null\"", path,
                                    schema["type"].text()));
            }
            return;
        }
        if (!type_fits(schema, value)) {
            invalid(
                path, value, "",
                fmt::format("{} in body must be of type {}: \"{}\"", path,
                            schema["x-kubernetes-int-or-string"].boolean() ? "integer,string"
                                                                           : schema["type"].text(),
                            type_of(value)));
            return;
        }
        check_enum(schema, value, path);
        if (value.is_string()) {
            check_string(schema, value, path);
        } else if (value.is_number()) {
            check_number(schema, value, path);
        } else if (value.is_array()) {
            check_array(schema, value, old_value, path);
        } else if (value.is_object()) {
            check_object(schema, value, old_value, path);
        }
        check_choices(schema, value, path);
        check_rules(schema, value, old_value, path);
    }

    std::vector<FieldError> take() { return std::move(errors_); }

private:
    void add(std::string reason, const std::string& path, std::string message) {
        errors_.push_back({std::move(reason), path.empty() ? "<nil>" : path, std::move(message)});
    }

    void invalid(const std::string& path, const Json& value, std::string_view as,
                 std::string_view why) {
        add("FieldValueInvalid", path,
            fmt::format("Invalid value: {}: {}",
                        as.empty() ? shown(value) : fmt::format("\"{}\"", as), why));
    }

    static bool type_fits(const Json& schema, const Json& value) {
        if (schema["x-kubernetes-int-or-string"].boolean()) {
            return value.is_string() || value.is_integer();
        }
        const std::string& type = schema["type"].text();
        const std::string actual = type_of(value);
        return type.empty() || type == actual || (type == "number" && actual == "integer") ||
               (type == "integer" && value.is_number() &&
                value.number() == static_cast<double>(value.integer()));
    }

    void check_enum(const Json& schema, const Json& value, const std::string& path) {
        const Json::Array& allowed = schema["enum"].items();
        if (allowed.empty() || std::find(allowed.begin(), allowed.end(), value) != allowed.end()) {
            return;
        }
        std::string list;
        for (const Json& choice : allowed) {
            list += (list.empty() ? "" : ", ") + choice.dump();
        }
        add("FieldValueNotSupported", path,
            fmt::format("Unsupported value: {}: supported values: {}", shown(value), list));
    }

    void check_string(const Json& schema, const Json& value, const std::string& path) {
        const std::string& text = value.text();
        const auto characters = static_cast<std::int64_t>(
            std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
        if (schema.has("maxLength") && characters > schema["maxLength"].integer()) {
            add("FieldValueTooLong", path,
                fmt::format("Too long: may not be more than {} bytes",
                            schema["maxLength"].integer()));
        }
        if (schema.has("minLength") && characters < schema["minLength"].integer()) {
            invalid(path, value, "",
                    fmt::format("{} in body should be at least {} chars long", path,
                                schema["minLength"].integer()));
        }
        if (const std::string& pattern = schema["pattern"].text(); !pattern.empty()) {
            const RE2 expression(pattern, RE2::Quiet);
            if (!expression.ok() || !RE2::PartialMatch(text, expression)) {
                invalid(path, value, "",
                        fmt::format("{} in body should match '{}'", path, pattern));
            }
        }
    }

    void check_number(const Json& schema, const Json& value, const std::string& path) {
        const double number = value.number();
        if (const Json* least = schema.find("minimum")) {
            const bool open = schema["exclusiveMinimum"].boolean();
            if (open ? number <= least->number() : number < least->number()) {
                invalid(path, value, "",
                        fmt::format("{} in body should be greater than {}{}", path,
                                    open ? "" : "or equal to ", least->dump()));
            }
        }
        if (const Json* most = schema.find("maximum")) {
            const bool open = schema["exclusiveMaximum"].boolean();
            if (open ? number >= most->number() : number > most->number()) {
                invalid(path, value, "",
                        fmt::format("{} in body should be less than {}{}", path,
                                    open ? "" : "or equal to ", most->dump()));
            }
        }
        if (const Json* unit = schema.find("multipleOf");
            unit && unit->integer() != 0 && value.integer() % unit->integer() != 0) {
            invalid(path, value, "",
                    fmt::format("{} in body should be a multiple of {}", path, unit->dump()));
        }
    }

    void check_array(const Json& schema, const Json& value, const Json* old_value,
                     const std::string& path) {
        if (schema.has("maxItems") &&
            static_cast<std::int64_t>(value.size()) > schema["maxItems"].integer()) {
            add("FieldValueTooMany", path,
                fmt::format("Too many: {}: must have at most {} items", value.size(),
                            schema["maxItems"].integer()));
        }
        if (schema.has("minItems") &&
            static_cast<std::int64_t>(value.size()) < schema["minItems"].integer()) {
            invalid(path, value, "",
                    fmt::format("{} in body should have at least {} items", path,
                                schema["minItems"].integer()));
        }
        const std::vector<std::string> keys = list_map_keys(schema);
        std::vector<std::string> seen;
        for (std::size_t i = 0; i < value.size(); ++i) {
            const std::string at = fmt::format("{}[{}]", path, i);
            check_unique(schema, value[i], keys, seen, at);
            check(schema["items"], value[i], counterpart(old_value, value[i], keys), at);
        }
    }

    void check_unique(const Json& schema, const Json& item, const std::vector<std::string>& keys,
                      std::vector<std::string>& seen, const std::string& path) {
        Json identity = item;
        if (!keys.empty()) {
            identity = Json::object({});
            for (const std::string& key : keys) {
                identity[key] = item[key];
            }
        } else if (schema["x-kubernetes-list-type"].text() != "set") {
            return;
        }
        std::string text = identity.dump();
        if (std::find(seen.begin(), seen.end(), text) != seen.end()) {
            add("FieldValueDuplicate", path, "Duplicate value: " + text);
        }
        seen.push_back(std::move(text));
    }

    /// The item with the same keys in the older list: rules that compare need it.
    static const Json* counterpart(const Json* old_list, const Json& item,
                                   const std::vector<std::string>& keys) {
        if (old_list == nullptr || keys.empty()) {
            return nullptr;
        }
        for (const Json& candidate : old_list->items()) {
            if (std::all_of(keys.begin(), keys.end(),
                            [&](const std::string& key) { return candidate[key] == item[key]; })) {
                return &candidate;
            }
        }
        return nullptr;
    }

    void check_object(const Json& schema, const Json& value, const Json* old_value,
                      const std::string& path) {
        for (const Json& name : schema["required"].items()) {
            if (!value.has(name.text())) {
                add("FieldValueRequired", join(path, name.text()), "Required value");
            }
        }
        if (schema.has("maxProperties") &&
            static_cast<std::int64_t>(value.size()) > schema["maxProperties"].integer()) {
            add("FieldValueTooMany", path,
                fmt::format("Too many: {}: must have at most {} items", value.size(),
                            schema["maxProperties"].integer()));
        }
        if (schema.has("minProperties") &&
            static_cast<std::int64_t>(value.size()) < schema["minProperties"].integer()) {
            invalid(path, value, "",
                    fmt::format("{} in body should have at least {} properties", path,
                                schema["minProperties"].integer()));
        }
        for (const auto& [name, member] : value.members()) {
            const Json& field = schemas_.field(schema, name);
            if (field.is_object()) {
                check(field, member, old_value ? old_value->find(name) : nullptr, join(path, name));
            }
        }
    }

    /// allOf, anyOf, oneOf and not: a structural schema uses them to constrain only.
    void check_choices(const Json& schema, const Json& value, const std::string& path) {
        const auto fits = [&](const Json& part) {
            Validator inner(schemas_, rules_);
            inner.check(part, value, nullptr, path);
            return inner.errors_.empty();
        };
        for (const Json& part : schema["allOf"].items()) {
            check(part, value, nullptr, path);
        }
        const Json::Array& any = schema["anyOf"].items();
        if (!any.empty() && std::none_of(any.begin(), any.end(), fits)) {
            invalid(path, value, "",
                    fmt::format("{} in body must validate at least one schema "
                                "(anyOf)",
                                path));
        }
        const Json::Array& one = schema["oneOf"].items();
        if (!one.empty() && std::count_if(one.begin(), one.end(), fits) != 1) {
            invalid(path, value, "",
                    fmt::format("{} in body must validate one and only one schema "
                                "(oneOf)",
                                path));
        }
        if (schema["not"].is_object() && fits(schema["not"])) {
            invalid(path, value, "",
                    fmt::format("{} in body must not validate the schema (not)", path));
        }
    }

    void check_rules(const Json& schema, const Json& value, const Json* old_value,
                     const std::string& path) {
        for (const Json& rule : schema["x-kubernetes-validations"].items()) {
            const std::string& text = rule["rule"].text();
            const bool compares = text.find("oldSelf") != std::string::npos;
            const auto predicate = rules_.find(text);
            if (predicate == rules_.end() || (compares && old_value == nullptr) ||
                predicate->second(value, old_value)) {
                continue;
            }
            std::string field = path;
            if (const std::string& below = rule["fieldPath"].text(); !below.empty()) {
                field += below;
            }
            const std::string message =
                rule["message"].text().empty() ? "failed rule: " + text : rule["message"].text();
            const std::string& reason = rule["reason"].text();
            if (reason == "FieldValueForbidden") {
                add(reason, field, "Forbidden: " + message);
            } else if (reason == "FieldValueRequired") {
                add(reason, field, "Required value: " + message);
            } else {
                invalid(field, value, type_of(value), message);
            }
        }
    }

    static std::string join(const std::string& path, const std::string& name) {
        return path.empty() ? name : path + "." + name;
    }

    const SchemaSet& schemas_;
    const RuleTable& rules_;
    std::vector<FieldError> errors_;
};

}  // namespace

std::vector<FieldError> validate(const SchemaSet& schemas, const Json& schema, const Json& value,
                                 const Json* old_value, const RuleTable& rules) {
    Validator validator(schemas, rules);
    validator.check(schema, value, old_value, "");
    return validator.take();
}

}  // namespace millrace::local
