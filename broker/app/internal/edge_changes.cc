#include "app/internal/edge_changes.h"

#include "app/internal/change_counts.h"

namespace millrace::app {
namespace {

namespace metric = metrics::metric;

struct Counters {
    explicit Counters(metrics::Scope& scope)
        : isr_shrinks(scope.counter(metric::isr_shrinks)),
          isr_expands(scope.counter(metric::isr_expands)),
          elections(scope.counter(metric::leader_elections)),
          unclean_elections(scope.counter(metric::unclean_elections)),
          quorum_elections(scope.counter(metric::quorum_elections)) {}

    metrics::Counter isr_shrinks;
    metrics::Counter isr_expands;
    metrics::Counter elections;
    metrics::Counter unclean_elections;
    metrics::Counter quorum_elections;
};

}  // namespace

void count_on_change(const std::shared_ptr<metrics::Registry>& registry, const BrokerView& view) {
    view.publisher->subscribe([registry, counters = Counters(registry->scope("metadata-changes")),
                               self = view.doors->self, quorum = view.quorum,
                               is_ready = view.is_ready](const metadata::Delta& delta,
                                                         const metadata::ImagePtr&) mutable {
        const ChangeCounts changes = count_changes(delta, self);
        counters.quorum_elections.add(changes.quorum_elections);
        // What is read again after a start has been counted before it.
        if (is_ready()) {
            counters.isr_shrinks.add(changes.isr_shrinks);
            counters.isr_expands.add(changes.isr_expands);
        }
        if (quorum->leadership().is_self) {
            counters.elections.add(changes.elections);
            counters.unclean_elections.add(changes.unclean_elections);
        }
    });
}

}  // namespace millrace::app
