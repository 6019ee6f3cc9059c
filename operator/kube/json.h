// operator/kube/json.h
//
// A JSON value: what the Kubernetes API speaks. Members are kept sorted by name, so equal values
// print equally. Reading never fails: what is absent or of another type answers the null value or
// the fallback, and a chain of look-ups needs no checks in between.
//
//   const Json pod = *Json::parse(body);
//   pod["metadata"]["name"].text();
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace millrace::kube {

class Json {
public:
    using Array = std::vector<Json>;
    using Object = std::map<std::string, Json, std::less<>>;
    using Member = std::pair<const std::string, Json>;

    Json() = default;
    Json(std::nullptr_t) {}                                       // NOLINT: a literal is a value
    Json(bool value) : value_(value) {}                           // NOLINT
    Json(int value) : value_(std::int64_t{value}) {}              // NOLINT
    Json(std::int64_t value) : value_(value) {}                   // NOLINT
    Json(double value) : value_(value) {}                         // NOLINT
    Json(const char* value) : value_(std::string(value)) {}       // NOLINT
    Json(std::string_view value) : value_(std::string(value)) {}  // NOLINT
    Json(std::string value) : value_(std::move(value)) {}         // NOLINT
    Json(Array value) : value_(std::move(value)) {}               // NOLINT
    Json(Object value) : value_(std::move(value)) {}              // NOLINT

    /// `{{"a", 1}, {"b", "x"}}` and `[1, "x"]` in C++.
    static Json object(std::initializer_list<Member> members);
    static Json array(std::initializer_list<Json> items);

    /// UTF-8 is taken as it comes; nesting is limited to 128.
    static Result<Json> parse(std::string_view text);
    std::string dump() const;
    std::string dump_pretty() const;  ///< Two spaces of indentation, a line a member.

    bool is_null() const { return value_.index() == 0; }
    bool is_bool() const { return std::holds_alternative<bool>(value_); }
    bool is_integer() const { return std::holds_alternative<std::int64_t>(value_); }
    bool is_number() const { return is_integer() || std::holds_alternative<double>(value_); }
    bool is_string() const { return std::holds_alternative<std::string>(value_); }
    bool is_array() const { return std::holds_alternative<Array>(value_); }
    bool is_object() const { return std::holds_alternative<Object>(value_); }

    const std::string& text() const;  ///< Empty unless a string.
    std::string text_or(std::string_view fallback) const;
    std::int64_t integer(std::int64_t fallback = 0) const;  ///< A double is cut.
    double number(double fallback = 0) const;
    bool boolean(bool fallback = false) const;
    const Array& items() const;     ///< Empty unless an array.
    const Object& members() const;  ///< Empty unless an object.

    const Json& operator[](std::string_view name) const;
    const Json& operator[](std::size_t index) const;
    const Json& operator[](int index) const { return (*this)[static_cast<std::size_t>(index)]; }
    bool has(std::string_view name) const { return find(name) != nullptr; }
    const Json* find(std::string_view name) const;
    Json* find(std::string_view name);
    std::size_t size() const;  ///< Of an array or object, else 0.
    bool empty() const { return size() == 0; }

    /// For writing: a value of another type becomes an empty object, then the member is made.
    Json& operator[](std::string_view name);
    Json& operator[](const char* name) { return (*this)[std::string_view(name)]; }
    const Json& operator[](const char* name) const { return (*this)[std::string_view(name)]; }
    Json& operator[](std::size_t index);  ///< `index` must exist.
    Json& operator[](int index) { return (*this)[static_cast<std::size_t>(index)]; }
    Array& mutable_items();  ///< A value of another type becomes an empty array.
    Object& mutable_members();
    void push_back(Json item) { mutable_items().push_back(std::move(item)); }
    void erase(std::string_view name);

    friend bool operator==(const Json& a, const Json& b) { return a.value_ == b.value_; }

private:
    std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

}  // namespace millrace::kube
