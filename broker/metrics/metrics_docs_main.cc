// Prints docs/metrics.md.
#include <cstdio>

#include "metrics/docs.h"

int main() {
    std::fputs(millrace::metrics::metrics_page().c_str(), stdout);
    return 0;
}
