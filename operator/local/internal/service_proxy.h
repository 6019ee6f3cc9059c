// operator/local/internal/service_proxy.h
//
// kube-proxy's place: whoever connects to a service's address is passed on to a ready pod. One
// thread; made for bootstrap connections, brokers are talked to at their own addresses.
#pragma once

#include <memory>

#include "base/log.h"
#include "operator/local/internal/server.h"

namespace millrace::local {

/// An address that is listened on, and the addresses behind it.
struct ProxyPort {
    std::string address;
    int port = 0;
    std::vector<std::pair<std::string, int>> backends;
    ObjectKey service;
    bool is_nodes = false;  ///< A node's address, not the service's own.

    friend bool operator==(const ProxyPort&, const ProxyPort&) = default;
};

/// What the services, their endpoints and the nodes ask for. Pure.
std::vector<ProxyPort> plan_proxy(const Store& store);

class ServiceProxy {
public:
    static std::unique_ptr<ServiceProxy> start(Server& server, Logger log);
    virtual ~ServiceProxy() = default;
    virtual void stop() = 0;
};

}  // namespace millrace::local
