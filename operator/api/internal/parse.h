// operator/api/internal/parse.h
//
// From a described struct to the door's functions.
#pragma once

#include "base/result.h"
#include "operator/api/internal/describe.h"

namespace millrace::api {

/// All that is wrong, in one line: it becomes a status's message.
Error parse_error(const std::vector<std::string>& errors);

template <Described T>
Result<T> parse_described(const Json& value, const std::string& path) {
    T out;
    std::vector<std::string> errors;
    Reader::read_struct(value, path, out, errors);
    if (!errors.empty()) {
        return parse_error(errors);
    }
    return out;
}

/// Absent reads as empty: an object has no status before we wrote one.
template <Described T>
Result<T> parse_status(const Json& value) {
    return value.is_null() ? Result<T>(T{}) : parse_described<T>(value, "status");
}

template <typename Object, Described Spec, Described Status>
Result<Object> parse_object(const Json& object) {
    MR_TRY(Spec spec, parse_described<Spec>(object["spec"], "spec"));
    return Object{parse_metadata(object), std::move(spec),
                  parse_status<Status>(object["status"]).value_or(Status{})};
}

template <Described T>
Json schema_of(bool wanted, std::vector<DescribedRule>& rules) {
    return SchemaBuilder::schema_of_struct(T{}, wanted, rules);
}

}  // namespace millrace::api
