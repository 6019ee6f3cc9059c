// operator/local/internal/text.h
//
// Times, ages, quantities and JSON paths as the API writes them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "operator/kube/json.h"

namespace millrace::local {

std::string rfc3339(Timestamp at);
std::optional<Timestamp> parse_rfc3339(std::string_view text);

/// "45s", "3m20s", "5h", "12d": as kubectl shows an age.
std::string human_duration(Duration span);
std::string age(const kube::Json& timestamp, Timestamp now);

/// Bytes (or units) of "10Gi", "500M", "250m" (rounded up); nothing if it is no quantity.
std::optional<double> parse_quantity(const kube::Json& quantity);

/// RFC 4648, as secrets hold their data; decoding skips what is no digit.
std::string to_base64(std::string_view text);
std::string from_base64(std::string_view text);

/// What `.a.b[0].c` or `.conditions[?(@.type=="Ready")].status` finds; several when it fans out.
std::vector<const kube::Json*> json_path(const kube::Json& root, std::string_view path);

/// Writes at a plain path (`.spec.replicas`).
void set_json_path(kube::Json& root, std::string_view path, kube::Json value);

}  // namespace millrace::local
