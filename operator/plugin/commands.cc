#include "operator/plugin/commands.h"

#include <map>

namespace millrace::plugin {

const char* const usage =
    "kubectl millrace status [CLUSTER]          brokers, racks, restarts, moves, mirrors\n"
    "kubectl millrace plan [CLUSTER]            what moves or would move, and why\n"
    "kubectl millrace plan CLUSTER --approve [HASH]   start the plan that is shown, if it is this\n"
    "kubectl millrace restart CLUSTER           every broker once, one after the other\n"
    "kubectl millrace mirror [LINK]             lag by topic, what a failover now would lose\n"
    "\n"
    "  -n, --namespace NAME   -A, --all-namespaces   --context NAME   --kubeconfig FILE\n"
    "  --version, --help\n";

namespace {

const std::map<std::string, Verb, std::less<>> verbs{
    {"status", Verb::status},    {"plan", Verb::plan}, {"restart", Verb::restart},
    {"mirror", Verb::mirror},    {"help", Verb::help}, {"version", Verb::version},
    {"--version", Verb::version}};

constexpr std::string_view approve_option = "--approve";

Result<void> take_option(Command& command, const std::string& name, const std::string& value) {
    if (name == "-n" || name == "--namespace") {
        command.space = value;
    } else if (name == "--context") {
        command.context = value;
    } else if (name == "--kubeconfig") {
        command.kubeconfig = value;
    } else if (name == approve_option) {
        command.approve = value;
    } else {
        return Error::make(Code::invalid, "{}: unknown option", name);
    }
    return {};
}

Result<void> check(const Command& command) {
    if (command.verb == Verb::restart && command.name.empty()) {
        return Error(Code::invalid, "restart needs the name of a Cluster");
    }
    if (command.approve && (command.verb != Verb::plan || command.name.empty())) {
        return Error(Code::invalid,
                     "--approve belongs to plan with the name of a Cluster: kubectl millrace plan "
                     "CLUSTER --approve [HASH]");
    }
    if (command.all_spaces && (command.space || !command.name.empty())) {
        return Error(Code::invalid, "--all-namespaces goes with neither --namespace nor a name");
    }
    return {};
}

}  // namespace

Result<Command> parse_command(const std::vector<std::string>& arguments) {
    Command command;
    bool has_verb = false;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word == "-h" || word == "--help") {
            command = {};  // Whatever stands beside it.
            return command;
        }
        if (word == "-A" || word == "--all-namespaces") {
            command.all_spaces = true;
        } else if (const auto verb = verbs.find(word); !has_verb && verb != verbs.end()) {
            command.verb = verb->second;
            has_verb = true;
        } else if (word.starts_with("--") && word.find('=') != std::string::npos) {
            const std::size_t equals = word.find('=');
            MR_TRY_VOID(take_option(command, word.substr(0, equals), word.substr(equals + 1)));
        } else if (word == approve_option &&
                   (i + 1 == arguments.size() || arguments[i + 1].starts_with("-"))) {
            command.approve = "";
        } else if (word.starts_with("-")) {
            if (i + 1 == arguments.size()) {
                return Error::make(Code::invalid, "{}: unknown, or its value is missing", word);
            }
            MR_TRY_VOID(take_option(command, word, arguments[++i]));
        } else if (!has_verb) {
            return Error::make(Code::invalid, "{}: unknown; say status, plan, restart or mirror",
                               word);
        } else if (command.name.empty()) {
            command.name = word;
        } else {
            return Error::make(Code::invalid, "{}: one name is enough", word);
        }
    }
    MR_TRY_VOID(check(command));
    return command;
}

}  // namespace millrace::plugin
