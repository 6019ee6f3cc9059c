// operator/local/internal/pki.h
//
// The server's own CA and certificate, the bearer token, and the kubeconfig made of them.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace millrace::local {

struct Pki {
    std::filesystem::path ca;           ///< PEM.
    std::filesystem::path certificate;  ///< PEM, for 127.0.0.1 and localhost.
    std::filesystem::path key;          ///< PEM, mode 0600.
    std::string token;
};

/// Keeps what is in `dir` if it is whole and valid for 30 more days, else makes it anew.
Result<Pki> ensure_pki(const std::filesystem::path& dir);

/// Written to a temporary name first, so that a reader sees the old file or the new one.
Result<void> write_private_file(const std::filesystem::path& path, std::string_view text);
Result<std::string> read_file(const std::filesystem::path& path);

std::string kubeconfig_text(const Pki& pki, const std::string& url);
std::string random_hex(std::size_t bytes);

}  // namespace millrace::local
