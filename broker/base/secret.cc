#include "base/secret.h"

namespace millrace {

Secret::~Secret() {
    // volatile: the compiler may not drop a store to memory that is about to be freed.
    volatile char* bytes = value_.data();
    for (std::size_t i = 0; i < value_.size(); ++i) {
        bytes[i] = 0;
    }
}

}  // namespace millrace
