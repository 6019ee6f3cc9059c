// tests/sim/planted.h
//
// Which planted bug (base/mutants.h) is switched on in this process; one seed is one process.
#pragma once

#include <string>

namespace millrace::simtest {

void plant(std::string bug);  ///< Empty: none.

}  // namespace millrace::simtest
