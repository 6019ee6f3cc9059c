// app/internal/tls_node.h
//
// The certificates of this node's listeners and of the connections that it dials: read at the
// start, and again when files or settings change, while everything goes on. Opened before the loops
// run; afterwards on the control loop, but for what says otherwise.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "config/listeners.h"
#include "net/server.h"
#include "runtime/node.h"
#include "tls/context.h"

namespace millrace::app {

class TlsNode {
public:
    /// `dialed` names listeners of other nodes. Blocks on the disk. Code::invalid names the setting
    /// that is wrong and what to write instead.
    static Result<std::shared_ptr<TlsNode>> open(std::shared_ptr<const config::BrokerConfig> config,
                                                 const std::vector<config::ListenerSpec>& listeners,
                                                 const std::vector<std::string>& dialed,
                                                 runtime::Node& node);

    /// What net puts around connections; empty for a plaintext listener.
    net::StreamWrapper served(const std::string& listener) const;
    net::StreamWrapper dialed(const std::string& listener) const;

    /// Looks at the files from time to time, from now on.
    void start();
    void settings_changed(std::shared_ptr<const config::BrokerConfig> config);

    struct Reloaded {
        std::string listener;  ///< "ADMIN": what the files of the admin endpoint hold.
        bool changed = false;
        tls::CertificateFacts facts;
        std::string error;  ///< The old certificate stays in use.
    };
    /// Reads everything anew; `done` on the control loop.
    void reload(UniqueFunction<void(std::vector<Reloaded>)> done);

    /// Whether this node's own settings, changed so, could be used. From any thread; `done` on the
    /// control loop.
    void judge(std::map<std::string, std::optional<std::string>> changes,
               UniqueFunction<void(Result<void>)> done);

    /// From any thread.
    const std::map<std::string, std::shared_ptr<tls::Context>>& contexts() const {
        return contexts_;
    }

    TlsNode(std::shared_ptr<const config::BrokerConfig> config, runtime::Node& node);

private:
    Result<void> add(const std::string& listener, bool serves);
    void look_later();

    std::shared_ptr<const config::BrokerConfig> config_;
    runtime::Node& node_;
    const Logger& log_;
    std::map<std::string, std::shared_ptr<tls::Context>> contexts_;  ///< By listener, in capitals.
    std::map<std::string, std::string> refused_;  ///< Why, so that it is said once.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// One listener's ssl.* settings.
tls::Settings tls_settings(const config::BrokerConfig& config, const std::string& listener);

}  // namespace millrace::app
