// operator/planner/internal/certificate_notes.h
//
// What the annotations of a Secret tell of the certificate in it, without opening it.
#pragma once

#include <charconv>
#include <string>
#include <string_view>

#include "base/time.h"
#include "operator/kube/json.h"
#include "operator/render/names.h"

namespace millrace::planner {

inline const std::string& note(const kube::Json& object, std::string_view name) {
    return object["metadata"]["annotations"][name].text();
}

inline Timestamp end_of(const kube::Json& secret) {
    const std::string& text = note(secret, render::annotation::not_after);
    std::int64_t end = 0;
    std::from_chars(text.data(), text.data() + text.size(), end);
    return Timestamp{end};
}

}  // namespace millrace::planner
