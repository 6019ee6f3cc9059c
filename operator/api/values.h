// operator/api/values.h
//
// What the kinds' fields are made of: quantities, spans of time, conditions, metadata. Plain
// values.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/words.h"
#include "operator/kube/json.h"

namespace millrace::api {

using Texts = std::map<std::string, std::string, std::less<>>;

/// "100Gi", "500m", "2": kept as written, compared by value.
class Quantity {
public:
    Quantity() = default;
    static std::optional<Quantity> parse(std::string_view text);
    /// In bytes: prints with the largest unit that divides it ("512Mi").
    static Quantity of_bytes(std::int64_t bytes);

    const std::string& text() const { return text_; }
    std::int64_t value() const;                          ///< Whole units (bytes), rounded up.
    std::int64_t milli_value() const { return milli_; }  ///< CPU: 500 for "500m".

    friend bool operator==(const Quantity& a, const Quantity& b) { return a.milli_ == b.milli_; }
    friend auto operator<=>(const Quantity& a, const Quantity& b) { return a.milli_ <=> b.milli_; }

private:
    std::string text_ = "0";
    std::int64_t milli_ = 0;
};

/// "30s", "1h30m", "365d", "100ms": a span of time as a manifest writes it.
struct Span {
    std::chrono::milliseconds length{0};

    constexpr Span() = default;
    constexpr Span(std::chrono::milliseconds span) : length(span) {}  // NOLINT: `Span x = 30s`
    template <typename Rep, typename Period>
    constexpr Span(std::chrono::duration<Rep, Period> span)  // NOLINT
        : length(std::chrono::duration_cast<std::chrono::milliseconds>(span)) {}

    static std::optional<Span> parse(std::string_view text);
    std::string to_string() const;
    friend auto operator<=>(const Span&, const Span&) = default;
};

/// Kubernetes' standard condition; `last_transition_time` in RFC 3339, set by whoever writes it.
struct Condition {
    std::string type;
    std::string status = "Unknown";  ///< True, False, Unknown.
    std::string reason;              ///< One CamelCase word.
    std::string message;             ///< One line for a person.
    std::int64_t observed_generation = 0;
    std::string last_transition_time;

    friend bool operator==(const Condition&, const Condition&) = default;
};

const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type);

/// Sets or adds; the time moves only when the status does, so a settled object is never rewritten.
void set_condition(std::vector<Condition>& conditions, Condition condition, std::string_view now);

/// An object in the same namespace.
struct LocalReference {
    std::string name;
    friend bool operator==(const LocalReference&, const LocalReference&) = default;
};

/// What every object carries, as far as we read it.
struct Metadata {
    std::string name;
    std::string space;  ///< Its namespace.
    std::string uid;
    std::string resource_version;
    std::int64_t generation = 0;
    std::string creation_timestamp;
    std::string deletion_timestamp;  ///< Empty unless it is being deleted.
    Texts labels;
    Texts annotations;
    std::vector<std::string> finalizers;
};

Metadata parse_metadata(const kube::Json& object);

/// `resources` of a container.
struct Resources {
    std::map<std::string, Quantity, std::less<>> requests;
    std::map<std::string, Quantity, std::less<>> limits;
    friend bool operator==(const Resources&, const Resources&) = default;
};

}  // namespace millrace::api
