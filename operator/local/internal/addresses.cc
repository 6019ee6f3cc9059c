#include "operator/local/internal/addresses.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fmt/core.h>
#include <fstream>
#include <netinet/in.h>
#include <set>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "operator/local/internal/scheduler.h"

namespace millrace::local {

namespace {

constexpr unsigned first_block = 16;
constexpr unsigned blocks = 200;
constexpr int services_at_most = 240;  ///< Above them, in the same /24, are the nodes.

struct BlockName {
    sockaddr_un name{};
    socklen_t size = 0;

    explicit BlockName(const std::string& prefix) {
        name.sun_family = AF_UNIX;
        const std::string text = "millrace-local/" + prefix;
        // The first byte stays 0: no file, so nothing is left behind.
        std::memcpy(name.sun_path + 1, text.data(), text.size());
        size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
    }
    const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&name); }
};

/// A name in the kernel, of the same network namespace as the addresses: whoever has it bound has
/// the block. It listens, so that the kernel tells who that is. -1 with errno if it can't be had.
int bind_name(const std::string& prefix) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) {
        return -1;
    }
    const BlockName name(prefix);
    if (::bind(socket, name.address(), name.size) != 0 || ::listen(socket, 1) != 0) {
        const int failure = errno;
        ::close(socket);
        errno = failure;
        return -1;
    }
    return socket;
}

/// Who has the block: the process that listens on its name. 0: that can't be told.
pid_t holder_of(const std::string& prefix) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const BlockName name(prefix);
    ucred who{};
    socklen_t size = sizeof who;
    const bool told = ::connect(socket, name.address(), name.size) == 0 &&
                      ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0;
    ::close(socket);
    return told ? who.pid : 0;
}

/// What it was started with as --local, as far as we may look.
std::string directory_of(pid_t pid) {
    const std::filesystem::path about = "/proc/" + std::to_string(pid);
    std::ifstream file(about / "cmdline", std::ios::binary);
    std::error_code failed;
    for (std::string word; std::getline(file, word, '\0');) {
        if (word == "--local" && std::getline(file, word, '\0')) {
            const auto base = std::filesystem::read_symlink(about / "cwd", failed);
            return (base / word).lexically_normal().string();  // An absolute one replaces the base.
        }
    }
    return "";
}

/// "pid 12 in /tmp/a", as far as it is known.
std::string described_holder(const std::string& prefix) {
    const pid_t pid = holder_of(prefix);
    if (pid == 0) {
        return "another local cluster";
    }
    const std::string dir = directory_of(pid);
    return fmt::format("the local cluster {}(pid {})", dir.empty() ? "" : "in " + dir + " ", pid);
}

/// "127.81" of "127.81.0.3"; empty for what is no such address.
std::string block_of(const std::string& address) {
    const std::size_t second = address.find('.', 4);
    return address.starts_with("127.") && second != std::string::npos ? address.substr(0, second)
                                                                      : "";
}

std::vector<int> ports_of(const Json& ports, const char* name) {
    std::vector<int> numbers;
    for (const Json& port : ports.items()) {
        numbers.push_back(static_cast<int>(port[name].integer()));
    }
    return numbers;
}

struct ServiceAddresses {
    std::optional<std::string> free;        ///< Nobody listens on it.
    std::optional<std::string> unassigned;  ///< No other service has it.
};

ServiceAddresses look_for_service(const Store& store, const Surroundings& around,
                                  const std::vector<int>& ports) {
    std::set<std::string> taken;
    for (const ObjectPtr& service : store.list("services", "")) {
        taken.insert((*service)["spec"]["clusterIP"].text());
    }
    ServiceAddresses found;
    for (int i = 1; i <= services_at_most && !found.free; ++i) {
        std::string address = fmt::format("{}.0.{}", around.address_prefix, i);
        if (taken.contains(address)) {
            continue;
        }
        if (!found.unassigned) {
            found.unassigned = address;
        }
        if (around.can_listen(address, ports)) {
            found.free = std::move(address);
        }
    }
    return found;
}

std::string look_for_pod(Resources& resources, const Json& pod) {
    std::set<std::string> taken;
    for (const ObjectPtr& other : resources.store().list(address_storage, "")) {
        taken.insert((*other)["address"].text());
    }
    std::vector<int> ports;
    for (const Json& container : pod["spec"]["containers"].items()) {
        const std::vector<int> own = ports_of(container["ports"], "containerPort");
        ports.insert(ports.end(), own.begin(), own.end());
    }
    constexpr int per_row = 254;
    constexpr int most_tries = 64;
    std::string first;
    int tries = 0;
    for (int i = 0; i < per_row * per_row && tries < most_tries; ++i) {
        std::string address = fmt::format("{}.{}.{}", resources.around().address_prefix,
                                          1 + i / per_row, 1 + i % per_row);
        if (taken.contains(address)) {
            continue;
        }
        if (resources.around().can_listen(address, ports)) {
            return address;
        }
        first = tries++ == 0 ? std::move(address) : first;
    }
    // A program that listens everywhere makes all of them look taken: the broker says so itself.
    return first;
}

void give(Resources& resources, const ObjectKey& key, Json service, const std::string& address) {
    service["spec"]["clusterIP"] = address;
    service["spec"]["clusterIPs"] = Json::array({address});
    resources.write(key, std::move(service));
}

}  // namespace

Result<AddressBlock> AddressBlock::claim(const std::vector<std::string>& wanted) {
    for (const std::string& prefix : wanted) {
        if (const int socket = bind_name(prefix); socket >= 0) {
            return AddressBlock(prefix, socket);
        }
        if (errno != EADDRINUSE) {
            return Error::make(Code::io, "addresses {}.x.y: {}", prefix, std::strerror(errno));
        }
    }
    if (wanted.size() == 1) {
        return Error::make(Code::busy,
                           "its brokers live at {}.x.y, where {} runs now: stop that one first",
                           wanted.front(), described_holder(wanted.front()));
    }
    return Error::make(Code::busy, "{} local clusters run already: no addresses are left",
                       wanted.size());
}

AddressBlock::~AddressBlock() {
    if (socket_ >= 0) {
        ::close(socket_);
    }
}

std::vector<std::string> blocks_for(const std::filesystem::path& dir) {
    const std::string path = std::filesystem::absolute(dir).string();
    const unsigned suggested = crc32c(as_bytes(path)) % blocks;
    std::vector<std::string> prefixes;
    for (unsigned i = 0; i < blocks; ++i) {
        prefixes.push_back(fmt::format("127.{}", first_block + (suggested + i) % blocks));
    }
    return prefixes;
}

std::vector<std::string> blocks_for(const std::filesystem::path& dir, const Store& store) {
    for (const ObjectPtr& pod : store.list(address_storage, "")) {
        if (std::string had = block_of((*pod)["address"].text()); !had.empty()) {
            return {std::move(had)};
        }
    }
    std::vector<std::string> prefixes = blocks_for(dir);
    for (const ObjectPtr& node : store.list("nodes", "")) {
        const std::string had = block_of((*node)["status"]["addresses"][0]["address"].text());
        const auto found = std::find(prefixes.begin(), prefixes.end(), had);
        if (found != prefixes.end()) {
            std::rotate(prefixes.begin(), found, prefixes.end());
            break;
        }
    }
    return prefixes;
}

bool can_listen(const std::string& address, const std::vector<int>& ports) {
    return std::all_of(ports.begin(), ports.end(), [&](int port) {
        const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int yes = 1;
        ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        sockaddr_in self{};
        self.sin_family = AF_INET;
        self.sin_port = htons(static_cast<std::uint16_t>(port));
        ::inet_pton(AF_INET, address.c_str(), &self.sin_addr);
        const bool free =
            ::bind(probe, reinterpret_cast<const sockaddr*>(&self), sizeof(self)) == 0 ||
            errno != EADDRINUSE;
        ::close(probe);
        return free;
    });
}

std::optional<std::string> service_address(const Store& store, const Surroundings& around,
                                           const Json& ports) {
    ServiceAddresses found = look_for_service(store, around, ports_of(ports, "port"));
    return found.free ? found.free : found.unassigned;
}

void bring_services_home(Resources& resources) {
    const std::string home = resources.around().address_prefix + ".";
    for (const ObjectPtr& service : resources.store().list("services", "")) {
        const std::string& address = (*service)["spec"]["clusterIP"].text();
        if (!address.starts_with("127.") || address.starts_with(home)) {
            continue;
        }
        const auto next =
            service_address(resources.store(), resources.around(), (*service)["spec"]["ports"]);
        const Json& metadata = (*service)["metadata"];
        give(resources, {"services", metadata["namespace"].text(), metadata["name"].text()},
             *service, next.value_or("None"));
    }
}

bool move_service(Resources& resources, const ObjectKey& key) {
    const ObjectPtr service = resources.store().get(key);
    if (!service) {
        return false;
    }
    const ServiceAddresses found = look_for_service(resources.store(), resources.around(),
                                                    ports_of((*service)["spec"]["ports"], "port"));
    if (found.free) {
        give(resources, key, *service, *found.free);
    }
    return found.free.has_value();
}

std::string pod_address(Resources& resources, const Json& pod) {
    const ObjectKey key{address_storage, pod["metadata"]["namespace"].text(),
                        pod["metadata"]["name"].text()};
    if (const ObjectPtr kept = resources.store().get(key)) {
        return (*kept)["address"].text();
    }
    std::string address = look_for_pod(resources, pod);
    if (address.empty()) {
        return "127.0.0.1";  // 64,516 names are in use; what shares this address can't listen.
    }
    resources.write(
        key,
        Json::object({{"address", address},
                      {"metadata", Json::object({{"name", key.name}, {"namespace", key.space}})}}));
    return address;
}

}  // namespace millrace::local
