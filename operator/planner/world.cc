#include "operator/planner/world.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <fmt/core.h>

#include "operator/kube/time_text.h"
#include "operator/render/names.h"

namespace millrace::planner {

namespace {

bool is_true(const Json& object, std::string_view condition) {
    for (const Json& one : object["status"]["conditions"].items()) {
        if (one["type"].text() == condition) {
            return one["status"].text() == "True";
        }
    }
    return false;
}

/// What it said at its end. Its supervisor may have had a word after it.
std::string last_line(const std::string& all) {
    const std::size_t own = all.rfind("\nmillrace-broker: ");
    const std::string text = own != std::string::npos ? all.substr(0, all.find('\n', own + 1))
                             : all.starts_with("millrace-broker: ") ? all.substr(0, all.find('\n'))
                                                                    : all;
    const std::size_t end = text.find_last_not_of("\n\r ");
    if (end == std::string::npos) {
        return "";
    }
    const std::size_t begin = text.find_last_of('\n', end);
    return text.substr(begin == std::string::npos ? 0 : begin + 1,
                       end - (begin == std::string::npos ? std::string::npos : begin));
}

/// The same words whichever step of trying again it is in: a status that ticks tells nothing.
std::string why_no_image(const Json& status) {
    std::string why = status["state"]["waiting"]["message"].text();
    for (const std::string_view preamble : {"ErrImagePull: ", " desc = "}) {
        if (const std::size_t at = why.find(preamble); at != std::string::npos) {
            why.erase(0, at + preamble.size());
        }
    }
    return fmt::format("image {} can't be pulled: {}", status["image"].text(), why);
}

constexpr int exit_code_of_signal = 128;  ///< And the signal's number.
constexpr int exit_code_of_kill = exit_code_of_signal + SIGKILL;
constexpr std::string_view lacks_memory =
    "the broker is killed: it needs more memory than resources.limits has";

/// As container runtimes say it of what doesn't live long enough to be started.
bool is_about_memory(const std::string& text) {
    return text.find("OOM-killed") != std::string::npos ||
           text.find("memory limit too low") != std::string::npos;
}

/// What a person can do about it, where the reason alone doesn't say.
std::string with_remedy(std::string why) {
    const bool is_missing =
        why.ends_with("not found") && (why.find("configmap \"") != std::string::npos ||
                                       why.find("secret \"") != std::string::npos);
    return is_missing ? why + "; create it, or name another one in spec.template" : why;
}

std::string why_ended(const Json& terminated) {
    const std::string& reason = terminated["reason"].text();
    const bool never_ran = reason == "StartError" || reason == "ContainerCannotRun";
    if (reason == "OOMKilled" || (never_ran && is_about_memory(terminated["message"].text()))) {
        return std::string(lacks_memory);
    }
    // Who is killed has no last words: the last line is about something else.
    if (terminated["exitCode"].integer() == exit_code_of_kill) {
        return fmt::format("the broker was killed from outside (SIGKILL, exit code {})",
                           exit_code_of_kill);
    }
    const std::string said = last_line(terminated["message"].text());
    return fmt::format("the broker ends with exit code {}: {}", terminated["exitCode"].integer(),
                       said.empty() ? reason : said);
}

std::string why_waiting(const Json& status) {
    const Json& waiting = status["state"]["waiting"];
    const std::string& reason = waiting["reason"].text();
    const std::string& message = waiting["message"].text();
    if (reason.empty() || reason == "PodInitializing") {
        return "";
    }
    if (reason == "ErrImagePull" || reason == "ImagePullBackOff") {
        return why_no_image(status);
    }
    // What it said at its end tells more than that it is started again.
    const Json& ended = status["lastState"]["terminated"];
    if (reason == "CrashLoopBackOff" && ended.is_object()) {
        return why_ended(ended);
    }
    if (reason == "ContainerCreating" && message.empty()) {
        return "";
    }
    if (is_about_memory(message)) {
        return std::string(lacks_memory);
    }
    return message.empty() ? reason : with_remedy(fmt::format("{}: {}", reason, message));
}

constexpr int starts_of_a_loop = 2;

std::string trouble_of(const Json& pod) {
    for (const Json& condition : pod["status"]["conditions"].items()) {
        if (condition["type"].text() == "PodScheduled" && condition["status"].text() == "False") {
            return fmt::format("can't be scheduled: {}", condition["message"].text());
        }
    }
    for (const Json& status : pod["status"]["containerStatuses"].items()) {
        if (std::string why = why_waiting(status); !why.empty()) {
            return why;
        }
        const Json& ended = status["state"]["terminated"];
        if (ended.is_object() && ended["exitCode"].integer() != 0) {
            return why_ended(ended);
        }
        const Json& before = status["lastState"]["terminated"];
        if (before["exitCode"].integer() != 0 &&
            status["restartCount"].integer() >= starts_of_a_loop) {
            return why_ended(before);  // It runs, for a moment.
        }
    }
    return "";
}

void note_containers(const Json& pod, PodFacts& facts) {
    facts.stopped = facts.ended || pod["status"]["phase"].text() == "Pending";
    for (const Json& status : pod["status"]["containerStatuses"].items()) {
        const bool runs = status["state"].has("running");
        const Json& before = status["lastState"]["terminated"];
        facts.stopped |= !runs;
        facts.crashed |= !runs && (status["state"]["terminated"].is_object() || before.is_object());
        facts.started |= runs && status["started"].boolean();
        if (runs && !status["started"].boolean() && before.is_object() &&
            before["exitCode"].integer() != 0) {
            facts.last_end = why_ended(before);
        }
    }
}

/// Neither runs one nor did: its node prepares it.
bool has_no_container(const Json& pod) {
    const Json::Array& statuses = pod["status"]["containerStatuses"].items();
    return std::all_of(statuses.begin(), statuses.end(), [](const Json& status) {
        const std::string& reason = status["state"]["waiting"]["reason"].text();
        return reason == "ContainerCreating" || reason == "PodInitializing";
    });
}

/// Each try has ids of its own, and what ticks tells nothing.
std::string without_ids(const std::string& text) {
    constexpr std::size_t shortest_id = 12;
    const auto is_hex = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-';
    };
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = static_cast<std::size_t>(
            std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), is_hex) -
            text.begin());
        if (end == at) {
            out += text[at++] == '\n' ? ' ' : text[at - 1];
            continue;
        }
        const std::string run = text.substr(at, end - at);
        const bool has_digit = run.find_first_of("0123456789") != std::string::npos;
        out += run.size() >= shortest_id && has_digit ? "..." : run;
        at = end;
    }
    return out;
}

/// "requested: limits.memory=2Gi,pods=1, used: ..." of an API server's refusal.
std::map<std::string, api::Quantity> amounts_behind(std::string_view word,
                                                    const std::string& refusal) {
    std::map<std::string, api::Quantity> amounts;
    std::size_t at = refusal.find(word);
    if (at == std::string::npos) {
        return amounts;
    }
    at += word.size();
    const std::string list = refusal.substr(at, refusal.find(", ", at) - at);
    for (std::size_t begin = 0; begin < list.size();) {
        const std::size_t end = std::min(list.find(',', begin), list.size());
        const std::string one = list.substr(begin, end - begin);
        const std::size_t equals = one.find('=');
        const auto amount = equals == std::string::npos
                                ? std::nullopt
                                : api::Quantity::parse(one.substr(equals + 1));
        if (amount) {
            amounts[one.substr(0, equals)] = *amount;
        }
        begin = end + 1;
    }
    return amounts;
}

/// Of a pod in what a quota counts, in thousandths; none: nobody knows.
std::optional<std::int64_t> share_of(const Json& pod, std::string_view resource) {
    const std::string& phase = pod["status"]["phase"].text();
    if (phase == "Failed" || phase == "Succeeded") {
        return 0;  // Quotas don't count it any more.
    }
    if (resource == "pods" || resource == "count/pods") {
        return 1000;
    }
    const bool is_limit = resource.starts_with("limits.");
    const std::size_t dot = resource.find('.');
    const bool is_request = resource.starts_with("requests.");
    const std::string name(is_limit || is_request ? resource.substr(dot + 1) : resource);
    std::int64_t share = 0;
    for (const Json& container : pod["spec"]["containers"].items()) {
        const Json& found = container["resources"][is_limit ? "limits" : "requests"][name];
        if (found.is_null()) {
            continue;
        }
        const auto amount = api::Quantity::parse(found.is_string() ? found.text() : found.dump());
        if (!amount) {
            return std::nullopt;
        }
        share += amount->milli_value();
    }
    return share;
}

}  // namespace

std::optional<int> broker_of(const Json& object) {
    const std::string& text = object["metadata"]["labels"][render::label::broker].text();
    int id = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc{} || end != text.data() + text.size() || id < 0) {
        return std::nullopt;
    }
    return id;
}

PodFacts facts_of(const ObjectPtr& pod, const std::string& topology_key) {
    const Json& object = *pod;
    PodFacts facts;
    facts.object = pod;
    facts.id = broker_of(object).value_or(-1);
    facts.name = object["metadata"]["name"].text();
    facts.uid = object["metadata"]["uid"].text();
    facts.ip = object["status"]["podIP"].text();
    facts.node = object["spec"]["nodeName"].text();
    facts.zone = object["metadata"]["labels"][topology_key].text();
    facts.revision = object["metadata"]["annotations"][render::annotation::revision].text();
    if (object["metadata"]["annotations"].has(render::annotation::restart)) {
        facts.restart = object["metadata"]["annotations"][render::annotation::restart].text();
    }
    facts.going = object["metadata"].has("deletionTimestamp");
    const std::string& phase = object["status"]["phase"].text();
    facts.ended = phase == "Failed" || phase == "Succeeded";
    facts.ready = !facts.going && is_true(object, "Ready");
    note_containers(object, facts);
    facts.created =
        kube::parse_time(object["metadata"]["creationTimestamp"].text()).value_or(Timestamp{});
    if (!facts.ready && !facts.going) {  // How one ends that was deleted is nobody's trouble.
        facts.trouble = trouble_of(object);
        facts.is_being_made = !facts.ended && !facts.node.empty() && facts.trouble.empty() &&
                              has_no_container(object);
    }
    return facts;
}

std::string why_not_made(const std::vector<Json>& events, Timestamp now,
                         const std::vector<std::string>& ours) {
    constexpr Duration told_again = 3min;  // A kubelet tries again every two minutes at least.
    std::string why;
    for (const Json& event : events) {
        const std::string& message = event["message"].text();
        const std::string& last =
            event["series"]["lastObservedTime"].text_or(event["lastTimestamp"].text_or(
                event["eventTime"].text_or(event["metadata"]["creationTimestamp"].text())));
        const auto at = kube::parse_time(last.substr(0, last.find('.')) +
                                         (last.find('.') == std::string::npos ? "" : "Z"));
        const bool is_ours = std::any_of(ours.begin(), ours.end(), [&](const std::string& name) {
            return message.find(name) != std::string::npos;
        });
        // The scheduler's were about the time before the pod had a node.
        if (event["type"].text() != "Warning" || event["reason"].text() == "FailedScheduling" ||
            is_ours || !at || now - *at > told_again) {
            continue;
        }
        std::string one =
            is_about_memory(message)
                ? std::string(lacks_memory)
                : with_remedy(fmt::format("{}: {}", event["reason"].text(), without_ids(message)));
        // Several take turns: the same one is told each time.
        if (why.empty() || one < why) {
            why = std::move(one);
        }
    }
    return why;
}

std::string quota_refusal(const std::string& refusal, const Json& old_pod) {
    const auto requested = amounts_behind("requested: ", refusal);
    const auto used = amounts_behind("used: ", refusal);
    for (const auto& [resource, limit] : amounts_behind("limited: ", refusal)) {
        const auto wants = requested.find(resource);
        const auto has = used.find(resource);
        const auto share = share_of(old_pod, resource);
        if (wants == requested.end() || has == used.end() || !share) {
            continue;
        }
        const std::int64_t left = limit.milli_value() - (has->second.milli_value() - *share);
        if (wants->second.milli_value() > left) {
            return fmt::format(
                "{}; even without the old pod's share that is too much: raise the quota, or ask "
                "for less {} in spec.resources",
                refusal, resource);
        }
    }
    return "";
}

}  // namespace millrace::planner
