#include "handlers/request_meter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metrics/exposition.h"

namespace millrace::handlers::test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RequestMeter, counts_topics_beyond_the_limit_together) {
    metrics::Registry registry;
    RequestMeter meter(registry.scope("requests"), 2);
    meter.topic("a").produced_records.add(1);
    meter.topic("b").produced_records.add(2);
    meter.topic("c").produced_records.add(4);
    meter.topic("d").produced_records.add(8);
    meter.topic("a").produced_records.add(16);
    const std::string page = metrics::to_prometheus_text(registry);
    EXPECT_THAT(page, HasSubstr("millrace_produced_records_total{topic=\"a\"} 17"));
    EXPECT_THAT(page, HasSubstr("millrace_produced_records_total{topic=\"b\"} 2"));
    EXPECT_THAT(page, HasSubstr("millrace_produced_records_total{topic=\"_other\"} 12"));
    EXPECT_THAT(page, Not(HasSubstr("topic=\"c\"")));
}

}  // namespace
}  // namespace millrace::handlers::test
