#include "operator/planner/world.h"

#include <charconv>
#include <fmt/core.h>

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

std::string last_line(const std::string& text) {
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

constexpr int exit_code_of_kill = 128 + 9;

std::string why_ended(const Json& terminated) {
    const std::string& reason = terminated["reason"].text();
    if (reason == "OOMKilled") {
        return "the broker is killed: it needs more memory than resources.limits has";
    }
    // Who is killed has no last words: the last line is about something else.
    if (terminated["exitCode"].integer() == exit_code_of_kill) {
        return fmt::format("the broker is killed (exit code {})", exit_code_of_kill);
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
    return message.empty() ? reason : fmt::format("{}: {}", reason, message);
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
    facts.going = object["metadata"].has("deletionTimestamp");
    const std::string& phase = object["status"]["phase"].text();
    facts.ended = phase == "Failed" || phase == "Succeeded";
    facts.ready = !facts.going && is_true(object, "Ready");
    if (!facts.ready) {
        facts.trouble = trouble_of(object);
    }
    return facts;
}

}  // namespace millrace::planner
