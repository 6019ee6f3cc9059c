// net/connection_gate.h
//
// How many connections may be open: in all, on one listener, from one address. The listeners of a
// broker share one gate, so that an address counts once, whichever of them it comes to. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"

namespace millrace::net {

struct ConnectionLimits {
    static constexpr std::int32_t unlimited = std::numeric_limits<std::int32_t>::max();
    using Named = std::map<std::string, std::int32_t, std::less<>>;

    std::int32_t in_all = unlimited;
    std::int32_t per_address = unlimited;
    Named of_address;   ///< Those with a limit of their own, in place of per_address.
    Named of_listener;  ///< Beside `in_all`, where a listener has one.
    /// Whose connections count and come in beyond `in_all` all the same: brokers must reach each
    /// other through any crowd. Empty: none.
    std::string spared_listener;

    friend bool operator==(const ConnectionLimits&, const ConnectionLimits&) = default;
};

class ConnectionGate : public std::enable_shared_from_this<ConnectionGate> {
public:
    /// A connection's place; its end gives it back.
    class Place {
    public:
        Place() = default;
        Place(Place&& other) noexcept { swap(other); }
        Place& operator=(Place&& other) noexcept {
            Place taken(std::move(other));
            swap(taken);
            return *this;
        }
        ~Place();

    private:
        friend class ConnectionGate;
        Place(std::shared_ptr<ConnectionGate> gate, std::string listener, std::string address)
            : gate_(std::move(gate)),
              listener_(std::move(listener)),
              address_(std::move(address)) {}
        void swap(Place& other) noexcept {
            gate_.swap(other.gate_);
            listener_.swap(other.listener_);
            address_.swap(other.address_);
        }

        std::shared_ptr<ConnectionGate> gate_;
        std::string listener_;
        std::string address_;
    };

    static std::shared_ptr<ConnectionGate> make(ConnectionLimits limits = {});

    /// For who comes from now on; who is in stays.
    void set(ConnectionLimits limits);
    /// Code::exhausted with the limit that is reached.
    Result<Place> enter(const std::string& listener, const std::string& address);

private:
    explicit ConnectionGate(ConnectionLimits limits) : limits_(std::move(limits)) {}
    void leave(const std::string& listener, const std::string& address);

    std::mutex mutex_;
    ConnectionLimits limits_;
    std::int32_t open_ = 0;
    ConnectionLimits::Named by_listener_;
    ConnectionLimits::Named by_address_;
};

}  // namespace millrace::net
