// operator/kube/credentials.h
//
// Where the API server is and who we are there: from a kubeconfig file, or from what Kubernetes
// puts into a pod. Tokens in files are read again, because Kubernetes replaces them.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace millrace::kube {

struct Credentials {
    std::string url;         ///< "https://10.0.0.1:443"
    std::string space;       ///< The namespace to work in when none is named; may be empty.
    std::string ca_pem;      ///< Empty: the system's.
    std::string client_pem;  ///< Certificate chain; empty: none.
    Secret client_key_pem;
    Secret token;                      ///< Empty: none.
    std::filesystem::path token_file;  ///< Wins over `token`; read again every minute.
    std::string
        server_name;  ///< For the certificate, if it differs from the address; may be empty.
};

/// Of the current context, or the named one.
Result<Credentials> from_kubeconfig(const std::filesystem::path& file,
                                    const std::string& context = "");

/// `root` is where Kubernetes mounts the service account.
Result<Credentials> from_pod(const std::filesystem::path& root, const std::string& host,
                             const std::string& port);

}  // namespace millrace::kube
