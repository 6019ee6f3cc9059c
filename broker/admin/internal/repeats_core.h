// admin/internal/repeats_core.h
//
// Calls with an idempotency key: the second with the same key gets the first one's answer. Kept for
// ten minutes, and for as many keys as fit. The caller makes keys of different callers differ.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/time.h"

namespace millrace::admin {

class RepeatsCore {
public:
    struct Answer {
        int status = 0;
        std::string message;
        std::string body;
    };
    enum class Verdict {
        first,      ///< Go on, and finish() or forget() later.
        repeated,   ///< `answer` is what was said.
        under_way,  ///< The first one is not done yet.
        different,  ///< The key stands for another request.
        full,       ///< Every key that fits is under way.
    };
    struct Decision {
        Verdict verdict;
        const Answer* answer = nullptr;
    };

    explicit RepeatsCore(std::size_t most_keys = 1024, Duration keep = 10min)
        : most_keys_(most_keys), keep_(keep) {}

    Decision begin(const std::string& key, const std::string& request, Instant now);
    void finish(const std::string& key, Answer answer, Instant now);
    /// It had no effect: the key may be used again.
    void forget(const std::string& key);

private:
    struct Entry {
        std::size_t request_hash;
        std::size_t request_size;
        std::optional<Answer> answer;
    };
    void drop_old(Instant now);
    void drop_oldest();

    std::size_t most_keys_;
    Duration keep_;
    std::map<std::string, Entry> entries_;
    std::deque<std::pair<Instant, std::string>> finished_;  ///< In the order they ended.
};

}  // namespace millrace::admin
