#include "tests/sim/planted.h"

#include <utility>

#include "base/mutants.h"

namespace millrace {

namespace {

std::string& the_planted() {
    static std::string bug;
    return bug;
}

}  // namespace

bool is_planted(std::string_view bug) {
    return the_planted() == bug;
}

void simtest::plant(std::string bug) {
    the_planted() = std::move(bug);
}

}  // namespace millrace
