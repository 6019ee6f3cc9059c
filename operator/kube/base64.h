// operator/kube/base64.h
//
// What Secrets and kubeconfig files hold their bytes as.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::kube {

std::string to_base64(std::string_view bytes);
Result<std::string> from_base64(std::string_view text);

}  // namespace millrace::kube
