// config/internal/properties.h
//
// Java's .properties format, as every Kafka configuration file uses it: '=' or ':' or a space
// after the key, '#' and '!' comments, '\' at a line's end to go on, escapes. Text is taken as
// UTF-8 (Java would read Latin-1 and mangle it).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace::config {

struct Property {
    std::string key;
    std::string value;
    int line = 0;  ///< Where it begins; lines count from 1.
};

struct PropertyProblem {
    int line = 0;
    std::string what;
};

struct ParsedProperties {
    std::vector<Property> properties;  ///< In file order, repeated keys included.
    std::vector<PropertyProblem> problems;
};

ParsedProperties parse_properties(std::string_view text);

}  // namespace millrace::config
