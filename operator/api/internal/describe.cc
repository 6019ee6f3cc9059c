#include "operator/api/internal/describe.h"

#include <algorithm>
#include <fmt/core.h>
#include <re2/re2.h>

namespace millrace::api {

namespace {

constexpr std::string_view quantity_pattern = "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$";
constexpr std::string_view span_pattern = "^([0-9]+(ms|s|m|h|d))+$";

std::string or_example(const About& about, std::string fallback) {
    return about.example.empty() ? std::move(fallback)
                                 : fmt::format("write for example {}", about.example);
}

std::string range_remedy(const About& about) {
    if (about.minimum && about.maximum) {
        return fmt::format("write a whole number from {} to {}", *about.minimum, *about.maximum);
    }
    if (about.minimum) {
        return fmt::format("write a whole number, {} or more", *about.minimum);
    }
    return "write a whole number";
}

}  // namespace

// ---- Reader ----------------------------------------------------------------------------------

void Reader::missing(const std::string& at, const About& about) {
    errors_.push_back(
        fmt::format("{}: is missing; {}", at, or_example(about, "it has to be given")));
}

void Reader::wrong(const std::string& at, const Json& value, std::string_view what,
                   const std::string& remedy) {
    constexpr std::size_t longest = 80;
    std::string shown = value.dump();
    if (shown.size() > longest) {
        shown = shown.substr(0, longest) + "...";
    }
    errors_.push_back(fmt::format("{}: {} {}; {}", at, shown, what, remedy));
}

void Reader::judge(const Json& self) {
    for (const DescribedRule& rule : rules_) {
        if (!compares_with_old(rule.cel) && !rule.holds(self, nullptr)) {
            errors_.push_back(
                fmt::format("{}{}{}", path_, path_.empty() ? "" : ": ", rule.message));
        }
    }
}

bool Reader::in_range(const Json& value, const std::string& at, const About& about) {
    const bool whole =
        value.is_integer() ||
        (value.is_number() && value.number() == static_cast<double>(value.integer()));
    if (!whole) {
        wrong(at, value, "is no whole number", range_remedy(about));
        return false;
    }
    if ((about.minimum && value.integer() < *about.minimum) ||
        (about.maximum && value.integer() > *about.maximum)) {
        wrong(at, value, "is out of range", range_remedy(about));
        return false;
    }
    return true;
}

void Reader::read(const Json& value, const std::string& at, bool& out, const About&) {
    if (!value.is_bool()) {
        wrong(at, value, "is neither true nor false", "write true or false, without quotes");
        return;
    }
    out = value.boolean();
}

void Reader::read(const Json& value, const std::string& at, std::int32_t& out, const About& about) {
    About narrow = about;
    narrow.minimum = about.minimum.value_or(INT32_MIN);
    narrow.maximum = about.maximum.value_or(INT32_MAX);
    if (in_range(value, at, narrow)) {
        out = static_cast<std::int32_t>(value.integer());
    }
}

void Reader::read(const Json& value, const std::string& at, std::int64_t& out, const About& about) {
    if (in_range(value, at, about)) {
        out = value.integer();
    }
}

void Reader::read(const Json& value, const std::string& at, double& out, const About&) {
    if (!value.is_number()) {
        wrong(at, value, "is no number", "write a number");
        return;
    }
    out = value.number();
}

void Reader::read(const Json& value, const std::string& at, std::string& out, const About& about) {
    if (!value.is_string() && !(about.loose && (value.is_number() || value.is_bool()))) {
        wrong(at, value, "is no text",
              or_example(about, fmt::format("write text, in quotes if it looks like a number")));
        return;
    }
    std::string text = value.is_string() ? value.text() : value.dump();
    if (about.max_length > 0 && text.size() > static_cast<std::size_t>(about.max_length)) {
        wrong(at, value, "is too long",
              fmt::format("write at most {} characters", about.max_length));
        return;
    }
    if (!about.pattern.empty()) {
        const RE2 expression(std::string(about.pattern), RE2::Quiet);
        if (!RE2::PartialMatch(text, expression)) {
            wrong(at, value, fmt::format("doesn't match {}", about.pattern),
                  or_example(about, "write text of that form"));
            return;
        }
    }
    out = std::move(text);
}

void Reader::read(const Json& value, const std::string& at, Quantity& out, const About& about) {
    const std::string text = value.is_string() ? value.text() : value.dump();
    if (const std::optional<Quantity> quantity = Quantity::parse(text)) {
        out = *quantity;
        return;
    }
    wrong(at, value, "is no quantity", or_example(about, "write for example 100Gi"));
}

void Reader::read(const Json& value, const std::string& at, Span& out, const About& about) {
    if (const std::optional<Span> span = Span::parse(value.text())) {
        out = *span;
        return;
    }
    wrong(at, value, "is no span of time", or_example(about, "write for example 30s, 5m or 1h30m"));
}

void Reader::read(const Json& value, const std::string& at, Json& out, const About&) {
    if (!value.is_object()) {
        wrong(at, value, "is no object", "write its fields indented below it");
        return;
    }
    out = value;
}

bool Reader::is_list(const Json& value, const std::string& at, const About& about) {
    if (!value.is_array()) {
        wrong(at, value, "is no list", "write it in brackets, or with a dash a line");
        return false;
    }
    if (about.max_items > 0 && value.size() > static_cast<std::size_t>(about.max_items)) {
        errors_.push_back(
            fmt::format("{}: has {} entries; write at most {}", at, value.size(), about.max_items));
        return false;
    }
    if (value.size() < static_cast<std::size_t>(about.min_items)) {
        errors_.push_back(
            fmt::format("{}: is too short; write at least {} entries", at, about.min_items));
        return false;
    }
    return true;
}

bool Reader::is_map(const Json& value, const std::string& at, const About& about) {
    if (!value.is_object()) {
        wrong(at, value, "is no map", "write names and values indented below it");
        return false;
    }
    if (about.max_items > 0 && value.size() > static_cast<std::size_t>(about.max_items)) {
        errors_.push_back(
            fmt::format("{}: has {} entries; write at most {}", at, value.size(), about.max_items));
        return false;
    }
    return true;
}

void Reader::check_key(const Json& list, const std::string& at, const About& about) {
    for (std::size_t i = 0; i < list.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            const bool twice = !about.key.empty() ? list[i][about.key] == list[j][about.key]
                                                  : about.set && list[i] == list[j];
            if (twice) {
                wrong(fmt::format("{}[{}]", at, i),
                      about.key.empty() ? list[i] : list[i][about.key], "is there twice",
                      "remove one of them");
                return;
            }
        }
    }
}

void Reader::not_one_of(const Json& value, const std::string& at, const std::string_view* words,
                        std::size_t count) {
    std::string list;
    for (std::size_t i = 0; i < count; ++i) {
        list += i == 0 ? "" : i + 1 == count ? " or " : ", ";
        list += words[i];
    }
    wrong(at, value, "is not one of the choices", "write " + list);
}

// ---- SchemaBuilder ---------------------------------------------------------------------------

void SchemaBuilder::rule(DescribedRule rule) {
    if (rule.cel.empty()) {
        return;
    }
    out_["x-kubernetes-validations"].push_back(
        Json::object({{"rule", rule.cel}, {"message", rule.message}}));
    all_rules_.push_back(std::move(rule));
}

Json SchemaBuilder::schema_of(const std::string&, const About& about) const {
    Json schema;
    if (about.loose) {
        // In a map any scalar is a setting's value; a single field is text or a number. "Any
        // scalar" has no type of its own: it is what is no list or object with something in it.
        if (about.pattern.empty()) {
            schema = Json::object({{"x-kubernetes-preserve-unknown-fields", true},
                                   {"maxItems", 0},
                                   {"maxProperties", 0}});
            if (about.max_length > 0) {
                schema["maxLength"] = about.max_length;
            }
            return schema;
        }
        schema["anyOf"] =
            Json::array({Json::object({{"type", "integer"}}), Json::object({{"type", "string"}})});
        schema["x-kubernetes-int-or-string"] = true;
    } else {
        schema["type"] = "string";
    }
    if (!about.pattern.empty()) {
        schema["pattern"] = about.pattern;
    }
    if (about.max_length > 0) {
        schema["maxLength"] = about.max_length;
    }
    return schema;
}

Json SchemaBuilder::schema_of(const Quantity&, const About&) const {
    return Json::object({{"anyOf", Json::array({Json::object({{"type", "integer"}}),
                                                Json::object({{"type", "string"}})})},
                         {"maxLength", 30},
                         {"pattern", quantity_pattern},
                         {"x-kubernetes-int-or-string", true}});
}

Json SchemaBuilder::schema_of(const Span&, const About&) const {
    return Json::object({{"type", "string"}, {"pattern", span_pattern}, {"maxLength", 30}});
}

Json SchemaBuilder::schema_of(const Json&, const About&) const {
    return Json::object({{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}});
}

Json SchemaBuilder::number(std::string_view format, const About& about) {
    Json schema = Json::object({{"type", "integer"}, {"format", format}});
    if (about.minimum) {
        schema["minimum"] = *about.minimum;
    }
    if (about.maximum) {
        schema["maximum"] = *about.maximum;
    }
    return schema;
}

void SchemaBuilder::describe_list(Json& schema, const About& about) {
    if (about.max_items > 0) {
        schema["maxItems"] = about.max_items;
    }
    if (about.min_items > 0) {
        schema["minItems"] = about.min_items;
    }
    if (!about.key.empty()) {
        schema["x-kubernetes-list-type"] = "map";
        schema["x-kubernetes-list-map-keys"] = Json::array({about.key});
    } else if (about.set) {
        schema["x-kubernetes-list-type"] = "set";
    }
}

void SchemaBuilder::describe_map(Json& schema, const About& about) {
    if (about.max_items > 0) {
        schema["maxProperties"] = about.max_items;
    }
}

}  // namespace millrace::api
