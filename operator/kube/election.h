// operator/kube/election.h
//
// One operator leads: a Lease object that its holder renews. How long a lease has stood still is
// measured with our own clock from when we saw it change, so clocks that disagree do no harm.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/time.h"
#include "operator/kube/api.h"

namespace millrace::kube {

struct ElectionOptions {
    ObjectKey lease;
    std::string identity;
    Duration length = 15s;        ///< A lease that stood still this long is free.
    Duration renew_within = 10s;  ///< We stop leading when we couldn't renew for so long.
    Duration retry = 2s;
};

/// Decides; time and the lease as it is stored are inputs.
class ElectionCore {
public:
    explicit ElectionCore(ElectionOptions options) : options_(std::move(options)) {}

    /// What to write: a new lease (create), or the stored one with us as holder (replace). None:
    /// somebody else has it.
    std::optional<Json> step(const Json* stored, Instant now, Timestamp wall);
    void written(Instant now) { renewed_ = now; }
    /// May we act at this time?
    bool leads(Instant now) const { return renewed_ && now - *renewed_ < options_.renew_within; }

private:
    const ElectionOptions options_;
    std::optional<Instant> renewed_;
    std::string seen_;  ///< Holder and renewal as last seen.
    Instant changed_;
};

class Election {
public:
    /// `on_lost` is called once, on the election's thread, when leadership ended against our will.
    static std::unique_ptr<Election> start(std::shared_ptr<Api> api, const Clock& clock,
                                           ElectionOptions options, std::function<void()> on_won,
                                           std::function<void()> on_lost, Logger log);
    virtual ~Election() = default;  ///< Gives the lease back.
    virtual bool leads() const = 0;
};

}  // namespace millrace::kube
