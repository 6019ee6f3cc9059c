// tls/principal_rules.h
//
// ssl.principal.mapping.rules: from a certificate's distinguished name to a principal's name, with
// Kafka's rules (KIP-371). Patterns are matched in time linear in the name; what needs more
// (back-references, look-around) is refused. A value; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::tls {

class PrincipalRules {
public:
    /// "RULE:^CN=(.*?),.*$/$1/L,DEFAULT", also with one rule a line.
    static Result<PrincipalRules> parse(std::string_view text);
    ~PrincipalRules();
    PrincipalRules(PrincipalRules&&) noexcept;
    PrincipalRules& operator=(PrincipalRules&&) noexcept;

    /// What the first rule that matches the whole name makes of it; none if no rule does.
    std::optional<std::string> map(const std::string& distinguished_name) const;

private:
    struct Rules;
    explicit PrincipalRules(std::unique_ptr<Rules> rules);
    std::unique_ptr<Rules> rules_;
};

}  // namespace millrace::tls
