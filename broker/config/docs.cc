#include "config/docs.h"

#include <algorithm>
#include <vector>

#include "config/options.h"
#include "config/value.h"

namespace millrace::config {

namespace {

constexpr std::string_view intro = R"(# Configuration

Printed by `config_docs` from the tables in `broker/config`; a test holds this page against them.

A broker takes Kafka's own `server.properties` (Java's format: `key=value`, `key: value` or `key value`, `#` and `!` comments, `\` at a
line's end to go on), then the environment, then `--set key=value`; the later counts. A setting's environment name is `MILLRACE_` and the
name in capitals with `_` for `.`: `MILLRACE_LOG_SEGMENT_BYTES`; those that begin with `millrace.` take it once: `MILLRACE_DURABILITY`.
`listener.name.internal.ssl.key.password` is `MILLRACE_LISTENER_NAME_INTERNAL_SSL_KEY_PASSWORD`. A variable that stands for no setting is
mentioned, unless it is one of those that Kubernetes makes of its services.

Names that nobody knows, wrong values and settings that contradict each other stop the start: all of them are told at once, each with its
place and what to write instead. Keys of other products in the same file can be passed over with `millrace.config.ignore`.

While brokers run, settings are changed with Kafka's tools (`kafka-configs`) or the admin endpoint. For a topic counts: its own setting, then
this broker's dynamic one, the dynamic default of all brokers, what the broker was started with, the default.

*Status*: **honoured** does what it says; **no effect** is accepted and
reported, and the reason given; **refused** takes no value but the default, and the reason given. *Change*: **restart**, **broker** (each
broker by itself, while it runs) or **cluster** (also for all brokers at once, while they run).
)";

std::string cell(std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
        text.insert(at, "\\");
    }
    return text;
}

std::string_view status_text(Support support) {
    switch (support) {
        case Support::honoured:
            return "honoured";
        case Support::without_effect:
            return "no effect";
        case Support::refused:
            return "refused";
    }
    return "";
}

std::string_view change_text(Update update) {
    switch (update) {
        case Update::read_only:
            return "restart";
        case Update::per_broker:
            return "broker";
        case Update::cluster_wide:
            return "cluster";
    }
    return "";
}

std::string fallback_text(const Option& option) {
    if (option.fallback == nullptr) {
        return "";
    }
    return option.fallback[0] == '\0' ? "empty" : fmt::format("`{}`", option.fallback);
}

std::string meaning(const Option& option) {
    std::string text{option.doc};
    if (!option.why.empty()) {
        text += fmt::format(
            " *{}: {}.*", option.support == Support::refused ? "Refused" : "No effect", option.why);
    }
    if (!option.deviates.empty()) {
        text += fmt::format(" *Not Kafka's default: {}.*", option.deviates);
    }
    return text;
}

std::vector<const Option*> sorted(Scope scope, bool ours) {
    std::vector<const Option*> rows;
    for (const Option& option : options(scope)) {
        if (option.ours == ours && !option.internal) {
            rows.push_back(&option);
        }
    }
    std::sort(rows.begin(), rows.end(),
              [](const Option* a, const Option* b) { return a->name < b->name; });
    return rows;
}

void add_section(std::string& page, std::string_view title, Scope scope, bool ours) {
    const bool of_broker = scope == Scope::broker;
    page += fmt::format("\n## {}\n\n", title);
    page += of_broker ? "| name | type | default | allowed | change | status | meaning |\n"
                        "| --- | --- | --- | --- | --- | --- | --- |\n"
                      : "| name | type | default | allowed | status | meaning |\n"
                        "| --- | --- | --- | --- | --- | --- |\n";
    for (const Option* option : sorted(scope, ours)) {
        page += fmt::format("| `{}` | {} | {} | {} |", option->name, type_name(option->type),
                            cell(fallback_text(*option)), cell(describe_rule(option->rule)));
        if (of_broker) {
            page += fmt::format(" {} |", change_text(option->update));
        }
        page += fmt::format(" {} | {} |\n", status_text(option->support), cell(meaning(*option)));
    }
}

}  // namespace

std::string configuration_page() {
    std::string page{intro};
    add_section(page, "Broker: Millrace's own", Scope::broker, true);
    add_section(page, "Broker: Kafka's", Scope::broker, false);
    add_section(page, "Topic: Millrace's own", Scope::topic, true);
    add_section(page, "Topic: Kafka's", Scope::topic, false);
    add_section(page, "Group", Scope::group, false);
    add_section(page, "Client metrics", Scope::client_metrics, false);
    page +=
        "\n## Settings of older Kafka versions\n\n| name | stops a start | instead |\n"
        "| --- | --- | --- |\n";
#define MR_REMOVED(name, stops, remedy) \
    page += fmt::format("| `{}` | {} | {} |\n", name, (stops) ? "yes" : "no, a warning", remedy);
#include "config/removed_options.def"
#undef MR_REMOVED
    return page;
}

}  // namespace millrace::config
