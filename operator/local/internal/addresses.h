// operator/local/internal/addresses.h
//
// Which loopback addresses a local cluster uses. Each running cluster has a block, 127.x.0.0/16,
// to itself: claimed in the kernel, so that clusters that start at the same moment never share one,
// and given back by the kernel however the program ends. Within it an address that some other
// program listens on is passed over.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "operator/local/internal/resources.h"

namespace millrace::local {

class AddressBlock {
public:
    /// The first of these ("127.81") that no running cluster has. Code::busy: all are taken.
    static Result<AddressBlock> claim(const std::vector<std::string>& wanted);

    AddressBlock(AddressBlock&& other) noexcept
        : prefix_(std::move(other.prefix_)), socket_(std::exchange(other.socket_, -1)) {}
    AddressBlock& operator=(AddressBlock&& other) noexcept {
        std::swap(prefix_, other.prefix_);
        std::swap(socket_, other.socket_);
        return *this;
    }
    ~AddressBlock();

    const std::string& prefix() const { return prefix_; }

private:
    AddressBlock(std::string prefix, int socket) : prefix_(std::move(prefix)), socket_(socket) {}

    std::string prefix_;
    int socket_ = -1;
};

/// Every block, first the one that the directory's path suggests.
std::vector<std::string> blocks_for(const std::filesystem::path& dir);

/// The blocks to claim for what is stored, best first. Where brokers have been given addresses only
/// theirs will do: the quorum's log names them.
std::vector<std::string> blocks_for(const std::filesystem::path& dir, const Store& store);

/// Whether all of these ports could be listened on now.
bool can_listen(const std::string& address, const std::vector<int>& ports);

/// For a service with these ports: the lowest that no other service has and that is free; where
/// none is, the lowest that no other service has, for its trouble to be told. None: 240 are in use.
std::optional<std::string> service_address(const Store& store, const Surroundings& around,
                                           const Json& ports);

/// Services that have another block's address, of an earlier run, get one of ours.
void bring_services_home(Resources& resources);

/// Another address for a service whose own can't be listened on. False: none is better.
bool move_service(Resources& resources, const ObjectKey& service);

/// A pod's, kept for whoever has its name next.
std::string pod_address(Resources& resources, const Json& pod);

}  // namespace millrace::local
