#include <algorithm>
#include <limits>
#include <set>

#include "base/edit_distance.h"
#include "config/config.h"
#include "config/internal/cross_checks.h"
#include "config/internal/names.h"
#include "config/internal/properties.h"
#include "config/internal/text.h"
#include "config/value.h"

namespace millrace::config {

namespace {

struct Removed {
    std::string_view name;
    bool stops;
    std::string_view remedy;
};

constexpr Removed removed_options[] = {
#define MR_REMOVED(name, stops, remedy) {name, stops, remedy},
#include "config/removed_options.def"
#undef MR_REMOVED
};

bool matches(std::string_view pattern, std::string_view name) {
    return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1))
                                  : name == pattern;
}

const Removed* find_removed(std::string_view name) {
    const auto* found = std::find_if(std::begin(removed_options), std::end(removed_options),
                                     [&](const Removed& one) { return matches(one.name, name); });
    return found == std::end(removed_options) ? nullptr : found;
}

/// Whether a value must not be shown; of a name that no table has, by what the name sounds like.
bool is_secret(std::string_view name) {
    if (const Option* option = broker_option_behind(name)) {
        return option->sensitive();
    }
    constexpr std::string_view words[] = {"password", "passphrase", "secret",    "token",
                                          "jaas",     "key",        "credential"};
    const std::string text = lower(name);
    return std::any_of(std::begin(words), std::end(words),
                       [&](std::string_view word) { return text.find(word) != std::string::npos; });
}

std::string environment_name(std::string_view option_name) {
    std::string name = option_name.starts_with("millrace.") ? "" : "MILLRACE_";
    for (const char c : option_name) {
        const bool small = c >= 'a' && c <= 'z';
        const bool digit = c >= '0' && c <= '9';
        name += small ? static_cast<char>(c - 'a' + 'A') : digit ? c : '_';
    }
    return name;
}

/// MILLRACE_LISTENER_NAME_INTERNAL_SSL_KEY_PASSWORD is listener.name.internal.ssl.key.password:
/// the longest option that the name ends in, what is before it is the listener.
std::string key_of_listener_variable(std::string_view name) {
    constexpr std::string_view prefix = "MILLRACE_LISTENER_NAME_";
    if (!name.starts_with(prefix)) {
        return {};
    }
    name.remove_prefix(prefix.size());
    for (std::size_t cut = name.find('_'); cut != std::string_view::npos;
         cut = name.find('_', cut + 1)) {
        const Option* option =
            option_of_environment_name("MILLRACE_" + std::string{name.substr(cut + 1)});
        if (option != nullptr && cut > 0) {
            return fmt::format("listener.name.{}.{}", lower(name.substr(0, cut)), option->name);
        }
    }
    return {};
}

/// Empty for a variable that stands for no setting.
std::string key_of_environment_name(std::string_view name) {
    if (const Option* option = option_of_environment_name(name)) {
        return std::string{option->name};
    }
    return key_of_listener_variable(name);
}

/// Kubernetes tells every pod of the services around it: for one called millrace, or millrace-x,
/// with variables of our prefix.
bool is_of_a_service(std::string_view variable, std::string_view value) {
    if (variable.ends_with("_SERVICE_HOST") || variable.find("_SERVICE_PORT") != variable.npos) {
        return true;
    }
    const std::size_t port = variable.rfind("_PORT_");
    const bool has_number = port != variable.npos && port + 6 < variable.size() &&
                            variable[port + 6] >= '0' && variable[port + 6] <= '9';
    return has_number || (variable.ends_with("_PORT") && value.find("://") != value.npos);
}

/// Settings of Java plugins that are themselves accepted without effect.
bool is_plugin_setting(std::string_view name) {
    return name.starts_with("rsm.config.") || name.starts_with("rlmm.config.");
}

/// The broker's option behind a topic's name, for those who write it into the wrong file.
std::string_view broker_name_of_topic_option(std::string_view name) {
    const Option* topic = find_option(Scope::topic, name);
    if (topic == nullptr) {
        return {};
    }
    const std::string_view first = split_words(topic->synonyms).front();
    return first.substr(0, first.find('*'));
}

class Loader {
public:
    explicit Loader(const Source& source) {
        read_file(source);
        read_environment(source);
        read_command_line(source);
    }

    Loaded finish() {
        read_ignored();
        std::set<std::string_view> seen;
        for (const std::string& key : order_) {
            if (seen.insert(key).second) {
                check(key, given_.entries[key]);
            }
        }
        fill_node_id();
        fill_request_size();
        auto given = std::make_shared<const Given>(std::move(given_));
        check_conflicts(given);
        loaded_.given = std::move(given);
        return std::move(loaded_);
    }

private:
    void set(std::string key, std::string value, std::string where) {
        order_.push_back(key);
        given_.where[key] = std::move(where);
        given_.entries[std::move(key)] = std::move(value);
    }

    void read_file(const Source& source) {
        constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";  // some editors begin with it
        std::string_view text = source.text;
        text.remove_prefix(text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0);
        const ParsedProperties parsed = parse_properties(text);
        for (const PropertyProblem& problem : parsed.problems) {
            loaded_.errors.push_back(
                {"", "", fmt::format("{}:{}", source.file_name, problem.line), problem.what, ""});
        }
        for (const Property& property : parsed.properties) {
            const std::string where = fmt::format("{}:{}", source.file_name, property.line);
            if (const auto earlier = given_.where.find(property.key);
                earlier != given_.where.end()) {
                warn(property.key, property.value, where,
                     fmt::format("was given before at {}", earlier->second), "this one counts");
            }
            if (property.value.find(" #") != std::string::npos && !is_secret(property.key)) {
                warn(property.key, property.value, where,
                     "has a # in it, and all of it is the value",
                     "a comment begins a line of its own");
            }
            set(property.key, property.value, where);
        }
    }

    void read_environment(const Source& source) {
        constexpr std::string_view prefix = "MILLRACE_";
        for (const std::string& variable : source.environment) {
            const std::size_t equals = variable.find('=');
            const std::string_view name = std::string_view{variable}.substr(0, equals);
            if (equals == std::string::npos || !name.starts_with(prefix)) {
                continue;
            }
            const std::string key = key_of_environment_name(name);
            if (key.empty()) {
                mention_stray(name, variable.substr(equals + 1));
                continue;
            }
            set(key, variable.substr(equals + 1), fmt::format("environment {}", name));
        }
    }

    /// A variable that stands for no setting. The prefix is not ours alone, so it is no error but
    /// where it is a setting of older Kafka versions that stops a start.
    void mention_stray(std::string_view variable, const std::string& value) {
        if (is_of_a_service(variable, value)) {
            return;
        }
        constexpr std::size_t slips = 2;
        const std::string where = fmt::format("environment {}", variable);
        std::string meant = lower(variable.substr(std::string_view{"MILLRACE_"}.size()));
        std::replace(meant.begin(), meant.end(), '_', '.');
        if (const Removed* removed = find_removed(meant)) {
            tell_removed(*removed, meant, value, where);
            return;
        }
        for (const std::string& name : {meant, "millrace." + meant}) {
            if (const std::string_view near = nearest_name(Scope::broker, name);
                !near.empty() && edit_distance(near, name) <= slips) {
                warn(name, value, where, "stands for no setting and has no effect",
                     fmt::format("did you mean {}?", environment_name(near)));
                return;
            }
        }
        // What it holds is nobody's business here.
        loaded_.warnings.push_back({"", "", where, "stands for no setting and has no effect", ""});
    }

    void read_command_line(const Source& source) {
        for (const std::string& argument : source.command_line) {
            const std::size_t equals = argument.find('=');
            if (equals == std::string::npos) {
                loaded_.errors.push_back({argument, "", "command line", "has no value",
                                          fmt::format("write {}=VALUE", argument)});
                continue;
            }
            std::string key{trimmed(std::string_view{argument}.substr(0, equals))};
            if (key == "broker.rack" && equals + 1 == argument.size()) {
                continue;  // A label that the pod doesn't have: what the file says holds.
            }
            set(std::move(key), argument.substr(equals + 1), "command line");
        }
    }

    void read_ignored() {
        const auto found = given_.entries.find(
            options(Scope::broker)[broker_option::millrace_config_ignore.row].name);
        if (found != given_.entries.end()) {
            ignored_ = split_list(trimmed(found->second));
        }
    }

    void check(const std::string& key, const std::string& value) {
        if (key.empty()) {
            error(key, value, given_.where[key],
                  "there is no name before the =", "write NAME=VALUE, or delete it");
        } else if (value.find('\0') != std::string::npos) {
            error(key, value, given_.where[key], "holds a zero byte", "delete it");
        } else if (const Option* option = broker_option_behind(key)) {
            check_value(*option, key, value);
        } else if (std::any_of(ignored_.begin(), ignored_.end(),
                               [&](const std::string& pattern) { return matches(pattern, key); })) {
            return;
        } else if (is_plugin_setting(key)) {
            warn(key, value, given_.where[key], "has no effect: it is for a Java plugin", "");
        } else if (const Removed* removed = find_removed(key)) {
            tell_removed(*removed, key, value, given_.where[key]);
        } else {
            refuse_unknown(key, value);
        }
    }

    void check_value(const Option& option, const std::string& key, const std::string& value) {
        if (option.only_dynamic) {
            error(key, value, given_.where[key], "is only set while brokers run",
                  "use kafka-configs --entity-type brokers");
            return;
        }
        const auto parsed = parse_value(option, value);
        const std::string& where = given_.where[key];
        if (const std::string* what = std::get_if<std::string>(&parsed)) {
            error(key, value, where, *what, remedy_for(option));
            return;
        }
        const Value& read = std::get<Value>(parsed);
        if (option.support == Support::refused && !is_fallback(option, read)) {
            error(key, value, where, fmt::format("is not offered: {}", option.why),
                  "delete the line");
        } else if (option.support == Support::without_effect && !is_fallback(option, read)) {
            warn(key, value, where, fmt::format("has no effect: {}", option.why), "");
        }
        const auto* list = std::get_if<std::vector<std::string>>(&read);
        if (list != nullptr && list->size() < split_list(trimmed(value)).size()) {
            warn(key, value, where, "names something twice", "it counts once: " + join_list(*list));
        }
    }

    static bool is_fallback(const Option& option, const Value& value) {
        const std::optional<std::string> text = to_text(value);
        return text == (option.fallback == nullptr ? std::optional<std::string>{""}
                                                   : std::optional<std::string>{option.fallback});
    }

    static std::string remedy_for(const Option& option) {
        const std::string allowed = describe_rule(option.rule);
        std::string text = fmt::format("type {}", type_name(option.type));
        text += allowed.empty() ? "" : ", " + allowed;
        if (option.fallback != nullptr && option.fallback[0] != '\0') {
            text += fmt::format("; default {}", option.fallback);
        }
        return text;
    }

    void tell_removed(const Removed& removed, const std::string& key, const std::string& value,
                      std::string where) {
        auto& list = removed.stops ? loaded_.errors : loaded_.warnings;
        list.push_back(problem(key, value, std::move(where), "is a setting of older Kafka versions",
                               std::string{removed.remedy}));
    }

    void refuse_unknown(const std::string& key, const std::string& value) {
        std::string remedy;
        if (const std::string_view broker = broker_name_of_topic_option(key); !broker.empty()) {
            remedy = fmt::format("that is a topic's setting; for all topics it is {}", broker);
        } else if (find_option(Scope::topic, key) != nullptr) {
            remedy = "that is a topic's setting; set it with kafka-configs --entity-type topics";
        } else if (const std::string_view near = nearest_name(Scope::broker, key); !near.empty()) {
            remedy = fmt::format("did you mean {}?", near);
        } else {
            remedy = "delete the line, or name it in millrace.config.ignore";
        }
        error(key, value, given_.where[key], "is no known setting", std::move(remedy));
    }

    /// broker.id and node.id are one thing under two names.
    void fill_node_id() {
        const auto give = [&](const char* from, const char* to) {
            const auto found = given_.entries.find(from);
            if (found != given_.entries.end() && given_.entries.count(to) == 0) {
                set(to, found->second, given_.where[from]);
            }
        };
        give("broker.id", "node.id");
        give("node.id", "broker.id");
        const auto broker = given_.entries.find("broker.id");
        const auto node = given_.entries.find("node.id");
        if (node != given_.entries.end() && trimmed(broker->second) != trimmed(node->second)) {
            error("broker.id", broker->second, given_.where["broker.id"],
                  fmt::format("differs from node.id, which is {}", node->second),
                  "delete the line");
        }
    }

    /// Kafka lets a request be 100 MiB, so its users raise message.max.bytes alone. Here the limit
    /// of requests follows unless it was given too.
    void fill_request_size() {
        constexpr std::int64_t around_a_batch = 65536;
        const char* key = "socket.request.max.bytes";
        const auto batch = given_.entries.find("message.max.bytes");
        if (batch == given_.entries.end() || given_.entries.count(key) != 0) {
            return;
        }
        const std::optional<std::int64_t> largest = whole("message.max.bytes", batch->second);
        const std::optional<std::int64_t> usual = whole(key, broker_option_behind(key)->fallback);
        if (largest && *largest + around_a_batch > *usual) {
            constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
            set(key, fmt::format("{}", std::min(most, *largest + around_a_batch)),
                given_.where["message.max.bytes"]);
        }
    }

    /// Nothing for what is no value of that setting: it is told elsewhere.
    static std::optional<std::int64_t> whole(std::string_view key, const std::string& text) {
        const auto parsed = parse_value(*broker_option_behind(key), text);
        const Value* value = std::get_if<Value>(&parsed);
        const std::int64_t* number = value == nullptr ? nullptr : std::get_if<std::int64_t>(value);
        return number == nullptr ? std::nullopt : std::optional{*number};
    }

    /// Also where a setting is wrong by itself: what it has no part in is told at once.
    void check_conflicts(const std::shared_ptr<const Given>& given) {
        std::set<std::string, std::less<>> wrong;
        auto right = std::make_shared<Given>(*given);
        for (const Problem& problem : loaded_.errors) {
            wrong.insert(problem.key);
            right->entries.erase(problem.key);
        }
        const BrokerConfig config{right};
        for (const Conflict& conflict : broker_conflicts(config.broker())) {
            if (wrong.contains(conflict.key) ||
                std::any_of(conflict.also.begin(), conflict.also.end(),
                            [&](std::string_view key) { return wrong.contains(key); })) {
                continue;
            }
            const bool is_given = given->entries.contains(conflict.key);
            const Option* option = broker_option_behind(conflict.key);
            MR_ASSERT(option != nullptr);
            const auto value = is_given ? given->entries.find(conflict.key)->second
                                        : to_text(config.broker().at(row_of(*option))).value_or("");
            const bool is_warning = conflict.is_doubt || (conflict.is_mild && !is_given);
            auto& list = is_warning ? loaded_.warnings : loaded_.errors;
            list.push_back(problem(conflict.key, value,
                                   is_given ? given->where.find(conflict.key)->second : "default",
                                   conflict.what, ""));
        }
    }

    Problem problem(const std::string& key, const std::string& value, std::string where,
                    std::string what, std::string remedy) {
        return {key, is_secret(key) ? "[hidden]" : value, std::move(where), std::move(what),
                std::move(remedy)};
    }
    void error(const std::string& key, const std::string& value, std::string where,
               std::string what, std::string remedy) {
        loaded_.errors.push_back(
            problem(key, value, std::move(where), std::move(what), std::move(remedy)));
    }
    void warn(const std::string& key, const std::string& value, std::string where, std::string what,
              std::string remedy) {
        loaded_.warnings.push_back(
            problem(key, value, std::move(where), std::move(what), std::move(remedy)));
    }

    Given given_;
    std::vector<std::string> order_;  ///< Keys as they came, so that problems come in file order.
    std::vector<std::string> ignored_;
    Loaded loaded_;
};

}  // namespace

std::string Problem::to_string() const {
    std::string text = where;
    if (!key.empty() || !value.empty()) {
        text += fmt::format(": {}={}", readable(key), readable(value));
    }
    text += fmt::format(": {}", what);
    if (!remedy.empty()) {
        text += fmt::format(" ({})", remedy);
    }
    return text;
}

Loaded load(const Source& source) {
    return Loader{source}.finish();
}

const Option* option_of_environment_name(std::string_view name) {
    static const std::map<std::string, const Option*, std::less<>> names = [] {
        std::map<std::string, const Option*, std::less<>> built;
        for (const Option& option : options(Scope::broker)) {
            const bool is_new = built.emplace(environment_name(option.name), &option).second;
            MR_ASSERT(is_new);
        }
        return built;
    }();
    const auto found = names.find(name);
    return found == names.end() ? nullptr : found->second;
}

}  // namespace millrace::config
