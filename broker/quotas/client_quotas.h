// quotas/client_quotas.h
//
// What a broker's clients have used of their quotas. One object for all loops: the connections of a
// client are spread over them. While no quota is set for clients a request costs one look at a
// flag; while one is, a look into its loop's cache and, for work that counts, a short lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "quotas/rules.h"
#include "quotas/windowed_rate.h"

namespace millrace::quotas {

/// One quota's use. From any thread.
class Meter {
public:
    Meter(double bound, const Window& window) : window_(window), bound_(bound) {}

    void set_bound(double bound);
    double bound() const;
    /// Counts it, and tells how long its client must wait now.
    Duration spend(double amount, Instant now);
    Duration over(Instant now);
    struct Verdict {
        bool may_go = true;
        Duration wait{};
    };
    /// Counts it if the rate stays at the bound. Else it must not go and nothing is counted, and
    /// its client waits as if it had gone. Only what no window would hold goes all the same, once
    /// nothing else counts.
    Verdict spend_if_room(double amount, Instant now);
    /// Lumps: whether another may begin.
    bool is_open(Instant now);
    void spend_lump(double amount, Instant now);
    Duration closed_for(Instant now);

private:
    const Window window_;
    mutable std::mutex mutex_;
    double bound_;
    WindowedRate rate_;
    TokenBucket bucket_;
};

/// The quotas of one user with one client id; those that bound nothing are null.
struct Client {
    std::array<std::shared_ptr<Meter>, kinds> meters;

    Meter* meter(Kind kind) const { return meters[static_cast<std::size_t>(kind)].get(); }
    bool is_bound() const;
};
using ClientPtr = std::shared_ptr<const Client>;

class ClientQuotas {
public:
    /// `mutations`: of Kind::mutation, which is measured over another window.
    ClientQuotas(Window window, Window mutations) : window_(window), mutations_(mutations) {}

    void set_rules(Rules rules);
    /// Whether any client has a quota: while not, nobody needs to ask for more.
    bool any() const { return any_.load(std::memory_order_relaxed); }
    /// Changes with the rules.
    std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
    /// Null: nothing bounds it.
    ClientPtr resolve(const std::string& user, const std::string& client);
    const Window& window() const { return window_; }

    /// How long a new connection from there is kept waiting before it is turned away; zero: it is
    /// let in, and counts.
    Duration connected_from(const std::string& address, Instant now);

private:
    std::shared_ptr<Meter> meter_for(Kind kind, const Bound& bound);
    void forget_unused();

    const Window window_;
    const Window mutations_;
    std::atomic<bool> any_{false};
    std::atomic<bool> any_address_{false};
    std::atomic<std::uint64_t> generation_{0};
    std::mutex mutex_;
    Rules rules_;
    /// What no client holds any more goes with the next change of the rules, or for want of room.
    std::map<std::pair<Kind, Share>, std::shared_ptr<Meter>> meters_;
    std::map<std::string, std::shared_ptr<Meter>> addresses_;
};

/// Of one loop: whom its requests come from.
class ClientCache {
public:
    ClientPtr find(ClientQuotas& quotas, const std::string& user, const std::string& client);

private:
    std::uint64_t generation_ = 0;
    std::unordered_map<std::string, ClientPtr> known_;
};

}  // namespace millrace::quotas
