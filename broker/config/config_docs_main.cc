// Prints docs/configuration.md.
#include <cstdio>

#include "config/docs.h"

int main() {
    std::fputs(millrace::config::configuration_page().c_str(), stdout);
    return 0;
}
