// The HTTP door over a real loopback socket, on a free port.
#include "metrics/exposition.h"

#include <arpa/inet.h>
#include <atomic>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metrics/internal/http_server.h"

namespace millrace::metrics {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

int new_socket() {
    return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

void connect_to(std::uint16_t port, int descriptor) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        ADD_FAILURE() << "no connection to " << port;
    }
}

int connected_to(std::uint16_t port) {
    const int descriptor = new_socket();
    connect_to(port, descriptor);
    return descriptor;
}

/// Of a connection, which is closed.
std::string answer_to(int descriptor, const std::string& request) {
    EXPECT_EQ(::write(descriptor, request.data(), request.size()),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::read(descriptor, buffer, sizeof(buffer))) > 0;) {
        answer.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(descriptor);
    return answer;
}

std::string answer_to(std::uint16_t port, const std::string& request) {
    return answer_to(connected_to(port), request);
}

std::string request_for(const std::string& path) {
    return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

std::string get(std::uint16_t port, const std::string& path) {
    return answer_to(port, request_for(path));
}

/// While it lives, this process gets no further descriptor.
class NoDescriptors {
public:
    NoDescriptors() {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        const int next = ::dup(0);  // the lowest that is free
        ::close(next);
        rlimit tight = before_;
        tight.rlim_cur = static_cast<rlim_t>(next);
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    }
    ~NoDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

private:
    rlimit before_{};
};

class ExpositionTest : public testing::Test {
protected:
    ExpositionTest() {
        auto started = Exposition::start(
            {}, registry_, [this] { return Readiness{ready_.load(), "recovering 3 of 10 logs"}; });
        EXPECT_TRUE(started.has_value());
        exposition_ = *std::move(started);
    }
    std::uint16_t port() const { return exposition_->port(); }

    std::shared_ptr<Registry> registry_ = std::make_shared<Registry>();
    std::atomic<bool> ready_ = false;
    std::unique_ptr<Exposition> exposition_;
};

TEST_F(ExpositionTest, serves_the_metrics) {
    Gauge gauge = registry_->scope("control").gauge(metric::active_controller);
    gauge.set(1);
    const std::string answer = get(port(), "/metrics");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
    EXPECT_THAT(answer, HasSubstr("\nmillrace_active_controller 1\n"));
}

TEST_F(ExpositionTest, is_healthy_before_it_is_ready_and_says_what_it_waits_for) {
    EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
    const std::string waiting = get(port(), "/readyz");
    EXPECT_THAT(waiting, StartsWith("HTTP/1.1 503"));
    EXPECT_THAT(waiting, HasSubstr("recovering 3 of 10 logs"));
    ready_ = true;
    EXPECT_THAT(get(port(), "/readyz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ExpositionTest, has_nothing_else_to_offer) {
    EXPECT_THAT(get(port(), "/"), StartsWith("HTTP/1.1 404"));
    EXPECT_THAT(get(port(), "/../../etc/passwd"), testing::Not(StartsWith("HTTP/1.1 200")));
    EXPECT_THAT(answer_to(port(), "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
                StartsWith("HTTP/1.1 405"));
}

TEST_F(ExpositionTest, survives_nonsense) {
    EXPECT_THAT(answer_to(port(), "\x16\x03\x01 garbage\r\n\r\n"),
                testing::Not(HasSubstr("200 OK")));
    const std::string long_header =
        "GET /metrics HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n";
    EXPECT_THAT(answer_to(port(), long_header), testing::Not(HasSubstr("200 OK")));
    EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ExpositionTest, answers_a_second_one_while_the_first_says_nothing) {
    const int silent = connected_to(port());
    EXPECT_THAT(get(port(), "/healthz"), StartsWith("HTTP/1.1 200"));
    ::close(silent);
}

TEST_F(ExpositionTest, reads_a_request_that_comes_in_pieces) {
    const int descriptor = connected_to(port());
    for (const char c : std::string{"GET /healthz HTTP/1.1\r\n\r\n"}) {
        ASSERT_EQ(::write(descriptor, &c, 1), 1);
    }
    char buffer[64] = "";
    ASSERT_GT(::read(descriptor, buffer, sizeof(buffer) - 1), 0);
    EXPECT_THAT(std::string{buffer}, StartsWith("HTTP/1.1 200"));
    ::close(descriptor);
}

TEST(HttpServer, cuts_a_connection_whose_time_is_up) {
    HttpLimits limits;
    limits.deadline = std::chrono::milliseconds{50};
    auto server =
        HttpServer::start("127.0.0.1", 0, limits, [](std::string_view) { return HttpAnswer{}; });
    ASSERT_TRUE(server.has_value());
    const int descriptor = connected_to((*server)->port());
    ASSERT_EQ(::write(descriptor, "GET", 3), 3);
    char byte = 0;
    EXPECT_EQ(::read(descriptor, &byte, 1), 0);  // the end, without an answer
    ::close(descriptor);
}

// Whoever takes all places and asks nothing keeps nobody out, however long that may last.
TEST(HttpServer, lets_the_longest_silent_one_give_way) {
    HttpLimits limits;
    limits.connections = 3;
    limits.deadline = std::chrono::hours{1};
    auto server =
        HttpServer::start("127.0.0.1", 0, limits, [](std::string_view) { return HttpAnswer{}; });
    ASSERT_TRUE(server.has_value());
    std::vector<int> silent;
    for (int i = 0; i < 30; ++i) {
        silent.push_back(connected_to((*server)->port()));
    }
    EXPECT_THAT(get((*server)->port(), "/"), StartsWith("HTTP/1.1 200"));
    char byte = 0;
    EXPECT_EQ(::read(silent.front(), &byte, 1), 0);
    for (const int one : silent) {
        ::close(one);
    }
}

// A broker that has run out of descriptors still says how it is.
TEST_F(ExpositionTest, answers_when_no_descriptor_is_left) {
    const std::uint16_t at = port();
    // UBSan looks at an object's type through a pipe, once: it needs descriptors for that.
    EXPECT_THAT(get(at, "/healthz"), StartsWith("HTTP/1.1 200"));
    const int first = new_socket();
    const int second = new_socket();
    const NoDescriptors none;
    for (const int descriptor : {first, second}) {
        connect_to(at, descriptor);
        EXPECT_THAT(answer_to(descriptor, request_for("/healthz")), StartsWith("HTTP/1.1 200"));
    }
}

// Who comes while the last one is in use waits for it, and is served once it is free.
TEST(HttpServer, serves_again_once_there_is_a_descriptor) {
    HttpLimits limits;
    limits.deadline = std::chrono::hours{1};
    // More than a connection's buffers take: it lasts until its client goes.
    const std::string large(64 << 20, 'a');
    auto server = HttpServer::start("127.0.0.1", 0, limits, [&large](std::string_view path) {
        return HttpAnswer{.body = path == "/large" ? large : "small"};
    });
    ASSERT_TRUE(server.has_value());
    const std::uint16_t port = (*server)->port();
    EXPECT_THAT(get(port, "/small"), HasSubstr("small"));
    const int first = new_socket();
    const int second = new_socket();
    const NoDescriptors none;
    connect_to(port, first);
    const std::string request = request_for("/large");
    ASSERT_EQ(::write(first, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    char byte = 0;
    ASSERT_EQ(::read(first, &byte, 1), 1);  // it is being answered
    connect_to(port, second);
    const std::string small = request_for("/small");
    ASSERT_EQ(::write(second, small.data(), small.size()), static_cast<ssize_t>(small.size()));
    EXPECT_EQ(::recv(second, &byte, 1, MSG_DONTWAIT), -1);
    ::close(first);
    EXPECT_THAT(answer_to(second, ""), HasSubstr("small"));
}

TEST_F(ExpositionTest, says_when_the_port_is_taken) {
    ExpositionOptions options;
    options.port = port();
    const auto second = Exposition::start(options, registry_, [] { return Readiness{}; });
    ASSERT_FALSE(second.has_value());
    EXPECT_THAT(second.error().message(), HasSubstr(std::to_string(port())));
}

}  // namespace
}  // namespace millrace::metrics
