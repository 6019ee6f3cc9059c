#include "operator/app/metrics.h"

#include <cpprest/http_listener.h>
#include <fmt/core.h>

namespace millrace::op {

namespace {

struct Row {
    MetricId id;
    const char* name;
    const char* kind;
    const char* help;
};

constexpr Row rows[] = {
#define MR_OPERATOR_METRIC(id, name, kind, help) {MetricId::id, name, #kind, help},
#include "operator/app/metrics.def"
#undef MR_OPERATOR_METRIC
};

std::string printed(const Metrics::Labels& labels) {
    std::string text;
    for (const auto& [name, value] : labels) {
        text += fmt::format("{}{}=\"", text.empty() ? "" : ",", name);
        for (const char c : value) {
            text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
        }
        text += '"';
    }
    return text.empty() ? "" : "{" + text + "}";
}

using Listener = web::http::experimental::listener::http_listener;

class CpprestDoor final : public HealthDoor {
public:
    CpprestDoor(const std::string& address, Shown shown)
        : shown_(std::move(shown)), listener_("http://" + address) {
        listener_.support(web::http::methods::GET, [this](const web::http::http_request& request) {
            request.reply(answer(request.relative_uri().path()));
        });
        listener_.open().wait();
    }
    ~CpprestDoor() override {
        try {
            listener_.close().wait();
        } catch (const std::exception&) {
            // It is going away in any case.
        }
    }

    void shut() override {
        const std::lock_guard lock(mutex_);
        shut_ = true;
    }

private:
    web::http::http_response answer(const std::string& path) {
        const std::lock_guard lock(mutex_);
        if (shut_) {
            return web::http::http_response(web::http::status_codes::ServiceUnavailable);
        }
        const auto verdict = [](bool fine) {
            return std::pair(
                fine ? web::http::status_codes::OK : web::http::status_codes::ServiceUnavailable,
                std::string(fine ? "ok\n" : "not yet\n"));
        };
        const auto [code, body] =
            path == "/metrics"   ? std::pair(web::http::status_codes::OK, shown_.metrics())
            : path == "/healthz" ? verdict(shown_.healthy())
            : path == "/readyz"  ? verdict(shown_.ready())
                                 : std::pair(web::http::status_codes::NotFound, std::string());
        web::http::http_response response(code);
        response.set_body(body, "text/plain; version=0.0.4; charset=utf-8");
        return response;
    }

    const Shown shown_;
    Listener listener_;
    std::mutex mutex_;
    bool shut_ = false;
};

}  // namespace

void Metrics::add(MetricId id, const Labels& labels, double value) {
    const std::lock_guard lock(mutex_);
    series_[id][printed(labels)] += value;
}

void Metrics::set(MetricId id, std::vector<std::pair<Labels, double>> series) {
    const std::lock_guard lock(mutex_);
    auto& all = series_[id];
    all.clear();
    for (const auto& [labels, value] : series) {
        all[printed(labels)] = value;
    }
}

void Metrics::wrote(const kube::Kind& kind, std::string_view verb, bool fine) {
    add(MetricId::api_writes,
        {{"kind", std::string(kind.kind)},
         {"verb", std::string(verb)},
         {"outcome", fine ? "ok" : "failed"}},
        1);
}

void Metrics::asked_brokers(std::string_view call, bool fine) {
    add(MetricId::broker_calls, {{"call", std::string(call)}, {"outcome", fine ? "ok" : "failed"}},
        1);
}

std::string Metrics::to_text() const {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const Row& row : rows) {
        const auto found = series_.find(row.id);
        if (found == series_.end()) {
            continue;
        }
        text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", row.name, row.help, row.name, row.kind);
        for (const auto& [labels, value] : found->second) {
            text += fmt::format("{}{} {}\n", row.name, labels, value);
        }
    }
    return text;
}

Result<std::unique_ptr<HealthDoor>> HealthDoor::open(const std::string& address, Shown shown) {
    try {
        return std::unique_ptr<HealthDoor>(
            std::make_unique<CpprestDoor>(address, std::move(shown)));
    } catch (const std::exception& failure) {
        return Error::make(Code::io, "--metrics-listener {}: {}", address, failure.what());
    }
}

}  // namespace millrace::op
