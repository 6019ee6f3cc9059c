// tls/context.h
//
// One listener's certificates and rules, which connections are made with: those that it serves and
// those that this node dials to the same listener of others. Certificates can be read anew while
// connections live; those keep what they began with. Any thread; what takes a Disk may wait for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/disk.h"
#include "tls/settings.h"

namespace millrace::tls {

namespace internal {
struct Loaded;
}

/// Of our own certificate; empty without one.
struct CertificateFacts {
    std::string subject;
    std::string serial;  ///< In hexadecimal, as openssl x509 -serial prints it.
    Timestamp not_before;
    Timestamp not_after;
    std::vector<std::string> addresses;  ///< "DNS:broker-1", "IP:10.0.0.1", in order.
    /// SHA-256 fingerprints, in hexadecimal, of the authorities that peers may come from; empty
    /// where those are whom this machine trusts.
    std::vector<std::string> trusted;
};

struct Counters {
    std::atomic<std::int64_t> handshakes{0};  ///< Finished.
    std::atomic<std::int64_t> failures{0};
};

/// Of PEM files that others serve with; the error names the file.
Result<CertificateFacts> facts_of_files(const std::string& certificate,
                                        const std::string& authorities, runtime::Disk& disk);

class Context {
public:
    /// The error names the setting, its value and what to write instead.
    static Result<std::shared_ptr<Context>> open(Settings settings, runtime::Disk& disk);
    explicit Context(std::shared_ptr<const internal::Loaded> loaded);
    ~Context();

    /// Reads everything again; true if anything differs. What can't be used, or would take away
    /// the name or an address that peers know (unless that is allowed), leaves the old in use.
    Result<bool> reload(Settings settings, runtime::Disk& disk);

    /// What reload() would say, and nothing more.
    Result<void> judge(Settings settings, runtime::Disk& disk) const;

    bool has_certificate() const;
    CertificateFacts facts() const;
    Settings settings() const;
    Counters& counters() { return counters_; }
    std::shared_ptr<const internal::Loaded> loaded() const;

private:
    Counters counters_;
    mutable std::mutex mutex_;
    std::shared_ptr<const internal::Loaded> loaded_;
};

}  // namespace millrace::tls
