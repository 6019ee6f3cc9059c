// runtime/buggify.h
//
// Points where production code agrees to be unlucky: a batch limit of one, a cache of nothing, an
// early time-out, a retry that was not needed. Outside the simulator a point never fires.
//
//   const auto limit = MR_BUGGIFY(node.buggify(), "fetch.small_batch") ? 1 : options.batch_limit;
#pragma once

#include <string_view>

namespace millrace::runtime {

class Buggify {
public:
    virtual ~Buggify() = default;
    /// Each seed enables some points; an enabled one fires now and then.
    virtual bool fires(std::string_view point) = 0;

    static Buggify& never();
};

}  // namespace millrace::runtime

#define MR_BUGGIFY(buggify, point) ((buggify).fires(point))
