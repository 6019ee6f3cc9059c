// base/mutants.h
//
// Planted bugs, to show that the simulator would find them. MR_PLANTED(name) is true where the one
// under test is planted; in the product it is the constant false and nothing of it is compiled in.
// tests/sim/README.md lists them.
#pragma once

#ifdef MILLRACE_MUTANTS
#include <string_view>

namespace millrace {
/// Given by the test program.
bool is_planted(std::string_view bug);
}  // namespace millrace

#define MR_PLANTED(name) (::millrace::is_planted(#name))
#else
#define MR_PLANTED(name) false
#endif
