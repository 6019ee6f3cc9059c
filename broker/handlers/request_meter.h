// handlers/request_meter.h
//
// What a loop counts about the requests that come over its connections: one RequestMeter per loop,
// touched only there. A default one counts into nothing. Handles are resolved once for each API,
// version and topic; a request then costs plain adds.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "metrics/metrics.h"
#include "model/kafka_error.h"

namespace millrace::handlers {

struct TopicMeter {
    metrics::Counter produced_records;
    metrics::Counter produced_bytes;
    metrics::Counter fetched_bytes;
    metrics::Counter produce_requests;
    metrics::Counter fetch_requests;
    metrics::Counter rejected_bytes;
};

/// What a request was for when a part of it was refused.
enum class Refused : std::uint8_t { produce, fetch };

/// Which part of a request could not be read.
enum class Malformed : std::uint8_t { header, api, body };

class RequestMeter {
public:
    RequestMeter() = default;
    /// More topics than `topics_max` are counted under one name, `_other`.
    RequestMeter(metrics::Scope& scope, std::size_t topics_max);

    void received(std::int16_t api_key, std::int16_t version, std::size_t bytes);
    /// From the request's last byte to its answer being ready.
    void answered(std::int16_t api_key, Duration took, std::uint64_t bytes);
    /// Its client was told to wait.
    void throttled(std::int16_t api_key, Duration wait);
    void unsupported(std::int16_t api_key, std::int16_t version);
    void malformed(Malformed reason);
    /// Of a topic that exists. The reference counts until the next call.
    TopicMeter& topic(const std::string& name);
    /// The answer to a request of `api_key` tells an error.
    void failed(std::int16_t api_key, KafkaError error);
    /// One partition of a produce or fetch was refused; `topic` exists, or is empty.
    void refused(Refused what, const std::string& topic, KafkaError error);
    /// The request at hand is no client's.
    void exempt() { is_exempt_ = true; }
    bool take_exempt() { return std::exchange(is_exempt_, false); }
    metrics::Counter& replicated_out() { return replicated_out_; }

private:
    static constexpr std::size_t api_keys = 128;
    struct Api {
        std::vector<std::optional<metrics::Counter>> requests;  ///< By version.
        metrics::Counter request_bytes;
        metrics::Counter response_bytes;
        metrics::Histogram seconds;
        bool is_known = false;
    };
    Api* api(std::int16_t api_key);

    metrics::Scope* scope_ = nullptr;
    std::size_t topics_max_ = 0;
    bool is_exempt_ = false;
    std::vector<Api> apis_;
    std::unordered_map<std::string, TopicMeter> topics_;
    std::map<std::pair<std::int16_t, KafkaError>, metrics::Counter> failed_;
    std::map<std::tuple<Refused, KafkaError, std::string>, metrics::Counter> refused_;
    std::map<std::pair<std::int16_t, std::int16_t>, metrics::Counter> unsupported_;
    std::array<std::optional<metrics::Counter>, 3> malformed_;
    struct Throttled {
        metrics::Counter requests;
        metrics::Histogram seconds;
    };
    std::map<std::string_view, Throttled> throttled_;
    metrics::Counter replicated_out_;
};

}  // namespace millrace::handlers
