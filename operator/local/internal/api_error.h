// operator/local/internal/api_error.h
//
// What the API answers when it refuses: a code, a reason that programs read and a message for
// people. Becomes a `Status` object on the wire.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "operator/local/internal/schema.h"

namespace millrace::local {

struct ApiError {
    int code = 500;
    std::string reason;
    std::string message;
    Json details;

    Json to_status() const;
};

/// What a message is about: `clusters.millrace.dev "main"`.
struct Subject {
    std::string group;
    std::string kind;
    std::string resource;
    std::string name;

    std::string qualified_resource() const { return resource + (group.empty() ? "" : "." + group); }
    std::string qualified_kind() const { return kind + (group.empty() ? "" : "." + group); }
};

ApiError bad_request(std::string message);
ApiError not_found(const Subject& subject);
ApiError already_exists(const Subject& subject);
ApiError conflict(const Subject& subject, std::string why);
ApiError invalid(const Subject& subject, const std::vector<FieldError>& errors);
ApiError forbidden(const Subject& subject, std::string why);
ApiError method_not_allowed();
ApiError gone(std::string message);
ApiError page_not_found();

/// As Result<T>, for what the API refuses; works with MR_TRY.
template <typename T>
class [[nodiscard]] ApiResult {
public:
    ApiResult(T value) : state_(std::in_place_index<0>, std::move(value)) {}         // NOLINT
    ApiResult(ApiError error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

    bool has_value() const { return state_.index() == 0; }
    T& operator*() & { return std::get<0>(state_); }
    const T& operator*() const& { return std::get<0>(state_); }
    T&& operator*() && { return std::get<0>(std::move(state_)); }
    T* operator->() { return &std::get<0>(state_); }
    const ApiError& error() const { return std::get<1>(state_); }

private:
    std::variant<T, ApiError> state_;
};

template <>
class [[nodiscard]] ApiResult<void> {
public:
    ApiResult() = default;
    ApiResult(ApiError error) : error_(std::move(error)) {}  // NOLINT

    bool has_value() const { return !error_.has_value(); }
    const ApiError& error() const { return *error_; }

private:
    std::optional<ApiError> error_;
};

}  // namespace millrace::local
