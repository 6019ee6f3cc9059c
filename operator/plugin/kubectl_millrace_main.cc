// kubectl-millrace: found by kubectl as `kubectl millrace`.
#include <cstdlib>
#include <ctime>
#include <fmt/core.h>

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

std::filesystem::path default_kubeconfig() {
    if (const char* named = std::getenv("KUBECONFIG"); named != nullptr && *named != '\0') {
        return named;
    }
    const char* home = std::getenv("HOME");
    return std::filesystem::path(home == nullptr ? "" : home) / ".kube/config";
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

    /// The named one, or all; parsed.
    template <typename Object>
    Result<std::vector<Object>> objects(const kube::Kind& kind, const std::string& name,
                                        Result<Object> (*parse)(const kube::Json&)) {
        std::vector<kube::Json> found;
        if (name.empty()) {
            MR_TRY(kube::Listed listed, api_->list(kind, {.space = space_, .labels = {}}));
            found = std::move(listed.items);
        } else {
            MR_TRY(kube::Json one, api_->get(kind, {space_, name}));
            found.push_back(std::move(one));
        }
        std::vector<Object> objects;
        for (const kube::Json& json : found) {
            auto object = parse(json);
            if (!object) {
                return object.error().with_context(kube::key_of(json).to_string());
            }
            objects.push_back(*std::move(object));
        }
        return objects;
    }

    Result<void> set(const std::string& cluster, const kube::Json& spec) {
        MR_TRY(const kube::Json changed,
               api_->merge(clusters, {space_, cluster}, kube::Json::object({{"spec", spec}})));
        return {};
    }

private:
    std::shared_ptr<kube::Api> api_;
    std::string space_;
};

Result<void> show_status(Session& session, const Command& command) {
    MR_TRY(const auto found, session.objects(clusters, command.name, api::parse_cluster));
    MR_TRY(const auto all_topics, session.objects(topics, "", api::parse_topic));
    MR_TRY(const auto all_links, session.objects(mirror_links, "", api::parse_mirror_link));
    if (found.empty()) {
        fmt::print(
            "There is no Cluster here. A first one:\n\n  spec: {{replicas: 3, storage: "
            "{{size: 100Gi}}}}\n");
    }
    const char* between = "";
    for (const api::Cluster& cluster : found) {
        ClusterView view{cluster, {}, {}};
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

Result<void> plan(Session& session, const Command& command) {
    if (command.approve) {
        MR_TRY_VOID(session.set(
            command.name, kube::Json::object(
                              {{"balance", kube::Json::object({{"approve", *command.approve}})}})));
        fmt::print("approved: plan {} of {} runs if it is still the current one\n",
                   *command.approve, command.name);
        return {};
    }
    MR_TRY(const auto found, session.objects(clusters, command.name, api::parse_cluster));
    for (const api::Cluster& cluster : found) {
        fmt::print("{}", plan_screen(cluster));
    }
    return {};
}

Result<void> restart(Session& session, const Command& command) {
    const std::string token = utc_now();
    MR_TRY_VOID(session.set(
        command.name, kube::Json::object({{"rolling", kube::Json::object({{"restart", token}})}})));
    fmt::print(
        "asked for: every broker of {} once, one after the other; kubectl millrace status "
        "{} shows how far it is\n",
        command.name, command.name);
    return {};
}

Result<void> show_mirrors(Session& session, const Command& command) {
    MR_TRY(const auto found, session.objects(mirror_links, command.name, api::parse_mirror_link));
    if (found.empty()) {
        fmt::print("There is no MirrorLink here.\n");
    }
    const char* between = "";
    for (const api::MirrorLink& link : found) {
        fmt::print("{}{}", between, mirror_screen(link));
        between = "\n";
    }
    return {};
}

Result<void> run(const Command& command) {
    MR_TRY(kube::Credentials credentials,
           kube::from_kubeconfig(
               command.kubeconfig.empty() ? default_kubeconfig() : command.kubeconfig,
               command.context));
    const std::string own = credentials.space.empty() ? "default" : credentials.space;
    kube::ClientOptions options;
    options.field_manager = "kubectl-millrace";
    MR_TRY(auto api, kube::connect(std::move(credentials), std::move(options)));
    Session session(std::move(api), command.all_spaces ? "" : command.space.value_or(own));
    switch (command.verb) {
        case Verb::status:
            return show_status(session, command);
        case Verb::plan:
            return plan(session, command);
        case Verb::restart:
            return restart(session, command);
        case Verb::mirror:
            return show_mirrors(session, command);
        case Verb::help:
            fmt::print("{}", usage);
            return {};
        case Verb::version:
            fmt::print("kubectl-millrace {}\n", MILLRACE_VERSION);
            return {};
    }
    return {};
}

}  // namespace
}  // namespace millrace::plugin

int main(int argc, char** argv) {
    using namespace millrace::plugin;
    constexpr int exit_bad_usage = 2;
    const auto command = parse_command({argv + 1, argv + argc});
    if (!command) {
        fmt::print(stderr, "kubectl-millrace: {}\n\n{}", command.error().message(), usage);
        return exit_bad_usage;
    }
    if (const auto done = run(*command); !done) {
        fmt::print(stderr, "kubectl-millrace: {}\n", done.error().message());
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
