// Whose addresses are whose: blocks of running clusters, and what listens there already.
#include "operator/local/internal/addresses.h"

#include <arpa/inet.h>
#include <condition_variable>
#include <filesystem>
#include <gmock/gmock.h>
#include <map>
#include <mutex>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "fixture.h"
#include "operator/local/internal/server.h"
#include "operator/local/internal/service_proxy.h"

namespace millrace::local {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* a_service =
    "{apiVersion: v1, kind: Service, metadata: {name: main}, spec: {ports: [{name: p, port: "
    "21750}], selector: {app: x}}}";

/// Somebody who listens on a port of an address.
class Listener {
public:
    Listener(const std::string& address, int port)
        : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in self{};
        self.sin_family = AF_INET;
        self.sin_port = htons(static_cast<std::uint16_t>(port));
        ::inet_pton(AF_INET, address.c_str(), &self.sin_addr);
        const int yes = 1;
        ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&self), sizeof(self)), 0);
        EXPECT_EQ(::listen(socket_, 1), 0);
    }
    ~Listener() { ::close(socket_); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

private:
    const int socket_;
};

/// While it lives, this process gets no further descriptor.
class NoDescriptors {
public:
    NoDescriptors() {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        const int next = ::dup(0);  // The lowest that is free.
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

/// Somebody who connects.
class Caller {
public:
    Caller() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
    ~Caller() { ::close(socket_); }
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;

    bool connects(const std::string& address, int port) const {
        sockaddr_in other{};
        other.sin_family = AF_INET;
        other.sin_port = htons(static_cast<std::uint16_t>(port));
        ::inet_pton(AF_INET, address.c_str(), &other.sin_addr);
        return ::connect(socket_, reinterpret_cast<const sockaddr*>(&other), sizeof(other)) == 0;
    }
    bool is_hung_up() const {
        const timeval patience{30, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        char byte = 0;
        return ::recv(socket_, &byte, 1, 0) == 0;
    }

private:
    const int socket_;
};

/// Counts the events of one name.
class Told final : public LogSink {
public:
    explicit Told(std::string event) : event_(std::move(event)) {}
    void write(Level, std::string_view event, std::initializer_list<Field>) override {
        const std::lock_guard lock(mutex_);
        times_ += event == event_ ? 1 : 0;
        changed_.notify_all();
    }
    bool waits_for_one() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return times_ > 0; });
    }
    int times() {
        const std::lock_guard lock(mutex_);
        return times_;
    }

private:
    const std::string event_;
    std::mutex mutex_;
    std::condition_variable changed_;
    int times_ = 0;
};

/// Directories, and servers of local clusters in them.
class LocalServers : public testing::Test {
protected:
    LocalServers() {
        std::string name = (std::filesystem::temp_directory_path() / "local-XXXXXX").string();
        root = ::mkdtemp(name.data());
    }
    ~LocalServers() override { std::filesystem::remove_all(root); }

    std::unique_ptr<Server> start(const std::filesystem::path& dir) {
        ServerOptions options;
        options.dir = dir;
        options.zones = {"a"};
        auto server = Server::start(std::move(options));
        EXPECT_TRUE(server.has_value()) << server.error().message();
        return server ? *std::move(server) : nullptr;
    }
    /// Two directories whose paths suggest the same block.
    std::pair<std::filesystem::path, std::filesystem::path> alike() {
        std::map<std::string, std::filesystem::path> seen;
        for (int i = 0;; ++i) {
            const std::filesystem::path dir = root / std::to_string(i);
            const auto [found, is_new] = seen.emplace(blocks_for(dir).front(), dir);
            if (!is_new) {
                return {found->second, dir};
            }
        }
    }
    static std::string create_service(Server& server) {
        server.locked([](Resources& resources) {
            WriteOptions options;
            const auto made = resources.create(resources.kinds().by_storage("services"), "default",
                                               yaml(a_service), options);
            EXPECT_TRUE(made.has_value());
        });
        return address_of_service(server);
    }
    static std::string address_of_service(Server& server) {
        std::string address;
        server.locked([&](Resources& resources) {
            address = (*resources.store().get({"services", "default", "main"}))["spec"]["clusterIP"]
                          .text();
        });
        return address;
    }

    std::filesystem::path root;
};

TEST_F(LocalServers, two_clusters_at_once_never_share_an_address_whatever_their_directories) {
    const auto [one, other] = alike();
    const auto first = start(one);
    const auto second = start(other);
    ASSERT_TRUE(first && second);
    EXPECT_NE(create_service(*first), create_service(*second));
}

TEST_F(LocalServers, a_service_keeps_its_address_over_a_restart) {
    const auto [one, other] = alike();
    const auto first = start(one);
    std::string announced;
    {
        const auto second = start(other);  // Not where its path suggests: that is the first one's.
        announced = create_service(*second);
    }
    const auto again = start(other);
    ASSERT_TRUE(again);
    EXPECT_EQ(address_of_service(*again), announced);
}

TEST_F(LocalServers, a_service_whose_block_is_another_clusters_by_now_gets_a_new_address) {
    const auto [one, other] = alike();
    std::string announced;
    {
        const auto first = start(one);
        announced = create_service(*first);
    }
    const auto second = start(other);
    const auto again = start(one);
    ASSERT_TRUE(second && again);
    const std::string block = blocks_for(one).front() + ".";
    EXPECT_THAT(announced, StartsWith(block));
    EXPECT_THAT(address_of_service(*again), testing::Not(StartsWith(block)));
}

// Their addresses are in the quorum's log: elsewhere they would never find each other.
TEST_F(LocalServers, a_cluster_whose_brokers_addresses_are_taken_says_so_instead_of_starting) {
    const auto [one, other] = alike();
    {
        const auto first = start(one);
        first->locked([](Resources& resources) {
            pod_address(resources, yaml("{metadata: {name: main-0, namespace: default}}"));
        });
    }
    const auto second = start(other);
    ServerOptions options;
    options.dir = one;
    const auto again = Server::start(std::move(options));
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code(), Code::busy);
    EXPECT_THAT(again.error().message(), HasSubstr(blocks_for(one).front() + ".x.y"));
    EXPECT_THAT(again.error().message(), HasSubstr(fmt::format("pid {}", ::getpid())));
}

TEST_F(LocalServers, a_new_service_passes_over_an_address_that_another_program_listens_on) {
    const auto server = start(root / "x");
    std::string prefix;
    server->locked([&](Resources& resources) { prefix = resources.around().address_prefix; });
    const Listener stranger(prefix + ".0.1", 21750);
    EXPECT_EQ(create_service(*server), prefix + ".0.2");
}

TEST_F(LocalServers, a_service_moves_when_its_address_was_taken_while_nobody_served_it) {
    const auto server = start(root / "x");
    const std::string announced = create_service(*server);
    const Listener stranger(announced, 21750);

    struct News {
        std::mutex mutex;
        std::condition_variable changed;
        int count = 0;
    };
    const auto news = std::make_shared<News>();
    server->wake_on({"services"}, [news] {
        const std::lock_guard lock(news->mutex);
        ++news->count;
        news->changed.notify_all();
    });
    const auto proxy = ServiceProxy::start(*server, Logger{});
    {
        std::unique_lock lock(news->mutex);
        EXPECT_TRUE(news->changed.wait_for(lock, std::chrono::seconds(30),
                                           [&] { return news->count > 0; }));
    }
    EXPECT_NE(address_of_service(*server), announced);
    proxy->stop();
}

// poll() says at once again that somebody waits: without a break the thread takes a whole core.
TEST_F(LocalServers, a_service_takes_a_break_when_descriptors_run_out_and_goes_on_after_it) {
    const auto server = start(root / "x");
    const std::string address = create_service(*server);
    const auto told = std::make_shared<Told>("local.service_accepts_nobody");
    const auto proxy = ServiceProxy::start(*server, Logger{told});
    while (!Caller().connects(address, 21750)) {
        std::this_thread::yield();  // It doesn't listen yet.
    }
    const Caller caller;
    {
        const NoDescriptors none;
        EXPECT_TRUE(caller.connects(address, 21750));
        EXPECT_TRUE(told->waits_for_one());
    }
    EXPECT_TRUE(caller.is_hung_up());  // The service has no pods.
    EXPECT_EQ(told->times(), 1);
    proxy->stop();
}

TEST_F(LocalApi, a_pod_passes_over_an_address_where_its_ports_are_taken) {
    Resources cramped(
        kinds, store, rules,
        {[this] { return now; }, [] { return "uid"; }, [] { return "abcde"; }, "127.81",
         [](const std::string& address, const std::vector<int>& ports) {
             return address != "127.81.1.1" || ports != std::vector<int>{9092, 9093};
         }});
    const Json pod = yaml(
        "{metadata: {name: main-0, namespace: default}, spec: {containers: [{ports: "
        "[{containerPort: 9092}, {containerPort: 9093}]}]}}");
    EXPECT_EQ(pod_address(cramped, pod), "127.81.1.2");
    EXPECT_EQ(pod_address(cramped, pod), "127.81.1.2");
}

TEST_F(LocalApi, a_pod_whose_ports_are_taken_everywhere_gets_the_first_address) {
    Resources full(kinds, store, rules,
                   {[this] { return now; }, [] { return "uid"; }, [] { return "abcde"; }, "127.81",
                    [](const std::string&, const std::vector<int>&) { return false; }});
    EXPECT_EQ(pod_address(full, yaml("{metadata: {name: main-0, namespace: default}}")),
              "127.81.1.1");
}

}  // namespace
}  // namespace millrace::local
