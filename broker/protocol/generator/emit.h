// protocol/generator/emit.h
//
// C++ text for a message: its header, and its functions.
#pragma once

#include <string>

#include "protocol/generator/schema.h"

namespace millrace::protocol::generator {

std::string emit_header(const Message& message);
/// Without includes and namespace: several messages share a file.
std::string emit_source(const Message& message);

// Shared by the two.

/// The member's type, without optional.
std::string plain_type(const Field& field);
bool default_is_null(const Field& field);
/// A C++ literal of a scalar's default.
std::string default_literal(const Field& field);

}  // namespace millrace::protocol::generator
