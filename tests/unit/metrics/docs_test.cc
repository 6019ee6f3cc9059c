#include "metrics/docs.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace millrace::metrics {
namespace {

TEST(MetricsPage, is_the_one_in_docs) {
    std::ifstream file{std::string{MILLRACE_SOURCE_DIR} + "/docs/metrics.md"};
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str(), metrics_page()) << "print it anew: build/<preset>/bin/metrics_docs";
}

}  // namespace
}  // namespace millrace::metrics
