#include <array>

#include "config/budget.h"

namespace millrace::config {

namespace {

constexpr std::string_view budget_intro = R"(# Budgets

Printed by `config_docs budgets` from `broker/config/budget.cc`; a test holds this page against it.

A broker looks at its machine once, at the start: the cores it may run on, the control group's limits of processor time and memory (version
2 or 1, with all parent groups), the memory of the machine, and the limit of open files. From these and a few settings it computes how much
of everything it may use. Nothing grows beyond its line; what doesn't fit waits or is refused. The figures are exposed as
`millrace_budget` and `millrace_pool_limit_bytes`.

- **Memory.** The process takes half of what there is (`millrace.memory.limit` says otherwise); the other half is the page cache, which
  serves consumers. Pools split that half; a single request must fit its pool, else the start is refused.
- **Threads.** One loop for each core but one, a control loop, and a few threads for disks, gRPC and HTTP. `millrace.data.shards` and
  `millrace.disk.threads` say otherwise.
- **Open files.** Two fifths may be connections, as far as their memory reaches and `max.connections` allows; the rest keeps segment files
  open, and what is beyond it is opened when it is needed.

Below 256 open files or 64 MiB for the process a broker does not start.
)";

struct Example {
    std::string_view title;
    MachineFacts facts;
};

}  // namespace

std::string budgets_page() {
    constexpr std::int64_t gib = std::int64_t{1} << 30;
    const std::array examples = {
        Example{"2 cores, 2 GiB group, 20,000 files", {2, std::nullopt, 16 * gib, 2 * gib, 20'000}},
        Example{"4 cores, 16 GiB, 65,536 files", {4, std::nullopt, 16 * gib, std::nullopt, 65'536}},
        Example{"32 cores, 128 GiB, 1,048,576 files",
                {32, std::nullopt, 128 * gib, std::nullopt, 1'048'576}}};
    const BrokerConfig config{load({}).given};
    std::string page{budget_intro};
    page += "\n| with the default settings |";
    for (const Example& example : examples) {
        page += fmt::format(" {} |", example.title);
    }
    page += "\n| --- | ---: | ---: | ---: |\n";
    std::vector<std::vector<BudgetLine>> columns;
    for (const Example& example : examples) {
        const auto budget = make_budget(example.facts, config.broker());
        MR_ASSERT(budget.has_value());
        columns.push_back(lines_of(*budget));
    }
    for (std::size_t row = 0; row < columns[0].size(); ++row) {
        const bool in_mib =
            columns[0][row].is_memory_pool || columns[0][row].name == "memory_bytes";
        page += fmt::format("| {} |", columns[0][row].name);
        for (const auto& column : columns) {
            page += in_mib ? fmt::format(" {:.1f} MiB |",
                                         static_cast<double>(column[row].value) / (1 << 20))
                           : fmt::format(" {} |", column[row].value);
        }
        page += '\n';
    }
    return page;
}

}  // namespace millrace::config
