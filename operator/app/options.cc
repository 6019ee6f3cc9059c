#include "operator/app/options.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace millrace::op {

const char* const usage =
    "millrace-operator [--kubeconfig FILE] [--context NAME] [--namespace NAME... | "
    "--all-namespaces]\n"
    "millrace-operator --local DIR [--manifest FILE]...\n"
    "\n"
    "  --local DIR          run without Kubernetes: a small API server and the brokers as\n"
    "                       processes on this machine, everything kept below DIR\n"
    "  --manifest FILE      in local mode: begin with it; what is stored already stays (may be "
    "repeated)\n"
    "  --broker PROGRAM     in local mode: the broker (millrace-broker beside this program)\n"
    "  --log-file FILE      write the log there, and what a person is to know to the terminal\n"
    "  --port N             in local mode: the API server's port (that of the last run)\n"
    "  --kubeconfig FILE    how to reach Kubernetes ($KUBECONFIG; inside a pod: nothing needed)\n"
    "  --context NAME       which of its contexts\n"
    "  --namespace NAME     the namespace to look after (the context's or the pod's own; may be\n"
    "                       repeated: the role must allow it in each)\n"
    "  --all-namespaces     look after all of them\n"
    "  --nodes              nodes may be read: racks and node addresses come from them\n"
    "  --image IMAGE        the brokers' image; {version} becomes the cluster's version\n"
    "  --pull-secret NAME   a Secret that the brokers' image is pulled with, in each Cluster's\n"
    "                       namespace (repeated: several)\n"
    "  --platform-ids       brokers' pods name no user and group: the platform gives them\n"
    "                       (OpenShift)\n"
    "  --cluster-domain D   Kubernetes' DNS domain (cluster.local)\n"
    "  --identity NAME      who we are in the election (the host's name)\n"
    "  --metrics-listener A serve /metrics, /healthz and /readyz at host:port\n"
    "  --once --dry-run     print what would be done, change nothing, end\n"
    "  --log-level LEVEL    debug, info, warn or error (info)\n"
    "  --version, --help\n";

namespace {

Result<std::uint16_t> parse_port(const std::string& text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return Error::make(Code::invalid, "--port: '{}' is no port", text);
    }
    return port;
}

}  // namespace

Result<CommandLine> parse_command_line(int argc, char** argv) {
    CommandLine line;
    const std::map<std::string, bool*> flags = {{"--once", &line.once},
                                                {"--dry-run", &line.dry_run},
                                                {"--help", &line.help},
                                                {"--version", &line.version},
                                                {"--nodes", &line.reads_nodes},
                                                {"--all-namespaces", &line.all_spaces},
                                                {"--platform-ids", &line.platform_ids}};
    const std::map<std::string, std::string*> texts = {
        {"--context", &line.context},
        {"--image", &line.image},
        {"--cluster-domain", &line.cluster_domain},
        {"--log-level", &line.log_level},
        {"--identity", &line.identity},
        {"--metrics-listener", &line.metrics_listener}};
    const std::map<std::string, std::filesystem::path*> paths = {{"--local", &line.local},
                                                                 {"--broker", &line.broker},
                                                                 {"--kubeconfig", &line.kubeconfig},
                                                                 {"--log-file", &line.log_file}};
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (const auto flag = flags.find(name); flag != flags.end()) {
            *flag->second = true;
            continue;
        }
        if (i + 1 >= argc) {
            return Error::make(Code::invalid, "{}: unknown, or its value is missing", name);
        }
        const std::string value = argv[++i];
        if (const auto text = texts.find(name); text != texts.end()) {
            *text->second = value;
        } else if (const auto path = paths.find(name); path != paths.end()) {
            *path->second = value;
        } else if (name == "--pull-secret") {
            if (value.empty()) {
                return Error(Code::invalid, "--pull-secret: a Secret's name is missing");
            }
            line.pull_secrets.push_back(value);
        } else if (name == "--manifest") {
            line.manifests.emplace_back(value);
        } else if (name == "--namespace") {
            if (value.empty()) {
                return Error(Code::invalid, "--namespace: a name is missing");
            }
            if (std::find(line.spaces.begin(), line.spaces.end(), value) == line.spaces.end()) {
                line.spaces.push_back(value);
            }
        } else if (name == "--port") {
            MR_TRY(line.port, parse_port(value));
        } else {
            return Error::make(Code::invalid, "{}: unknown", name);
        }
    }
    if (line.all_spaces && !line.spaces.empty()) {
        return Error(Code::invalid, "--namespace and --all-namespaces exclude each other");
    }
    if (line.dry_run != line.once) {
        return Error(Code::invalid, "--once and --dry-run go together");
    }
    if (line.local.empty() && (!line.manifests.empty() || !line.broker.empty())) {
        return Error(Code::invalid, "--manifest and --broker belong to --local");
    }
    return line;
}

}  // namespace millrace::op
