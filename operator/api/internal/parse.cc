#include "operator/api/internal/parse.h"

namespace millrace::api {

Error parse_error(const std::vector<std::string>& errors) {
    std::string text;
    for (const std::string& error : errors) {
        text += (text.empty() ? "" : "; ") + error;
    }
    return Error(Code::invalid, std::move(text));
}

}  // namespace millrace::api
