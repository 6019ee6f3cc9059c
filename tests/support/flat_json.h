// tests/support/flat_json.h
//
// JSON as path -> leaf, so that two trees can be compared leaf by leaf: {"a":[1,{"b":"x"}]} is
// .a[0] = 1, .a[1].b = "x", .a.size = 2. Takes what our printers and Jackson write, no more.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace millrace::test {

std::map<std::string, std::string> flat_json(std::string_view text);

}  // namespace millrace::test
