// config/docs.h
#pragma once

#include <string>

namespace millrace::config {

/// docs/configuration.md, from the tables.
std::string configuration_page();

}  // namespace millrace::config
