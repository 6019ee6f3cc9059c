#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>
#include <thread>

#include "metrics/exposition.h"
#include "metrics/metrics.h"

namespace millrace::metrics {
namespace {

/// The value of a series by metric name and labels; -1 if it isn't there.
double value_of(Registry& registry, std::string_view name, std::vector<std::string> labels = {}) {
    for (const Family& family : registry.collect()) {
        for (const Series& series : family.series) {
            if (family.metric->name == name && series.labels == labels) {
                return series.value;
            }
        }
    }
    return -1;
}

TEST(MetricTable, has_unique_names_in_prometheus_style) {
    std::set<std::string_view> names;
    for (const Metric& metric : all_metrics()) {
        EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
        EXPECT_TRUE(metric.name.starts_with("millrace_") || metric.name.starts_with("process_"));
        EXPECT_EQ(metric.kind == Kind::counter, metric.name.ends_with("_total")) << metric.name;
        EXPECT_TRUE(metric.help.ends_with('.')) << metric.name;
        EXPECT_EQ(metric.kind == Kind::histogram, !metric.buckets.empty()) << metric.name;
        EXPECT_EQ(metric.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"),
                  std::string_view::npos);
    }
}

TEST(Registry, sums_what_several_threads_count_under_the_same_labels) {
    Registry registry;
    const auto count = [&](const char* thread) {
        Counter bytes = registry.scope(thread).counter(metric::produced_bytes, {"orders"});
        for (int i = 0; i < 100'000; ++i) {
            bytes.add(3);
        }
        return bytes;
    };
    Counter kept_a;
    Counter kept_b;
    std::thread a{[&] { kept_a = count("shard-0"); }};
    std::thread b{[&] { kept_b = count("shard-1"); }};
    for (int i = 0; i < 20; ++i) {
        EXPECT_LE(value_of(registry, "millrace_produced_bytes_total", {"orders"}), 600'000);
    }
    a.join();
    b.join();
    EXPECT_EQ(value_of(registry, "millrace_produced_bytes_total", {"orders"}), 600'000);
}

TEST(Registry, gives_the_same_cell_for_the_same_labels_of_a_scope) {
    Registry registry;
    Scope& scope = registry.scope("shard-0");
    Counter a = scope.counter(metric::produced_bytes, {"orders"});
    Counter b = scope.counter(metric::produced_bytes, {"orders"});
    Counter other = scope.counter(metric::produced_bytes, {"clicks"});
    a.add(1);
    b.add(2);
    other.add(4);
    EXPECT_EQ(value_of(registry, "millrace_produced_bytes_total", {"orders"}), 3);
    EXPECT_EQ(value_of(registry, "millrace_produced_bytes_total", {"clicks"}), 4);
}

TEST(Registry, does_not_show_what_nobody_holds) {
    Registry registry;
    EXPECT_TRUE(registry.collect().empty());
    {
        Gauge gauge = registry.scope("control").gauge(metric::offline_partitions);
        gauge.set(0);
        EXPECT_EQ(value_of(registry, "millrace_offline_partitions"), 0);
    }
    EXPECT_TRUE(registry.collect().empty());
}

// A partition that moves to another shard ends one of the handles of its topic: the topic's counter
// must not go down, which a scraper would take for a restart.
TEST(Registry, keeps_what_an_ended_handle_counted_while_others_count_on) {
    Registry registry;
    Counter stays = registry.scope("shard-0").counter(metric::produced_bytes, {"orders"});
    stays.add(10);
    {
        Counter ends = registry.scope("shard-1").counter(metric::produced_bytes, {"orders"});
        ends.add(5);
    }
    EXPECT_EQ(value_of(registry, "millrace_produced_bytes_total", {"orders"}), 15);
    stays.add(1);
    EXPECT_EQ(value_of(registry, "millrace_produced_bytes_total", {"orders"}), 16);
    stays = {};
    EXPECT_EQ(value_of(registry, "millrace_produced_bytes_total", {"orders"}), -1);
}

TEST(Registry, puts_observations_into_the_bucket_that_bounds_them) {
    Registry registry;
    Histogram histogram = registry.scope("shard-0").histogram(metric::request_seconds, {"Produce"});
    histogram.observe(100us);  // a bucket's upper bound belongs to it
    histogram.observe(101us);
    histogram.observe(60s);
    const auto families = registry.collect();
    ASSERT_EQ(families.size(), 1u);
    const Series& series = families[0].series[0];
    EXPECT_EQ(series.counts.front(), 1u);
    EXPECT_EQ(series.counts[1], 1u);
    EXPECT_EQ(series.counts.back(), 1u);
    EXPECT_NEAR(series.sum, 60.000201, 1e-9);
}

TEST(Registry, replaces_a_published_family_as_a_whole) {
    Registry registry;
    registry.publish(metric::group_lag_records, "coordinator-7",
                     {{{"billing", "orders", "0"}, 4}, {{"billing", "orders", "1"}, 5}});
    registry.publish(metric::group_lag_records, "coordinator-7", {{{"billing", "orders", "1"}, 6}});
    EXPECT_EQ(value_of(registry, "millrace_group_lag_records", {"billing", "orders", "0"}), -1);
    EXPECT_EQ(value_of(registry, "millrace_group_lag_records", {"billing", "orders", "1"}), 6);
}

TEST(Registry, asks_for_what_is_read_on_demand_before_each_collection) {
    Registry registry;
    int scrapes = 0;
    registry.before_collect([&](Registry& to) {
        to.publish(metric::process_open_files, "process", {{{}, double(++scrapes)}});
    });
    EXPECT_EQ(value_of(registry, "process_open_fds"), 1);
    EXPECT_EQ(value_of(registry, "process_open_fds"), 2);
}

TEST(Registry, counts_into_nothing_through_a_default_handle) {
    Counter{}.add(1);
    Gauge{}.set(1);
    Histogram{}.observe(1.0);
}

TEST(PrometheusText, is_what_a_scraper_reads) {
    Registry registry;
    Scope& scope = registry.scope("shard-0");
    Counter requests = scope.counter(metric::requests, {"Produce", "9"});
    Histogram seconds = scope.histogram(metric::throttle_seconds, {"produce"});
    requests.add(2);
    seconds.observe(0.5);
    const std::string text = to_prometheus_text(registry);
    EXPECT_THAT(text, testing::HasSubstr("# TYPE millrace_requests_total counter\n"
                                         "millrace_requests_total{api=\"Produce\",version=\"9\"} "
                                         "2\n"));
    EXPECT_THAT(text, testing::HasSubstr(
                          "millrace_throttle_seconds_bucket{kind=\"produce\",le=\"0.25\"} 0\n"
                          "millrace_throttle_seconds_bucket{kind=\"produce\",le=\"0.5\"} 1\n"));
    EXPECT_THAT(text, testing::HasSubstr("le=\"+Inf\"} 1\n"));
    EXPECT_THAT(text, testing::HasSubstr("millrace_throttle_seconds_sum{kind=\"produce\"} 0.5"));
}

}  // namespace
}  // namespace millrace::metrics
