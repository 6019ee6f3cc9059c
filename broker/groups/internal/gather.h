// groups/internal/gather.h
//
// One response out of many parts that become ready one by one: in the order that was asked for,
// sent with the last of them.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "groups/internal/answer.h"

namespace millrace::groups {

template <typename Response, typename Item>
class Gather {
public:
    /// `items` finds the vector in the response that the parts go into.
    template <typename Items>
    Gather(std::size_t parts, Items items, Reply<Response> reply)
        : items_(items), parts_(parts), missing_(parts + 1), reply_(std::move(reply)) {}

    void put(std::size_t index, AnswerPtr<Item> part) {
        MR_ASSERT(parts_[index] == nullptr);
        parts_[index] = std::move(part);
        close();
    }

    /// Called once more when every part has been asked for: with nothing to ask it sends at once.
    void close() {
        if (--missing_ > 0) {
            return;
        }
        Response response;
        std::vector<Item>& items = items_(response);
        for (AnswerPtr<Item>& part : parts_) {
            items.push_back(std::move(part->response));
        }
        reply_(response);  // The parts still own what it points to.
    }

private:
    std::vector<Item>& (*items_)(Response&);
    std::vector<AnswerPtr<Item>> parts_;
    std::size_t missing_;
    Reply<Response> reply_;
};

}  // namespace millrace::groups
