#include "operator/local/internal/log_stream.h"

#include <fmt/core.h>
#include <fstream>

#include "operator/local/internal/server.h"

namespace millrace::local {

namespace {

std::string read_from(const std::filesystem::path& path, std::uint64_t offset) {
    constexpr std::size_t at_once = 1 << 20;
    std::ifstream file(path, std::ios::binary);
    if (!file.seekg(static_cast<std::streamoff>(offset))) {
        return {};
    }
    std::string text(at_once, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

const Json* status_of(const Json& pod, const std::string& container) {
    for (const Json& status : pod["status"]["containerStatuses"].items()) {
        if (status["name"].text() == container) {
            return &status;
        }
    }
    return nullptr;
}

std::string container_of(const LogStart& request, const Json& pod) {
    return request.container.empty() ? pod["spec"]["containers"][0]["name"].text()
                                     : request.container;
}

}  // namespace

std::filesystem::path container_log(const std::filesystem::path& dir, const Json& pod,
                                    const std::string& container, std::int64_t start) {
    const Json& metadata = pod["metadata"];
    return dir / "logs" /
           fmt::format("{}_{}_{}", metadata["namespace"].text(), metadata["name"].text(),
                       metadata["uid"].text()) /
           fmt::format("{}.{}.log", container, start);
}

ApiResult<LogSource> find_log(const std::filesystem::path& dir, const LogStart& request,
                              const Json& pod) {
    if (request.timestamps) {
        return bad_request("local mode keeps no timestamps beside the lines of a log");
    }
    const std::string container = container_of(request, pod);
    bool known = false;
    for (const Json& candidate : pod["spec"]["containers"].items()) {
        known = known || candidate["name"].text() == container;
    }
    if (!known) {
        return bad_request(
            fmt::format("container {} is not valid for pod {}", container, request.pod));
    }
    const Json* status = status_of(pod, container);
    const Json& state = status ? (*status)["state"] : pod["none"];
    const bool ever_ran = status != nullptr && (state.has("running") || state.has("terminated") ||
                                                (*status)["lastState"].has("terminated"));
    if (!ever_ran) {
        return bad_request(fmt::format("container \"{}\" in pod \"{}\" is waiting to start: {}",
                                       container, request.pod,
                                       state["waiting"]["reason"].text_or("ContainerCreating")));
    }
    // One that waits to be restarted has only its last run to show, whichever is asked for.
    const bool earlier = request.previous && state.has("running");
    const std::int64_t start = (*status)["restartCount"].integer() - (earlier ? 1 : 0);
    if (start < 0) {
        return bad_request(
            fmt::format("previous terminated container \"{}\" in pod \"{}\" not found", container,
                        request.pod));
    }
    return LogSource{container_log(dir, pod, container, start), container};
}

std::string read_log(const std::filesystem::path& path, const LogStart& request,
                     std::uint64_t& read_to) {
    std::string text;
    read_to = 0;
    while (true) {
        const std::string more = read_from(path, read_to);
        if (more.empty()) {
            break;
        }
        read_to += more.size();
        text += more;
        constexpr std::size_t most = 32 << 20;  // The rest of a larger log is in its file.
        if (text.size() > most) {
            text.erase(0, text.size() - most / 2);
        }
    }
    if (request.tail_lines >= 0) {
        std::size_t from = text.size();
        std::int64_t lines = request.tail_lines + (text.ends_with('\n') ? 1 : 0);
        while (lines > 0 && from > 0) {
            from = text.rfind('\n', from - 1);
            if (from == std::string::npos) {
                from = 0;
                break;
            }
            --lines;
            if (lines == 0) {
                ++from;
            }
        }
        text.erase(0, from);
    }
    if (request.limit_bytes >= 0 && text.size() > static_cast<std::size_t>(request.limit_bytes)) {
        text.resize(static_cast<std::size_t>(request.limit_bytes));
    }
    return text;
}

void follow(Follower& follower) {
    const std::string more = read_from(follower.source.path, follower.offset);
    follower.offset += more.size();
    if (!more.empty()) {
        follower.stream->write(more);
    }
}

}  // namespace millrace::local
