#include "metrics/log_sink.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>
#include <unistd.h>

#include "base/secret.h"

namespace millrace::metrics {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(LogLine, is_logfmt_with_the_time_in_utc) {
    EXPECT_EQ(format_log_line(Timestamp{1'767'323'045'678}, Level::info, "storage.segment_rolled",
                              {field("partition", "orders-0"), field("base", 42)}),
              "time=2026-01-02T03:04:05.678Z level=info event=storage.segment_rolled "
              "partition=orders-0 base=42\n");
}

TEST(LogLine, quotes_what_would_break_it_up) {
    EXPECT_EQ(format_log_line(Timestamp{0}, Level::warn, "x",
                              {field("a", "two words"), field("b", ""), field("c", "q\"\\="),
                               field("d", "line\nfeed\x1b[2J")}),
              "time=1970-01-01T00:00:00.000Z level=warn event=x a=\"two words\" b=\"\" "
              "c=\"q\\\"\\\\=\" d=\"line\\nfeed\\x1b[2J\"\n");
}

TEST(LogLine, never_tells_a_secret) {
    EXPECT_THAT(
        format_log_line(Timestamp{0}, Level::info, "x", {field("password", Secret{"hunter2"})}),
        HasSubstr("password=[hidden]"));
}

class LogFileTest : public testing::Test {
protected:
    LogFileTest() {
        path_ = std::filesystem::temp_directory_path() /
                ("millrace-log-test-" + std::to_string(::getpid()));
        std::filesystem::remove(path_);
        LogSinkOptions options;
        options.file = path_;
        options.lines_per_event_and_second = 2;
        auto made = make_log_sink(
            options, [this] { return now_; },
            [this](Level, bool suppressed) { ++(suppressed ? suppressed_ : written_); });
        EXPECT_TRUE(made.has_value());
        sink_ = *std::move(made);
    }
    ~LogFileTest() override { std::filesystem::remove(path_); }

    std::vector<std::string> events() const {
        std::ifstream file{path_};
        std::vector<std::string> events;
        for (std::string line; std::getline(file, line);) {
            const std::size_t at = line.find("event=") + 6;
            events.push_back(line.substr(at));
        }
        return events;
    }

    std::filesystem::path path_;
    Timestamp now_{0};
    int written_ = 0;
    int suppressed_ = 0;
    std::shared_ptr<LogSink> sink_;
};

TEST_F(LogFileTest, leaves_out_what_comes_too_often_and_says_how_much) {
    for (int i = 0; i < 5; ++i) {
        sink_->write(Level::info, "net.refused", {field("i", i)});
        sink_->write(Level::info, "other", {});
    }
    EXPECT_THAT(events(), ElementsAre("net.refused i=0", "other", "net.refused i=1", "other"));
    EXPECT_EQ(suppressed_, 6);
    now_ = Timestamp{1000};
    sink_->write(Level::info, "net.refused", {field("i", 5)});
    EXPECT_THAT(events(), ElementsAre("net.refused i=0", "other", "net.refused i=1", "other",
                                      "log.suppressed of=net.refused lines=3", "net.refused i=5"));
}

TEST_F(LogFileTest, never_leaves_out_an_error) {
    for (int i = 0; i < 5; ++i) {
        sink_->write(Level::error, "disk.failed", {});
    }
    EXPECT_EQ(events().size(), 5u);
    EXPECT_EQ(suppressed_, 0);
    EXPECT_EQ(written_, 5);
}

TEST(LogSinkTest, says_which_file_it_could_not_open) {
    LogSinkOptions options;
    options.file = "/nonexistent/millrace.log";
    const auto made = make_log_sink(options, [] { return Timestamp{}; });
    ASSERT_FALSE(made.has_value());
    EXPECT_THAT(made.error().message(), HasSubstr("/nonexistent/millrace.log"));
}

}  // namespace
}  // namespace millrace::metrics
