// runtime/real/internal/socket_address.h
//
// Between our Address and the kernel's sockaddr.
#pragma once

#include <optional>
#include <sys/socket.h>
#include <vector>

#include "base/result.h"
#include "runtime/net.h"

namespace millrace::runtime::internal {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
    int family() const { return storage.ss_family; }
};

/// Literals only ("127.0.0.1", "::1", "fe80::1%eth0"); nothing for a name.
std::optional<SocketAddress> parse_literal(const Address& address);

/// Literals and names, by the system's resolver: may block for seconds.
Result<std::vector<SocketAddress>> resolve_blocking(const Address& address);

/// IPv4 seen through a dual-stack socket prints as IPv4.
Address to_address(const SocketAddress& from);

Address local_address(int socket);

}  // namespace millrace::runtime::internal
