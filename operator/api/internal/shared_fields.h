// operator/api/internal/shared_fields.h
//
// Descriptions that several kinds share, and the helpers their rules are written with.
#pragma once

#include "operator/api/internal/describe.h"

namespace millrace::api {

inline constexpr std::string_view object_name_pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
inline constexpr std::string_view topic_name_pattern = "^[a-zA-Z0-9._-]+$";

/// The same value, or absent in both.
inline bool same(const Json& self, const Json& old_self, std::string_view name) {
    return self[name] == old_self[name];
}

/// What is none is told by its pattern, and by nothing else.
inline bool is_quantity(const Json& value) {
    return Quantity::parse(value.is_string() ? value.text() : value.dump()).has_value();
}

inline Quantity quantity_of(const Json& value) {
    return Quantity::parse(value.is_string() ? value.text() : value.dump()).value_or(Quantity{});
}

template <typename Visitor>
void describe(Visitor& v, LocalReference& s) {
    v.field("name", s.name,
            {.doc = "Name of an object in the same namespace.",
             .required = true,
             .pattern = object_name_pattern,
             .example = "main",
             .max_length = 253});
}

template <typename Visitor>
void describe(Visitor& v, Resources& s) {
    v.field("requests", s.requests,
            {.doc = "What each pod is promised, as Kubernetes writes it: cpu, memory.",
             .example = "2Gi",
             .max_items = 16});
    v.field("limits", s.limits,
            {.doc = "What no pod may exceed.", .example = "2Gi", .max_items = 16});
}

template <typename Visitor>
void describe(Visitor& v, Condition& s) {
    v.field("type", s.type, {.doc = "What is judged.", .required = true});
    v.field("status", s.status, {.doc = "True, False or Unknown.", .required = true});
    v.field("reason", s.reason, {.doc = "One word for programs."});
    v.field("message", s.message, {.doc = "One line for a person."});
    v.field("observedGeneration", s.observed_generation,
            {.doc = "Generation of the object that was judged."});
    v.field("lastTransitionTime", s.last_transition_time, {.doc = "When the status last changed."});
}

template <typename Visitor>
void describe_conditions(Visitor& v, std::vector<Condition>& conditions, std::string_view doc) {
    v.field("conditions", conditions, {.doc = doc, .key = "type"});
}

}  // namespace millrace::api
