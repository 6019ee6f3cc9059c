// base/result.h
//
// Result<T>: a value or an Error, with std::expected's names (which this libstdc++ lacks at C++20).
//
//   Result<Segment> open(...) {
//       MR_TRY(auto file, disk.open(path));      // returns the error to the caller
//       MR_TRY_VOID(file->sync());
//       return Segment{std::move(file)};
//   }
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "base/assert.h"
#include "base/error.h"

namespace millrace {

template <typename T>
class [[nodiscard]] Result {
public:
    using value_type = T;

    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}    // NOLINT: as expected
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }

    T& value() & {
        MR_ASSERT(has_value());
        return std::get<0>(state_);
    }
    const T& value() const& {
        MR_ASSERT(has_value());
        return std::get<0>(state_);
    }
    T&& value() && {
        MR_ASSERT(has_value());
        return std::get<0>(std::move(state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const {
        MR_ASSERT(!has_value());
        return std::get<1>(state_);
    }

    template <typename U>
    T value_or(U&& fallback) const& {
        return has_value() ? value() : static_cast<T>(std::forward<U>(fallback));
    }

private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;

    Result() = default;
    Result(Error error) : error_(std::move(error)) {}  // NOLINT: as std::expected converts

    bool has_value() const { return !error_.has_value(); }
    explicit operator bool() const { return has_value(); }
    void value() const { MR_ASSERT(has_value()); }
    const Error& error() const {
        MR_ASSERT(!has_value());
        return *error_;
    }

private:
    std::optional<Error> error_;
};

}  // namespace millrace

#define MR_CONCAT_INNER(a, b) a##b
#define MR_CONCAT(a, b) MR_CONCAT_INNER(a, b)

/// MR_TRY(auto x, f()): declares x from f()'s value, or returns f()'s error.
#define MR_TRY(declaration, expression) MR_TRY_IMPL(MR_CONCAT(mr_try_, __LINE__), declaration, expression)
#define MR_TRY_IMPL(result, declaration, expression) \
    auto result = (expression);                      \
    if (!result.has_value()) {                       \
        return result.error();                       \
    }                                                \
    declaration = *std::move(result)

/// MR_TRY_VOID(f()): returns f()'s error, if it has one.
#define MR_TRY_VOID(expression)                                      \
    do {                                                             \
        if (auto mr_result = (expression); !mr_result.has_value()) { \
            return mr_result.error();                                \
        }                                                            \
    } while (false)
