// client/scram.h
//
// The client's half of SCRAM (RFC 5802, 7677), as Kafka speaks it. Pure: nonce and answers are
// inputs.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace millrace::client {

class ScramClient {
public:
    /// `mechanism`: SCRAM-SHA-256 or SCRAM-SHA-512. `nonce`: printable, without commas.
    static Result<ScramClient> make(std::string_view mechanism, std::string username,
                                    Secret password, std::string nonce);

    std::string first_message() const;
    /// The answer to the server's first message: the proof that we know the password.
    Result<std::string> final_message(std::string_view server_first);
    /// Whether the server knows it, too.
    Result<void> check_server(std::string_view server_final) const;

private:
    ScramClient(bool sha512, std::string username, Secret password, std::string nonce)
        : sha512_(sha512),
          username_(std::move(username)),
          password_(std::move(password)),
          nonce_(std::move(nonce)) {}

    std::string first_bare() const;

    bool sha512_;
    std::string username_;
    Secret password_;
    std::string nonce_;
    std::string server_signature_;
};

}  // namespace millrace::client
