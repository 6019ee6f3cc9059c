#include "runtime/real/internal/socket_address.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

namespace millrace::runtime::internal {

std::optional<SocketAddress> parse_literal(const Address& address) {
    SocketAddress out;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
    if (::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(address.port);
        out.length = sizeof(sockaddr_in);
        return out;
    }
    const auto percent = address.host.find('%');
    const std::string plain = address.host.substr(0, percent);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    if (::inet_pton(AF_INET6, plain.c_str(), &v6->sin6_addr) != 1) {
        return std::nullopt;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    if (percent != std::string::npos) {
        v6->sin6_scope_id = ::if_nametoindex(address.host.c_str() + percent + 1);
    }
    out.length = sizeof(sockaddr_in6);
    return out;
}

Result<std::vector<SocketAddress>> resolve_blocking(const Address& address) {
    if (const auto literal = parse_literal(address)) {
        return std::vector<SocketAddress>{*literal};
    }
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const std::string port = std::to_string(address.port);
    const int outcome = ::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found);
    if (outcome != 0) {
        return Error::make(Code::not_found, "{}: {}", address.host, ::gai_strerror(outcome));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
    std::vector<SocketAddress> addresses;
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
        SocketAddress one;
        std::memcpy(&one.storage, entry->ai_addr, entry->ai_addrlen);
        one.length = entry->ai_addrlen;
        addresses.push_back(one);
    }
    return addresses;
}

Address to_address(const SocketAddress& from) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (from.family() == AF_INET) {
        const auto* v4 = reinterpret_cast<const sockaddr_in*>(&from.storage);
        ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
        return {text.data(), ntohs(v4->sin_port)};
    }
    if (from.family() != AF_INET6) {
        return {};
    }
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&from.storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        ::inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text.data(), text.size());
    } else {
        ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    }
    return {text.data(), ntohs(v6->sin6_port)};
}

Address local_address(int socket) {
    SocketAddress at;
    at.length = sizeof(at.storage);
    if (::getsockname(socket, at.get(), &at.length) != 0) {
        return {};
    }
    return to_address(at);
}

}  // namespace millrace::runtime::internal
