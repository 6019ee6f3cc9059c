#include "metrics/metrics.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "base/assert.h"

namespace millrace::metrics {

namespace {

struct SeriesKey {
    std::uint16_t row = 0;
    std::vector<std::string> labels;
    friend auto operator<=>(const SeriesKey&, const SeriesKey&) = default;
};

SeriesKey key_of(std::uint16_t row, std::span<const std::string_view> labels) {
    return {row, {labels.begin(), labels.end()}};
}

/// What has been counted under one label set, summed over scopes.
struct Sum {
    double value = 0;
    std::vector<std::uint64_t> counts;
    double sum = 0;
    bool live = false;

    void add(const Cell& cell) { value += cell.read(); }
    void add(const HistogramCells& cells) {
        counts.resize(cells.counts.size());
        for (std::size_t i = 0; i < counts.size(); ++i) {
            counts[i] += static_cast<std::uint64_t>(cells.counts[i].read());
        }
        sum += cells.sum.read();
    }
    void add(const Sum& other) {
        value += other.value;
        counts.resize(std::max(counts.size(), other.counts.size()));
        for (std::size_t i = 0; i < other.counts.size(); ++i) {
            counts[i] += other.counts[i];
        }
        sum += other.sum;
    }
};

using Sums = std::map<SeriesKey, Sum>;

/// Adds what live handles hold to `live`; what nobody holds any more goes to `retired` and away.
template <typename Cells>
void gather(std::map<SeriesKey, std::shared_ptr<Cells>>& cells, Sums& live, Sums& retired) {
    for (auto entry = cells.begin(); entry != cells.end();) {
        const bool is_held = entry->second.use_count() > 1;
        Sum& sum = is_held ? live[entry->first] : retired[entry->first];
        sum.add(*entry->second);
        sum.live = is_held;
        entry = is_held ? std::next(entry) : cells.erase(entry);
    }
}

}  // namespace

struct Scope::State {
    explicit State(std::mutex& guard) : mutex(guard) {}
    std::mutex& mutex;
    std::map<SeriesKey, std::shared_ptr<Cell>> cells;
    std::map<SeriesKey, std::shared_ptr<HistogramCells>> histograms;
};

struct Registry::State {
    std::mutex mutex;
    std::map<std::string, Scope, std::less<>> scopes;
    /// By metric, then by who published it.
    std::map<std::uint16_t, std::map<std::string, std::vector<Sample>, std::less<>>> published;
    /// What ended handles had counted, kept while others count under the same labels: a counter
    /// that went down would read as a restart.
    Sums retired;
    std::mutex refresh_mutex;
    std::vector<UniqueFunction<void(Registry&)>> refreshers;
};

void Histogram::observe(double value) {
    if (!cells_) {
        return;
    }
    const auto bounds = cells_->bounds;
    const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin();
    cells_->counts[static_cast<std::size_t>(bucket)].add(1);
    cells_->sum.add(value);
}

std::vector<std::uint64_t> Histogram::counts() const {
    std::vector<std::uint64_t> counts;
    for (std::size_t i = 0; cells_ && i < cells_->counts.size(); ++i) {
        counts.push_back(static_cast<std::uint64_t>(cells_->counts[i].read()));
    }
    return counts;
}

std::span<const double> Histogram::bounds() const {
    return cells_ ? cells_->bounds : std::span<const double>{};
}

std::shared_ptr<Cell> Scope::cell(std::uint16_t row, std::span<const std::string_view> labels) {
    const std::lock_guard lock{state_->mutex};
    auto& cell = state_->cells[key_of(row, labels)];
    if (!cell) {
        cell = std::make_shared<Cell>();
    }
    return cell;
}

std::shared_ptr<HistogramCells> Scope::histogram_cells(std::uint16_t row,
                                                       std::span<const std::string_view> labels) {
    const std::lock_guard lock{state_->mutex};
    auto& cells = state_->histograms[key_of(row, labels)];
    if (!cells) {
        cells = std::make_shared<HistogramCells>(all_metrics()[row].buckets);
    }
    return cells;
}

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

Scope& Registry::scope(std::string_view name) {
    const std::lock_guard lock{state_->mutex};
    auto found = state_->scopes.find(name);
    if (found == state_->scopes.end()) {
        found =
            state_->scopes
                .emplace(std::string{name}, Scope{std::make_shared<Scope::State>(state_->mutex)})
                .first;
    }
    return found->second;
}

void Registry::before_collect(UniqueFunction<void(Registry&)> refresh) {
    const std::lock_guard lock{state_->refresh_mutex};
    state_->refreshers.push_back(std::move(refresh));
}

void Registry::publish_row(std::uint16_t row, std::string_view publisher,
                           std::vector<Sample> samples) {
    for (const Sample& sample : samples) {
        MR_ASSERT(sample.labels.size() == all_metrics()[row].labels.size());
    }
    const std::lock_guard lock{state_->mutex};
    state_->published[row].insert_or_assign(std::string{publisher}, std::move(samples));
}

std::vector<Family> Registry::collect() {
    {
        const std::lock_guard lock{state_->refresh_mutex};
        for (auto& refresh : state_->refreshers) {
            refresh(*this);
        }
    }
    const std::lock_guard lock{state_->mutex};
    Sums live;
    for (auto& [name, scope] : state_->scopes) {
        gather(scope.state_->cells, live, state_->retired);
        gather(scope.state_->histograms, live, state_->retired);
    }
    std::erase_if(state_->retired, [&](const auto& entry) {
        // A gauge that nobody holds says nothing; a counter only lives on beside its like.
        return live.count(entry.first) == 0 || all_metrics()[entry.first.row].kind == Kind::gauge;
    });
    for (const auto& [key, sum] : state_->retired) {
        live[key].add(sum);
    }
    for (const auto& [row, publishers] : state_->published) {
        for (const auto& [publisher, samples] : publishers) {
            for (const Sample& sample : samples) {
                live[{row, sample.labels}].value += sample.value;
            }
        }
    }
    std::vector<Family> families;
    for (auto& [key, sum] : live) {
        const Metric* metric = &all_metrics()[key.row];
        if (families.empty() || families.back().metric != metric) {
            families.push_back({metric, {}});
        }
        families.back().series.push_back({key.labels, sum.value, std::move(sum.counts), sum.sum});
    }
    return families;
}

}  // namespace millrace::metrics
