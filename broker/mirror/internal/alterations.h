// mirror/internal/alterations.h
//
// Changes of settings on their way to the controller: one request at a time, and what is asked for
// meanwhile goes with the next. Two changes of one topic keep their order; entries that are added
// to one list become one change.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_function.h"
#include "mirror/internal/own_cluster.h"

namespace millrace::mirror {

class OwnCluster::Alterations : public std::enable_shared_from_this<Alterations> {
public:
    enum class Op : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };
    struct Change {
        std::string name;
        Op op;
        std::optional<std::string> value;
    };
    using Resource = std::pair<std::int8_t, std::string>;  ///< Type and name.

    Alterations(Controller& controller, runtime::Executor& loop)
        : controller_(controller), loop_(loop) {}

    void add(Resource resource, std::vector<Change> changes, Done done);

private:
    struct Pending {
        Resource resource;
        std::vector<Change> changes;
        std::vector<Done> done;
    };

    bool joined(const Resource& resource, const std::vector<Change>& changes, Done& done);
    void send_soon();
    void send();
    void on_answer(Result<Buffer> answer);

    Controller& controller_;
    runtime::Executor& loop_;
    std::vector<Pending> waiting_;  ///< In the order asked for.
    std::vector<Pending> in_flight_;
    bool is_armed_ = false;
};

}  // namespace millrace::mirror
