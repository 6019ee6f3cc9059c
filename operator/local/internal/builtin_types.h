// operator/local/internal/builtin_types.h
//
// The shapes of Kubernetes' own kinds, said once: OpenAPI, field validation, strategic merge and
// server-side apply follow from this one table.
#pragma once

#include <string_view>

namespace millrace::local {

/// A type starts at the margin: `Name group/version Kind | description`, or `Name` alone for a
/// part. Its fields are indented: `name type [!] [key=a,b] [set] | description`, `!` for required.
/// Types: string, int, bool, quantity, int-or-string, time, any, []T, {}T, or a name of the table.
std::string_view builtin_type_table();

}  // namespace millrace::local
