// metadata/internal/refusal.h
//
// Why a request, or one part of it, is not done: Kafka's code and a sentence for a person.
#pragma once

#include <fmt/core.h>
#include <optional>
#include <string>
#include <utility>

#include "metadata/controller_core.h"
#include "model/kafka_error.h"

namespace millrace::metadata {

struct Refusal {
    KafkaError code = KafkaError::unknown_server_error;
    std::string message;

    template <typename... Args>
    static Refusal make(KafkaError code, fmt::format_string<Args...> format, Args&&... args) {
        return {code, fmt::format(format, std::forward<Args>(args)...)};
    }
    /// With the sentence that Kafka's clients show for the code.
    static Refusal of(KafkaError code) { return {code, std::string(message_of(code))}; }
};

/// nullopt: nothing against it.
using MaybeRefusal = std::optional<Refusal>;

/// Puts an outcome into the two fields that most answers have.
template <typename Result>
void set_outcome(Result& result, const MaybeRefusal& refusal, Texts& texts) {
    result.error_code = code_of(refusal ? refusal->code : KafkaError::none);
    result.error_message = refusal ? std::optional(texts.keep(refusal->message)) : std::nullopt;
}

/// Kafka's words for an operation above max_records_per_operation.
inline Refusal too_many_records(const ControllerOptions& options) {
    return Refusal::make(KafkaError::policy_violation,
                         "the operation needs more than {} metadata records; split it",
                         options.max_records_per_operation);
}

}  // namespace millrace::metadata
