// metrics/metrics.h
//
// Counting without locks, exposed without stopping anyone. Each thread that counts has a Scope; the
// cells of a scope have that one writer, so an event costs a plain add. A handle (Counter, Gauge,
// Histogram) is resolved once, by labels; events touch only the handle. The scraping thread reads
// the cells of all scopes and sums those with equal labels.
//
//   Scope& scope = registry.scope("shard-0");                       // once per thread
//   Counter bytes = scope.counter(metric::produced_bytes, {"orders"});  // once per topic
//   bytes.add(batch.size());                                          // per event
//
// A series lives while a handle to it does. A metric that nobody holds is absent from /metrics, not
// zero. Cores never read metrics.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/time.h"
#include "base/unique_function.h"

namespace millrace::metrics {

enum class Kind : std::uint8_t { counter, gauge, histogram };

/// One row of metrics.def.
struct Metric {
    Kind kind;
    std::string_view name;
    std::span<const std::string_view> labels;
    std::span<const double> buckets;  ///< Upper bounds, ascending; histograms only.
    std::string_view known_as;        ///< The name Kafka's operators know.
    std::string_view help;
};

std::span<const Metric> all_metrics();

template <Kind kind_, std::size_t labels_>
struct Id {
    std::uint16_t row;
};

namespace rows {
#define MR_COUNTER(id, ...) id,
#define MR_GAUGE(id, ...) id,
#define MR_HISTOGRAM(id, ...) id,
enum class Row : std::uint16_t {
#include "metrics/metrics.def"
};
#undef MR_COUNTER
#undef MR_GAUGE
#undef MR_HISTOGRAM

template <typename... Names>
constexpr std::size_t labels(Names...) {
    return sizeof...(Names);
}
}  // namespace rows

/// metric::produced_bytes and the like: what to ask a Scope for.
namespace metric {
#define MR_ID(kind, id, labels_) \
    inline constexpr Id<Kind::kind, rows::labels_> id{static_cast<std::uint16_t>(rows::Row::id)};
#define MR_COUNTER(id, name, labels_, ...) MR_ID(counter, id, labels_)
#define MR_GAUGE(id, name, labels_, ...) MR_ID(gauge, id, labels_)
#define MR_HISTOGRAM(id, name, labels_, ...) MR_ID(histogram, id, labels_)
#include "metrics/metrics.def"
#undef MR_COUNTER
#undef MR_GAUGE
#undef MR_HISTOGRAM
#undef MR_ID
}  // namespace metric

/// One number with one writer, read by the scraping thread.
class Cell {
public:
    double read() const { return value_.load(std::memory_order_relaxed); }
    void store(double value) { value_.store(value, std::memory_order_relaxed); }
    void add(double delta) { store(read() + delta); }  // single writer: no read-modify-write needed

private:
    std::atomic<double> value_{0};
};

struct HistogramCells {
    explicit HistogramCells(std::span<const double> upper_bounds)
        : bounds(upper_bounds), counts(upper_bounds.size() + 1) {}
    std::span<const double> bounds;
    std::vector<Cell> counts;  ///< One more than bounds: the last has no upper bound.
    Cell sum;
};

/// Handles: cheap to copy, only for the scope's thread. A default one counts into nothing.
class Counter {
public:
    Counter() = default;
    explicit Counter(std::shared_ptr<Cell> cell) : cell_(std::move(cell)) {}
    void add(std::uint64_t count = 1) {
        if (cell_) {
            cell_->add(static_cast<double>(count));
        }
    }
    void add_seconds(Duration d) {
        if (cell_) {
            cell_->add(to_seconds(d));
        }
    }

private:
    std::shared_ptr<Cell> cell_;
};

class Gauge {
public:
    Gauge() = default;
    explicit Gauge(std::shared_ptr<Cell> cell) : cell_(std::move(cell)) {}
    template <typename T>
        requires std::is_arithmetic_v<T>
    void set(T value) {
        if (cell_) {
            cell_->store(static_cast<double>(value));
        }
    }
    template <typename T>
        requires std::is_arithmetic_v<T>
    void add(T delta) {
        if (cell_) {
            cell_->add(static_cast<double>(delta));
        }
    }

private:
    std::shared_ptr<Cell> cell_;
};

class Histogram {
public:
    Histogram() = default;
    explicit Histogram(std::shared_ptr<HistogramCells> cells) : cells_(std::move(cells)) {}
    void observe(double value);
    void observe(Duration d) { observe(to_seconds(d)); }
    /// What was observed so far, by bucket. From any thread.
    std::vector<std::uint64_t> counts() const;
    std::span<const double> bounds() const;

private:
    std::shared_ptr<HistogramCells> cells_;
};

template <std::size_t count>
using LabelValues = std::type_identity_t<std::array<std::string_view, count>>;

class Registry;

/// The cells of one writing thread. Made by Registry::scope(), lives as long as the registry.
/// counter(), gauge() and histogram() take a lock: call them when something begins, not per event.
class Scope {
public:
    template <std::size_t n>
    Counter counter(Id<Kind::counter, n> id, LabelValues<n> labels = {}) {
        return Counter{cell(id.row, labels)};
    }
    template <std::size_t n>
    Gauge gauge(Id<Kind::gauge, n> id, LabelValues<n> labels = {}) {
        return Gauge{cell(id.row, labels)};
    }
    template <std::size_t n>
    Histogram histogram(Id<Kind::histogram, n> id, LabelValues<n> labels = {}) {
        return Histogram{histogram_cells(id.row, labels)};
    }

private:
    friend class Registry;
    struct State;
    explicit Scope(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<Cell> cell(std::uint16_t row, std::span<const std::string_view> labels);
    std::shared_ptr<HistogramCells> histogram_cells(std::uint16_t row,
                                                    std::span<const std::string_view> labels);
    std::shared_ptr<State> state_;
};

/// One label set's number, for families that are computed as a whole.
struct Sample {
    std::vector<std::string> labels;
    double value = 0;
};

/// What a scrape sees of one metric.
struct Series {
    std::vector<std::string> labels;
    double value = 0;                   ///< Counters and gauges.
    std::vector<std::uint64_t> counts;  ///< Histograms: per bucket, not cumulative.
    double sum = 0;
};
struct Family {
    const Metric* metric = nullptr;
    std::vector<Series> series;
};

/// All metrics of one broker. Methods may be called from any thread.
class Registry {
public:
    Registry();
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    /// The scope of that name, made at the first call. A scope has one writing thread.
    Scope& scope(std::string_view name);

    /// Replaces everything that `publisher` published for this metric: for what is computed every
    /// few seconds as a whole (consumer lag, log sizes) instead of counted.
    template <Kind kind, std::size_t n>
    void publish(Id<kind, n> id, std::string_view publisher, std::vector<Sample> samples) {
        static_assert(kind != Kind::histogram);
        publish_row(id.row, publisher, std::move(samples));
    }

    /// Called by the scraping thread before each collection, to publish what is read on demand.
    void before_collect(UniqueFunction<void(Registry&)> refresh);

    std::vector<Family> collect();

private:
    void publish_row(std::uint16_t row, std::string_view publisher, std::vector<Sample> samples);
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace millrace::metrics
