#include "operator/kube/credentials.h"

#include <fstream>
#include <sstream>

#include "operator/kube/base64.h"
#include "operator/kube/yaml.h"

namespace millrace::kube {

namespace {

Result<std::string> read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return Error::make(Code::not_found, "{}: can't be read", path.string());
    }
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

const Json& named(const Json& list, const std::string& name, std::string_view member) {
    static const Json none;
    for (const Json& item : list.items()) {
        if (item["name"].text() == name) {
            return item[member];
        }
    }
    return none;
}

/// `NAME-data` in base64, or the file that `NAME` says, next to the kubeconfig.
Result<std::string> data_or_file(const Json& holder, const std::string& name,
                                 const std::filesystem::path& beside) {
    if (const std::string& data = holder[name + "-data"].text(); !data.empty()) {
        return from_base64(data);
    }
    if (const std::string& file = holder[name].text(); !file.empty()) {
        const std::filesystem::path path(file);
        return read_file(path.is_absolute() ? path : beside / path);
    }
    return std::string{};
}

}  // namespace

Result<Credentials> from_kubeconfig(const std::filesystem::path& file, const std::string& context) {
    MR_TRY(const std::string text, read_file(file));
    MR_TRY(const auto documents, parse_yaml(text));
    if (documents.empty()) {
        return Error::make(Code::invalid, "{}: empty", file.string());
    }
    const Json& config = documents.front();
    const std::string chosen = context.empty() ? config["current-context"].text() : context;
    const Json& wanted = named(config["contexts"], chosen, "context");
    const Json& cluster = named(config["clusters"], wanted["cluster"].text(), "cluster");
    const Json& user = named(config["users"], wanted["user"].text(), "user");
    if (cluster["server"].text().empty()) {
        return Error::make(Code::invalid, "{}: context '{}' names no server", file.string(),
                           chosen);
    }
    if (user.has("exec") || user.has("auth-provider")) {
        return Error::make(Code::unsupported,
                           "{}: credentials from another program (exec) aren't offered; use a "
                           "token or a client certificate",
                           file.string());
    }
    const std::filesystem::path beside = file.parent_path();
    Credentials credentials;
    credentials.url = cluster["server"].text();
    credentials.space = wanted["namespace"].text();
    credentials.server_name = cluster["tls-server-name"].text();
    MR_TRY(credentials.ca_pem, data_or_file(cluster, "certificate-authority", beside));
    MR_TRY(credentials.client_pem, data_or_file(user, "client-certificate", beside));
    MR_TRY(std::string key, data_or_file(user, "client-key", beside));
    credentials.client_key_pem = Secret(std::move(key));
    credentials.token = Secret(user["token"].text());
    credentials.token_file = user["tokenFile"].text();
    return credentials;
}

Result<Credentials> from_pod(const std::filesystem::path& root, const std::string& host,
                             const std::string& port) {
    if (host.empty() || port.empty()) {
        return Error(Code::not_found,
                     "not inside a Kubernetes pod: KUBERNETES_SERVICE_HOST and "
                     "KUBERNETES_SERVICE_PORT are not set");
    }
    Credentials credentials;
    const bool is_ipv6 = host.find(':') != std::string::npos;
    credentials.url = "https://" + (is_ipv6 ? "[" + host + "]" : host) + ":" + port;
    MR_TRY(credentials.ca_pem, read_file(root / "ca.crt"));
    credentials.token_file = root / "token";
    if (const auto space = read_file(root / "namespace")) {
        credentials.space = *space;
    }
    return credentials;
}

}  // namespace millrace::kube
