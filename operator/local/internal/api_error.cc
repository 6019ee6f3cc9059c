#include "operator/local/internal/api_error.h"

#include <fmt/core.h>

namespace millrace::local {

namespace {

Json details_of(const Subject& subject) {
    Json details = Json::object({{"name", subject.name}, {"kind", subject.resource}});
    if (!subject.group.empty()) {
        details["group"] = subject.group;
    }
    return details;
}

}  // namespace

Json ApiError::to_status() const {
    Json status = Json::object({{"kind", "Status"},
                                {"apiVersion", "v1"},
                                {"metadata", Json::object({})},
                                {"status", "Failure"},
                                {"message", message},
                                {"reason", reason},
                                {"code", code}});
    if (!details.is_null()) {
        status["details"] = details;
    }
    return status;
}

ApiError bad_request(std::string message) {
    return {400, "BadRequest", std::move(message), {}};
}

ApiError not_found(const Subject& subject) {
    return {404, "NotFound",
            fmt::format("{} \"{}\" not found", subject.qualified_resource(), subject.name),
            details_of(subject)};
}

ApiError already_exists(const Subject& subject) {
    return {409, "AlreadyExists",
            fmt::format("{} \"{}\" already exists", subject.qualified_resource(), subject.name),
            details_of(subject)};
}

ApiError conflict(const Subject& subject, std::string why) {
    return {409, "Conflict",
            fmt::format("Operation cannot be fulfilled on {} \"{}\": {}",
                        subject.qualified_resource(), subject.name, why),
            details_of(subject)};
}

ApiError invalid(const Subject& subject, const std::vector<FieldError>& errors) {
    Json details = details_of(subject);
    details["kind"] = subject.kind;
    std::string list;
    for (const FieldError& error : errors) {
        list += (list.empty() ? "" : ", ") + error.to_string();
        details["causes"].push_back(Json::object(
            {{"reason", error.reason}, {"message", error.message}, {"field", error.field}}));
    }
    if (errors.size() > 1) {
        list = "[" + list + "]";
    }
    return {422, "Invalid",
            fmt::format("{} \"{}\" is invalid: {}", subject.qualified_kind(), subject.name, list),
            std::move(details)};
}

ApiError forbidden(const Subject& subject, std::string why) {
    return {
        403, "Forbidden",
        fmt::format("{} \"{}\" is forbidden: {}", subject.qualified_resource(), subject.name, why),
        details_of(subject)};
}

ApiError method_not_allowed() {
    return {405, "MethodNotAllowed",
            "the server does not allow this method on the requested resource", Json::object({})};
}

ApiError gone(std::string message) {
    return {410, "Expired", std::move(message), {}};
}

ApiError page_not_found() {
    return {404, "NotFound", "the server could not find the requested resource", Json::object({})};
}

}  // namespace millrace::local
