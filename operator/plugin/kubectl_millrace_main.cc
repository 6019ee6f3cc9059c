// kubectl-millrace: found by kubectl as `kubectl millrace`.
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fmt/core.h>
#include <sstream>
#include <vector>

#include "operator/api/kinds.h"
#include "operator/kube/client.h"
#include "operator/kube/credentials.h"
#include "operator/plugin/commands.h"
#include "operator/plugin/screens.h"

namespace millrace::plugin {
namespace {

constexpr kube::Kind clusters{api::group_version, "Cluster", "clusters"};
constexpr kube::Kind topics{api::group_version, "Topic", "topics"};
constexpr kube::Kind mirror_links{api::group_version, "MirrorLink", "mirrorlinks"};

constexpr std::string_view how_to_name_one =
    "export KUBECONFIG=FILE or say --kubeconfig FILE (of make run: build/run/kubeconfig)";

struct Found {
    std::filesystem::path file;
    kube::Credentials credentials;
};

/// Of the first of these files that is there.
Result<Found> first_of(const std::vector<std::filesystem::path>& files, const std::string& context,
                       const std::string& if_none) {
    for (const std::filesystem::path& file : files) {
        auto credentials = kube::from_kubeconfig(file, context);
        if (credentials) {
            return Found{file, *std::move(credentials)};
        }
        const Error& why = credentials.error();
        const bool is_missing =
            why.code() == Code::not_found && why.message().starts_with(file.string() + ":");
        if (!is_missing) {  // A file that it names may be missing too.
            return why;
        }
    }
    return Error(Code::not_found, if_none);
}

/// As kubectl finds them; $KUBECONFIG may be a list.
Result<Found> find_credentials(const Command& command) {
    if (!command.kubeconfig.empty()) {
        return first_of({command.kubeconfig}, command.context,
                        fmt::format("{}: there is no such file", command.kubeconfig.string()));
    }
    if (const char* named = std::getenv("KUBECONFIG"); named != nullptr && *named != '\0') {
        std::vector<std::filesystem::path> files;
        std::istringstream list(named);
        for (std::string path; std::getline(list, path, ':');) {
            files.emplace_back(path);
        }
        return first_of(files, command.context,
                        fmt::format("KUBECONFIG={}: there is no such file", named));
    }
    const char* home = std::getenv("HOME");
    if (home == nullptr || *home == '\0') {
        return Error::make(Code::not_found, "neither KUBECONFIG nor HOME is set: {}",
                           how_to_name_one);
    }
    const std::filesystem::path own = std::filesystem::path(home) / ".kube/config";
    return first_of(
        {own}, command.context,
        fmt::format("KUBECONFIG isn't set and there is no {}: {}", own.string(), how_to_name_one));
}

std::string utc_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[32];
    const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return {text, size};
}

class Session {
public:
    Session(std::shared_ptr<kube::Api> api, std::string space)
        : api_(std::move(api)), space_(std::move(space)) {}

    /// The named one, or all; parsed. What can't be is noted: one bad object hides no other.
    template <typename Object>
    Result<std::vector<Object>> objects(const kube::Kind& kind, const std::string& name,
                                        Result<Object> (*parse)(const kube::Json&)) {
        std::vector<kube::Json> found;
        if (name.empty()) {
            MR_TRY(kube::Listed listed, api_->list(kind, {.space = space_, .labels = {}}));
            found = std::move(listed.items);
        } else {
            auto one = api_->get(kind, {space_, name});
            if (!one) {
                return plain(one.error(), kind, name);
            }
            found.push_back(*std::move(one));
        }
        std::vector<Object> objects;
        for (const kube::Json& json : found) {
            auto object = parse(json);
            if (object) {
                objects.push_back(*std::move(object));
            } else {
                unreadable_.push_back(
                    {fmt::format("{} {}", kind.kind, kube::key_of(json).to_string()),
                     object.error().message()});
            }
        }
        return objects;
    }

    Result<void> set(const std::string& cluster, const kube::Json& spec) {
        const auto changed =
            api_->merge(clusters, {space_, cluster}, kube::Json::object({{"spec", spec}}));
        return changed ? Result<void>{} : plain(changed.error(), clusters, cluster);
    }

    const std::vector<Unreadable>& unreadable() const { return unreadable_; }
    const std::string& space() const { return space_; }

private:
    /// As a person says it who asked for this object.
    Error plain(const Error& why, const kube::Kind& kind, const std::string& name) const {
        return why.code() != Code::not_found
                   ? why
                   : Error::make(Code::not_found, "there is no {} {} in namespace {}", kind.kind,
                                 name, space_);
    }

    std::shared_ptr<kube::Api> api_;
    std::string space_;
    std::vector<Unreadable> unreadable_;
};

/// Nothing of this kind, and nothing that hides among what can't be read.
bool is_nothing(const Session& session, bool none_found) {
    return none_found && session.unreadable().empty();
}

Result<void> show_status(Session& session, const Command& command) {
    MR_TRY(const auto found, session.objects(clusters, command.name, api::parse_cluster));
    MR_TRY(const auto all_topics, session.objects(topics, "", api::parse_topic));
    MR_TRY(const auto all_links, session.objects(mirror_links, "", api::parse_mirror_link));
    if (is_nothing(session, found.empty())) {
        fmt::print("{}", first_steps(session.space()));
    }
    const char* between = "";
    for (const api::Cluster& cluster : found) {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        ClusterView view{
            cluster, {}, {}, {std::chrono::duration_cast<std::chrono::milliseconds>(now).count()}};
        for (const api::Topic& topic : all_topics) {
            if (topic.spec.cluster_ref.name == cluster.metadata.name &&
                topic.spec.cluster_ref.space.value_or(topic.metadata.space) ==
                    cluster.metadata.space) {
                view.topics.push_back(topic);
            }
        }
        for (const api::MirrorLink& link : all_links) {
            if (link.spec.cluster_ref.name == cluster.metadata.name &&
                link.metadata.space == cluster.metadata.space) {
                view.links.push_back(link);
            }
        }
        fmt::print("{}{}", between, status_screen(view));
        between = "\n";
    }
    return {};
}

Result<void> approve(Session& session, const Command& command) {
    MR_TRY(const auto found, session.objects(clusters, command.name, api::parse_cluster));
    if (found.empty()) {
        return Error::make(Code::invalid, "{}: nothing is approved", command.name);
    }
    MR_TRY(const Approval approval, approval_of(found.front(), *command.approve));
    if (!approval.hash.empty()) {
        MR_TRY_VOID(session.set(
            command.name,
            kube::Json::object({{"balance", kube::Json::object({{"approve", approval.hash}})}})));
    }
    fmt::print("{}", approval.text);
    return {};
}

Result<void> plan(Session& session, const Command& command) {
    if (command.approve) {
        return approve(session, command);
    }
    MR_TRY(const auto found, session.objects(clusters, command.name, api::parse_cluster));
    for (const api::Cluster& cluster : found) {
        fmt::print("{}", plan_screen(cluster));
    }
    if (is_nothing(session, found.empty())) {
        fmt::print("{}", first_steps(session.space()));
    }
    return {};
}

Result<void> restart(Session& session, const Command& command) {
    const std::string token = utc_now();
    MR_TRY_VOID(session.set(
        command.name, kube::Json::object({{"rolling", kube::Json::object({{"restart", token}})}})));
    fmt::print(
        "asked for: every broker of {0} once, one after the other; kubectl millrace status -n {1} "
        "{0} shows how far it is\n",
        command.name, session.space());
    return {};
}

Result<void> show_mirrors(Session& session, const Command& command) {
    MR_TRY(const auto found, session.objects(mirror_links, command.name, api::parse_mirror_link));
    if (is_nothing(session, found.empty())) {
        fmt::print("There is no MirrorLink{}.\n", session.space().empty()
                                                      ? " in any namespace"
                                                      : " in namespace " + session.space());
    }
    const char* between = "";
    for (const api::MirrorLink& link : found) {
        fmt::print("{}{}", between, mirror_screen(link));
        between = "\n";
    }
    return {};
}

Result<void> carry_out(Session& session, const Command& command) {
    switch (command.verb) {
        case Verb::status:
            return show_status(session, command);
        case Verb::plan:
            return plan(session, command);
        case Verb::restart:
            return restart(session, command);
        case Verb::mirror:
            return show_mirrors(session, command);
        default:
            return {};
    }
}

Result<void> run(const Command& command) {
    if (command.verb == Verb::help) {
        fmt::print("{}", usage);
        return {};
    }
    if (command.verb == Verb::version) {
        fmt::print("kubectl-millrace {}\n", MILLRACE_VERSION);
        return {};
    }
    MR_TRY(Found found, find_credentials(command));
    kube::Credentials& credentials = found.credentials;
    const std::string url = credentials.url;
    const std::string own = credentials.space.empty() ? "default" : credentials.space;
    kube::ClientOptions options;
    options.field_manager = "kubectl-millrace";
    MR_TRY(auto api, kube::connect(std::move(credentials), std::move(options)));
    Session session(std::move(api), command.all_spaces ? "" : command.space.value_or(own));
    const Result<void> done = carry_out(session, command);
    if (const std::string screen = unreadable_screen(session.unreadable()); !screen.empty()) {
        fmt::print("{}\n", "\n" + screen.substr(0, screen.size() - 1));
    }
    if (!done && done.error().code() == Code::unavailable) {
        return Error::make(Code::unavailable,
                           "{} of {} doesn't answer: is the cluster running (make run)? ({})", url,
                           found.file.string(), done.error().message());
    }
    return done;
}

}  // namespace
}  // namespace millrace::plugin

int main(int argc, char** argv) {
    using namespace millrace::plugin;
    constexpr int exit_bad_usage = 2;
    const auto command = parse_command({argv + 1, argv + argc});
    if (!command) {
        fmt::print(stderr, "kubectl-millrace: {} (--help shows what there is)\n",
                   command.error().message());
        return exit_bad_usage;
    }
    if (const auto done = run(*command); !done) {
        fmt::print(stderr, "kubectl-millrace: {}\n", done.error().message());
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
