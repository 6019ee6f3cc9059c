// The real loops: timers, posts, and requests over loopback with the CPU that the server spends on
// each (its thread's clock, the client not counted).
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <benchmark/benchmark.h>
#include <ctime>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "base/random.h"
#include "runtime/real/internal/system.h"
#include "runtime/real/internal/timing_wheel.h"
#include "runtime/real/real_node.h"
#include "tests/support/wait_for.h"

namespace millrace::runtime {
namespace {

using millrace::support::Latch;

std::unique_ptr<RealNode> make_node(std::size_t shards) {
    RealNodeOptions options;
    options.data_shards = shards;
    options.disk_threads = 1;
    return *RealNode::create(std::move(options));
}

double cpu_seconds(clockid_t clock) {
    timespec at{};
    ::clock_gettime(clock, &at);
    return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) / 1e9;
}

/// The CPU clock of a loop's thread.
clockid_t clock_of(Executor& loop) {
    clockid_t clock{};
    Latch latch;
    loop.post([&] {
        ::pthread_getcpuclockid(::pthread_self(), &clock);
        latch.count_down();
    });
    (void)latch.wait();
    return clock;
}

void timer_add_and_cancel(benchmark::State& state) {
    internal::TimingWheel wheel;
    SeededRandom random(1);
    for (int i = 0; i < state.range(0); ++i) {
        wheel.add(1 + random.below(100'000), [] {});
    }
    for (auto _ : state) {
        benchmark::DoNotOptimize(wheel.cancel(wheel.add(1 + random.below(30'000), [] {})));
    }
}
BENCHMARK(timer_add_and_cancel)->Arg(0)->Arg(100'000);

void timer_add_and_fire(benchmark::State& state) {
    internal::TimingWheel wheel;
    SeededRandom random(1);
    std::uint64_t now = 0;
    std::uint64_t fired = 0;
    for (auto _ : state) {
        wheel.add(now + 1 + random.below(1000), [&fired] { ++fired; });
        if (fired + 1000 < static_cast<std::uint64_t>(state.iterations())) {
            wheel.advance(++now);
            while (wheel.due() > 0) {
                wheel.take_due()();
            }
        }
    }
    while (wheel.size() > 0) {
        wheel.advance(++now);
        while (wheel.due() > 0) {
            wheel.take_due()();
        }
    }
    state.counters["fired"] = static_cast<double>(fired);
}
BENCHMARK(timer_add_and_fire);

void read_the_clock(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(internal::monotonic_now());
    }
}
BENCHMARK(read_the_clock);

// A loop that posts to itself: what a deferred step costs.
void post_to_own_loop(benchmark::State& state) {
    auto node = make_node(1);
    node->start();
    Executor& loop = *node->data_shard(0).executor;
    for (auto _ : state) {
        constexpr int batch = 100'000;
        Latch latch;
        int left = batch;
        const auto step = [&](auto& self) -> void {
            for (int i = 0; i < 100; ++i) {
                loop.post([&left] { --left; });
            }
            loop.post([&self, &left, &latch] {
                if (left > 0) {
                    self(self);
                } else {
                    latch.count_down();
                }
            });
        };
        loop.post([&] { step(step); });
        (void)latch.wait();
        state.SetItemsProcessed(state.items_processed() + batch);
    }
}
BENCHMARK(post_to_own_loop)->Unit(benchmark::kMillisecond)->UseRealTime();

// Another thread posts as fast as it can: the caller's side, and all of it.
void post_from_another_thread(benchmark::State& state) {
    auto node = make_node(1);
    node->start();
    Executor& loop = *node->data_shard(0).executor;
    const clockid_t loop_clock = clock_of(loop);
    const double begun = cpu_seconds(loop_clock);
    const double self_begun = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    std::int64_t posted = 0;
    for (auto _ : state) {
        constexpr int batch = 1000;
        Latch latch;
        for (int i = 0; i < batch; ++i) {
            loop.post([] {});
        }
        loop.post([&] { latch.count_down(); });
        (void)latch.wait();
        posted += batch;
    }
    state.SetItemsProcessed(posted);
    const double each = 1e9 / static_cast<double>(posted);
    state.counters["poster_ns"] = (cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - self_begun) * each;
    state.counters["loop_ns"] = (cpu_seconds(loop_clock) - begun) * each;
}
BENCHMARK(post_from_another_thread)->UseRealTime();

void round_trip_between_two_loops(benchmark::State& state) {
    auto node = make_node(2);
    node->start();
    Executor& here = *node->data_shard(0).executor;
    Executor& there = *node->data_shard(1).executor;
    for (auto _ : state) {
        Latch latch;
        int left = 100;
        const auto step = [&](auto& self) -> void {
            if (--left == 0) {
                latch.count_down();
                return;
            }
            there.post([&here, &self] { here.post([&self] { self(self); }); });
        };
        here.post([&] { step(step); });
        (void)latch.wait();
        state.SetItemsProcessed(state.items_processed() + 100);
    }
}
BENCHMARK(round_trip_between_two_loops)->UseRealTime();

/// Echoes whatever comes, from one scratch buffer, as the broker's connections will.
struct Echo final : StreamEvents {
    explicit Echo(StreamPtr taken) : stream(std::move(taken)) { stream->set_events(this); }
    void on_readable() override {
        for (;;) {
            const auto got = stream->read(scratch);
            if (!got || *got == 0) {
                return;
            }
            const iovec part{scratch.data(), *got};
            benchmark::DoNotOptimize(stream->write(std::span(&part, 1)).has_value());
        }
    }
    void on_writable() override {}
    StreamPtr stream;
    static inline std::array<std::byte, 262'144> scratch;
};

int connect_to(std::uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
        std::abort();
    }
    const int one = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return socket;
}

// `connections` clients' requests at once, `size` bytes each, every answer awaited.
void echo_over_loopback(benchmark::State& state) {
    const auto connections = static_cast<std::size_t>(state.range(0));
    const auto size = static_cast<std::size_t>(state.range(1));
    auto node = make_node(1);
    std::vector<std::unique_ptr<Echo>> echoes;
    auto listener = *node->data_shard(0).net->listen({"127.0.0.1", 0}, [&](StreamPtr stream) {
        echoes.push_back(std::make_unique<Echo>(std::move(stream)));
    });
    node->start();
    const clockid_t loop_clock = clock_of(*node->data_shard(0).executor);
    std::vector<int> sockets;
    for (std::size_t i = 0; i < connections; ++i) {
        sockets.push_back(connect_to(listener->address().port));
    }
    std::vector<char> bytes(size, 'x');
    const auto round = [&] {
        for (const int socket : sockets) {
            (void)!::write(socket, bytes.data(), bytes.size());
        }
        for (const int socket : sockets) {
            for (std::size_t got = 0; got < size;) {
                const ssize_t n = ::read(socket, bytes.data(), bytes.size());
                if (n <= 0) {
                    std::abort();
                }
                got += static_cast<std::size_t>(n);
            }
        }
    };
    round();
    const double begun = cpu_seconds(loop_clock);
    const auto turns_before = node->loop_stats(0).turns.load();
    std::int64_t requests = 0;
    for (auto _ : state) {
        round();
        requests += static_cast<std::int64_t>(connections);
    }
    state.SetItemsProcessed(requests);
    const auto all = static_cast<double>(requests);
    state.counters["server_cpu_us"] = (cpu_seconds(loop_clock) - begun) * 1e6 / all;
    state.counters["turns_per_request"] =
        static_cast<double>(node->loop_stats(0).turns.load() - turns_before) / all;
    for (const int socket : sockets) {
        ::close(socket);
    }
    node->stop();
    echoes.clear();
    listener.reset();
}
BENCHMARK(echo_over_loopback)->Args({1, 100})->Args({32, 100})->Args({32, 16'384})->UseRealTime();

}  // namespace
}  // namespace millrace::runtime
