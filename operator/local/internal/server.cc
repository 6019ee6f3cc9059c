#include "operator/local/internal/server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <list>
#include <mutex>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <optional>
#include <set>
#include <sys/file.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "operator/local/internal/addresses.h"
#include "operator/local/internal/api.h"
#include "operator/local/internal/controllers.h"
#include "operator/local/internal/http_door.h"
#include "operator/local/internal/journal.h"
#include "operator/local/internal/log_stream.h"
#include "operator/local/internal/pki.h"

namespace millrace::local {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t most_streams = 1024;
constexpr auto bookmark_every = std::chrono::seconds(20);
constexpr auto longest_watch = std::chrono::minutes(30);
constexpr auto sync_every = std::chrono::milliseconds(100);
constexpr auto idle_tick = std::chrono::seconds(5);
constexpr auto log_tick = std::chrono::milliseconds(100);

Timestamp wall_now() {
    return {std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::system_clock::now().time_since_epoch())
                .count()};
}

std::string new_uid() {
    std::string hex = random_hex(16);
    hex[12] = '4';
    hex[16] = "89ab"[static_cast<unsigned char>(hex[16]) % 4];
    return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                       hex.substr(16, 4), hex.substr(20));
}

bool port_is_free(std::uint16_t port) {
    const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool free = ::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    ::close(probe);
    return free;
}

std::uint16_t any_free_port() {
    const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    std::uint16_t port = 0;
    if (::bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
        ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
        port = ntohs(address.sin_port);
    }
    ::close(probe);
    return port;
}

/// The port of the last run if it is free, so that old kubeconfigs stay right.
std::uint16_t choose_port(const std::filesystem::path& file, std::uint16_t wanted) {
    if (wanted != 0) {
        return wanted;
    }
    if (const auto text = read_file(file)) {
        const int port = std::atoi(text->c_str());
        if (port > 0 && port < 65536 && port_is_free(static_cast<std::uint16_t>(port))) {
            return static_cast<std::uint16_t>(port);
        }
    }
    return any_free_port();
}

/// ", pid 12", if the holder of the lock has written it.
std::string its_pid(const std::filesystem::path& lock) {
    const auto text = read_file(lock);
    const long pid = text ? std::atol(text->c_str()) : 0;
    return pid > 0 ? fmt::format(", pid {}", pid) : "";
}

struct Watcher {
    WatchStart watch;
    std::shared_ptr<HttpStream> stream;
    bool first = true;
    SteadyClock::time_point ends;
    SteadyClock::time_point bookmark_at;
};

class ServerShell final : public Server {
public:
    ServerShell(ServerOptions options, KindTable kinds)
        : options_(std::move(options)), kinds_(std::move(kinds)) {}

    ~ServerShell() override {
        stop();
        if (door_) {
            door_->close();
        }
        if (lock_file_ >= 0) {
            ::close(lock_file_);
        }
    }

    Result<void> start() {
        MR_TRY_VOID(take_directory());
        MR_TRY(pki_, ensure_pki(options_.dir / "pki"));
        MR_TRY(journal_, Journal::open(options_.dir / "state", store_));
        auto block = AddressBlock::claim(blocks_for(options_.dir, store_));
        if (!block) {
            return block.error().with_context(options_.dir.string());
        }
        block_ = *std::move(block);
        store_.on_change([this](const Change& change) { on_change(change); });
        resources_ = std::make_unique<Resources>(
            kinds_, store_, options_.rules,
            Surroundings{wall_now, new_uid, [] { return random_hex(3).substr(0, 5); },
                         block_->prefix(), can_listen});
        make_foundation(*resources_, options_.zones, options_.crds);
        bring_services_home(*resources_);
        MR_TRY_VOID(open_door());
        keeper_ = std::thread([this] { keep(); });
        return {};
    }

    std::string url() const override { return fmt::format("https://{}", host_); }
    std::filesystem::path kubeconfig() const override { return options_.dir / "kubeconfig"; }

    void locked(const std::function<void(Resources&)>& work) override {
        const std::lock_guard lock(mutex_);
        work(*resources_);
    }

    void wake_on(std::set<std::string, std::less<>> storages, std::function<void()> wake) override {
        const std::lock_guard lock(mutex_);
        sleepers_.emplace_back(std::move(storages), std::move(wake));
    }

    std::vector<std::string> take_deleted_volumes() override {
        const std::lock_guard lock(mutex_);
        return std::exchange(deleted_volumes_, {});
    }

    void stop() override {
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) {
                return;
            }
            stopping_ = true;
            for (Watcher& watcher : watchers_) {
                watcher.stream->end();
            }
            for (Follower& follower : followers_) {
                follower.stream->end();
            }
        }
        wake_keeper_.notify_all();
        if (keeper_.joinable()) {
            keeper_.join();
        }
        if (journal_) {
            report(journal_->sync());
        }
    }

private:
    Result<void> take_directory() {
        std::error_code failed;
        std::filesystem::create_directories(options_.dir, failed);
        if (!failed) {
            std::filesystem::permissions(options_.dir, std::filesystem::perms::owner_all, failed);
        }
        if (failed) {
            return Error::make(Code::io, "{}: {}", options_.dir.string(), failed.message());
        }
        const std::filesystem::path path = options_.dir / "lock";
        lock_file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock_file_ < 0) {
            return Error::make(Code::io, "{}: {}", path.string(), std::strerror(errno));
        }
        if (::flock(lock_file_, LOCK_EX | LOCK_NB) != 0) {
            return Error::make(Code::busy,
                               "{}: a local cluster runs here already{}; --local DIR, or "
                               "MILLRACE_RUN_DIR=DIR make run, starts another beside it",
                               options_.dir.string(), its_pid(path));
        }
        // Who comes second reads it.
        const std::string pid = std::to_string(::getpid()) + "\n";
        if (::ftruncate(lock_file_, 0) != 0 ||
            ::pwrite(lock_file_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
            return Error::make(Code::io, "{}: {}", path.string(), std::strerror(errno));
        }
        return {};
    }

    Result<void> open_door() {
        constexpr int attempts = 5;  // A chosen port may be taken before we listen on it.
        for (int attempt = 1;; ++attempt) {
            const std::uint16_t port = choose_port(options_.dir / "port", options_.port);
            host_ = fmt::format("127.0.0.1:{}", port);
            localhost_ = fmt::format("localhost:{}", port);
            api_ = std::make_unique<Api>(*resources_, host_);
            auto door = HttpDoor::open(port, pki_.certificate, pki_.key,
                                       [this](const Request& request) { return answer(request); });
            if (door) {
                door_ = *std::move(door);
                MR_TRY_VOID(write_private_file(options_.dir / "port", std::to_string(port)));
                return write_private_file(kubeconfig(), kubeconfig_text(pki_, url()));
            }
            if (options_.port != 0 || attempt == attempts) {
                return door.error();
            }
        }
    }

    /// The lock is held: every write to the store happens under it.
    void on_change(const Change& change) {
        report(journal_->append(change));
        for (Watcher& watcher : watchers_) {
            if (auto line = api_->watch_line(watcher.watch, change, watcher.first)) {
                watcher.first = false;
                watcher.stream->write(*line);
            }
        }
        unsynced_ = true;
        dirty_ = dirty_ || concerns_controllers(change);
        wake_keeper_.notify_all();
        if (change.key.storage == "persistentvolumes" && change.type == Change::Type::deleted &&
            (*change.object)["spec"]["persistentVolumeReclaimPolicy"].text() == "Delete") {
            deleted_volumes_.push_back(change.key.name);
        }
        for (const auto& [storages, wake] : sleepers_) {
            if (storages.contains(change.key.storage)) {
                wake();
            }
        }
    }

    /// A thousand topics whose status changes are nothing to them.
    bool concerns_controllers(const Change& change) const {
        const Json& metadata = (*change.object)["metadata"];
        const bool custom = change.key.storage.find('.') != std::string::npos;
        return !custom || change.type == Change::Type::deleted ||
               metadata.has("deletionTimestamp") || metadata.has("ownerReferences");
    }

    void report(const Result<void>& result) {
        if (!result) {
            broken_ = true;
            MR_LOG(options_.log, error, "local.journal_failed",
                   field("reason", result.error().message()));
        }
    }

    static HttpAnswer refuse(int code, const char* reason, const char* message) {
        return {to_response({code, reason, message, {}}), {}};
    }

    bool knows(const Request& request) const {
        const std::string wanted = "Bearer " + pki_.token;
        const std::string given = request.header("authorization");
        return given.size() == wanted.size() &&
               CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
    }

    HttpAnswer answer(const Request& request) {
        // A web page in a browser can reach loopback under a name of its own: refuse the name.
        const std::string host = request.header("host");
        if (host != host_ && host != localhost_) {
            return refuse(403, "Forbidden", "unknown host name");
        }
        const bool health =
            request.path == "/healthz" || request.path == "/readyz" || request.path == "/livez";
        if (!health && !knows(request)) {
            return refuse(401, "Unauthorized", "Unauthorized");
        }
        const std::lock_guard lock(mutex_);
        if (stopping_) {
            return refuse(503, "ServiceUnavailable", "the server is stopping");
        }
        if (broken_ && request.method != "GET") {
            return refuse(500, "InternalError", "the journal can't be written; see the log");
        }
        Reply reply = api_->handle(request);
        if (auto* response = std::get_if<Response>(&reply)) {
            return {std::move(*response), {}};
        }
        if (watchers_.size() + followers_.size() >= most_streams) {
            return refuse(429, "TooManyRequests", "too many watches are open");
        }
        if (auto* watch = std::get_if<WatchStart>(&reply)) {
            return start_watch(std::move(*watch));
        }
        return start_log(std::get<LogStart>(std::move(reply)));
    }

    HttpAnswer start_watch(WatchStart watch) {
        HttpAnswer answer;
        answer.response.content_type =
            watch.presentation.table ? "application/json;as=Table;g=meta.k8s.io;v=v1;stream=watch"
                                     : "application/json;stream=watch";
        answer.streams = [this, watch = std::move(watch)](std::shared_ptr<HttpStream> stream) {
            begin_watch(watch, std::move(stream));
        };
        return answer;
    }

    /// Between the answer and the stream things may have happened: they are sent first.
    void begin_watch(WatchStart watch, std::shared_ptr<HttpStream> stream) {
        const std::lock_guard lock(mutex_);
        const auto now = SteadyClock::now();
        Watcher watcher{std::move(watch), std::move(stream), true, now + longest_watch,
                        now + bookmark_every};
        if (watcher.watch.timeout_seconds > 0) {
            watcher.ends =
                std::min(watcher.ends, now + std::chrono::seconds(watcher.watch.timeout_seconds));
        }
        watcher.first = watcher.watch.first.empty();
        if (!watcher.first) {
            watcher.stream->write(watcher.watch.first);
        }
        watcher.watch.first.clear();
        for (const Change& change :
             store_.since(watcher.watch.after).value_or(std::vector<Change>{})) {
            if (auto line = api_->watch_line(watcher.watch, change, watcher.first)) {
                watcher.first = false;
                watcher.stream->write(*line);
            }
        }
        if (stopping_) {
            watcher.stream->end();
            return;
        }
        watchers_.push_back(std::move(watcher));
        wake_keeper_.notify_all();
    }

    HttpAnswer start_log(LogStart log) {
        const ObjectPtr pod = store_.get({"pods", log.space, log.pod});
        const auto source = find_log(options_.dir, log, *pod);
        if (!source.has_value()) {
            return {to_response(source.error()), {}};
        }
        std::uint64_t offset = 0;
        std::string text = read_log((*source).path, log, offset);
        HttpAnswer answer;
        answer.response.content_type = "text/plain";
        if (!log.follow) {
            answer.response.body = std::move(text);
            return answer;
        }
        answer.streams = [this, log = std::move(log), source = *source, offset,
                          text = std::move(text)](std::shared_ptr<HttpStream> stream) {
            const std::lock_guard lock(mutex_);
            stream->write(text);
            followers_.push_back({log, source, offset, std::move(stream)});
            wake_keeper_.notify_all();
        };
        return answer;
    }

    void keep() {
        std::unique_lock lock(mutex_);
        auto synced = SteadyClock::now();
        while (!stopping_) {
            const auto tick = followers_.empty() ? std::chrono::milliseconds(idle_tick) : log_tick;
            if (!dirty_) {
                wake_keeper_.wait_for(lock, unsynced_ ? std::min(tick, sync_every) : tick);
            }
            if (stopping_) {
                return;
            }
            if (dirty_) {
                dirty_ = false;
                run_controllers(*resources_);
            }
            const auto now = SteadyClock::now();
            if (unsynced_ && now - synced >= sync_every) {
                synced = now;
                unsynced_ = false;
                lock.unlock();  // The disk may be slow; nobody is to wait for it.
                const Result<void> result = journal_->sync();
                lock.lock();
                report(result);
                report(journal_->compact_if_large(store_));
            }
            tend_watchers(now);
            tend_followers();
        }
    }

    void tend_watchers(SteadyClock::time_point now) {
        for (Watcher& watcher : watchers_) {
            if (now >= watcher.ends) {
                watcher.stream->end();
            } else if (now >= watcher.bookmark_at) {
                watcher.bookmark_at = now + bookmark_every;
                if (watcher.watch.bookmarks) {
                    watcher.stream->write(api_->bookmark_line(watcher.watch, false));
                }
            }
        }
        watchers_.remove_if([](const Watcher& watcher) { return !watcher.stream->open(); });
    }

    void tend_followers() {
        for (Follower& follower : followers_) {
            follow(follower);
            const ObjectPtr pod =
                store_.get({"pods", follower.request.space, follower.request.pod});
            const auto source = pod ? find_log(options_.dir, follower.request, *pod)
                                    : ApiResult<LogSource>(page_not_found());
            const bool over = !source.has_value() || (*source).path != follower.source.path ||
                              !container_runs(*pod, follower.source.container);
            if (over) {
                follow(follower);
                follower.stream->end();
            }
        }
        followers_.remove_if([](const Follower& follower) { return !follower.stream->open(); });
    }

    static bool container_runs(const Json& pod, const std::string& container) {
        for (const Json& status : pod["status"]["containerStatuses"].items()) {
            if (status["name"].text() == container) {
                return status["state"].has("running");
            }
        }
        return false;
    }

    const ServerOptions options_;
    const KindTable kinds_;
    int lock_file_ = -1;
    std::optional<AddressBlock> block_;
    Pki pki_;
    std::string host_;
    std::string localhost_;

    std::mutex mutex_;  ///< Over all that follows.
    std::condition_variable wake_keeper_;
    Store store_;
    std::unique_ptr<Journal> journal_;
    std::unique_ptr<Resources> resources_;
    std::unique_ptr<Api> api_;
    std::list<Watcher> watchers_;
    std::list<Follower> followers_;
    std::vector<std::pair<std::set<std::string, std::less<>>, std::function<void()>>> sleepers_;
    std::vector<std::string> deleted_volumes_;
    bool dirty_ = true;
    bool unsynced_ = false;
    bool broken_ = false;
    bool stopping_ = false;

    std::unique_ptr<HttpDoor> door_;
    std::thread keeper_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServerOptions options) {
    MR_TRY(KindTable kinds, KindTable::make(options.crds, options.rules));
    auto server = std::make_unique<ServerShell>(std::move(options), std::move(kinds));
    MR_TRY_VOID(server->start());
    return std::unique_ptr<Server>(std::move(server));
}

}  // namespace millrace::local
