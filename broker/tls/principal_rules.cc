#include "tls/principal_rules.h"

#include <algorithm>
#include <re2/re2.h>
#include <utility>
#include <vector>

namespace millrace::tls {
namespace {

enum class Case { keep, lower, upper };

struct Rule {
    std::unique_ptr<re2::RE2> pattern;  ///< None: DEFAULT, the name as it is.
    std::string replacement;
    Case letters = Case::keep;
};

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/// Walks over the text of the rules.
class Cursor {
public:
    explicit Cursor(std::string_view text) : rest_(text) {}

    bool at_end() const { return rest_.empty(); }
    void skip_space() {
        while (!rest_.empty() && is_space(rest_.front()) && rest_.front() != '\n') {
            rest_.remove_prefix(1);
        }
    }
    bool take(std::string_view word) {
        const bool there = rest_.starts_with(word);
        rest_.remove_prefix(there ? word.size() : 0);
        return there;
    }
    /// Up to a '/' that no '\' stands before; none if there is no such.
    std::optional<std::string> take_part() {
        for (std::size_t i = 0; i < rest_.size(); ++i) {
            if (rest_[i] == '\\') {
                ++i;
            } else if (rest_[i] == '/') {
                std::string part(rest_.substr(0, i));
                rest_.remove_prefix(i + 1);
                return part;
            }
        }
        return std::nullopt;
    }
    std::string_view rest() const { return rest_; }

private:
    std::string_view rest_;
};

Error malformed(std::string_view at) {
    return Error::make(Code::invalid, "'{}' is no rule: DEFAULT or RULE:pattern/replacement/[LU]",
                       at);
}

/// From a '$' on that no digit follows.
std::optional<std::string> without_group(const std::string& replacement) {
    for (std::size_t i = 0; i < replacement.size(); ++i) {
        const char next = i + 1 < replacement.size() ? replacement[i + 1] : ' ';
        if (replacement[i] == '\\') {
            ++i;
        } else if (replacement[i] == '$' && (next < '0' || next > '9')) {
            return replacement.substr(i);
        }
    }
    return std::nullopt;
}

Result<Rule> parse_rule(Cursor& cursor) {
    const std::string_view whole = cursor.rest();
    Rule rule;
    if (cursor.take("DEFAULT")) {
        return rule;
    }
    if (!cursor.take("RULE:")) {
        return malformed(whole);
    }
    const auto pattern = cursor.take_part();
    auto replacement = pattern ? cursor.take_part() : std::nullopt;
    if (!replacement) {
        return malformed(whole);
    }
    rule.replacement = *std::move(replacement);
    if (const auto bad = without_group(rule.replacement)) {
        return Error::make(Code::invalid,
                           "'{}' names no group by its number; write a dollar sign as \\$", *bad);
    }
    rule.letters = cursor.take("L") ? Case::lower : cursor.take("U") ? Case::upper : Case::keep;
    re2::RE2::Options options;
    options.set_log_errors(false);
    rule.pattern = std::make_unique<re2::RE2>(*pattern, options);
    if (!rule.pattern->ok()) {
        return Error::make(Code::invalid, "the pattern '{}' can't be used: {}", *pattern,
                           rule.pattern->error());
    }
    return rule;
}

/// $1 and $12 stand for groups, as many digits as there are groups; '\' takes the next one as is.
std::string expand(const std::string& replacement, const std::vector<re2::StringPiece>& groups) {
    std::string out;
    for (std::size_t i = 0; i < replacement.size(); ++i) {
        const char c = replacement[i];
        if (c == '\\' && i + 1 < replacement.size()) {
            out.push_back(replacement[++i]);
            continue;
        }
        std::size_t group = 0;
        std::size_t digits = 0;
        while (c == '$' && i + 1 + digits < replacement.size()) {
            const char digit = replacement[i + 1 + digits];
            const std::size_t longer = group * 10 + static_cast<std::size_t>(digit - '0');
            if (digit < '0' || digit > '9' || longer >= groups.size()) {
                break;
            }
            group = longer;
            ++digits;
        }
        if (digits == 0) {
            out.push_back(c);
        } else {
            out.append(groups[group].data() == nullptr ? "" : groups[group].data(),
                       groups[group].size());
            i += digits;
        }
    }
    return out;
}

/// Every occurrence is replaced, also an empty one right behind another: as Java does it.
std::string replace_all(const Rule& rule, const std::string& text) {
    std::vector<re2::StringPiece> groups(
        static_cast<std::size_t>(rule.pattern->NumberOfCapturingGroups()) + 1);
    std::string out;
    std::size_t from = 0;
    std::size_t copied = 0;
    while (from <= text.size() &&
           rule.pattern->Match(text, from, text.size(), re2::RE2::UNANCHORED, groups.data(),
                               static_cast<int>(groups.size()))) {
        const auto at = static_cast<std::size_t>(groups[0].data() - text.data());
        out.append(text, copied, at - copied);
        out.append(expand(rule.replacement, groups));
        copied = at + groups[0].size();
        from = groups[0].empty() ? copied + 1 : copied;
    }
    return out.append(text, std::min(copied, text.size()));
}

std::string with_case(std::string text, Case letters) {
    for (char& c : text) {
        if (letters == Case::lower && c >= 'A' && c <= 'Z') {
            c = static_cast<char>(c + ('a' - 'A'));
        } else if (letters == Case::upper && c >= 'a' && c <= 'z') {
            c = static_cast<char>(c - ('a' - 'A'));
        }
    }
    return text;
}

}  // namespace

struct PrincipalRules::Rules {
    std::vector<Rule> rules;
};

Result<PrincipalRules> PrincipalRules::parse(std::string_view text) {
    auto rules = std::make_unique<Rules>();
    Cursor cursor(text);
    for (;;) {
        cursor.skip_space();
        if (cursor.take("\n") || cursor.take(",")) {
            continue;
        }
        if (cursor.at_end()) {
            break;
        }
        MR_TRY(Rule rule, parse_rule(cursor));
        rules->rules.push_back(std::move(rule));
        cursor.skip_space();
        if (!cursor.at_end() && !cursor.take(",") && !cursor.take("\n")) {
            return malformed(cursor.rest());
        }
    }
    return PrincipalRules(std::move(rules));
}

PrincipalRules::PrincipalRules(std::unique_ptr<Rules> rules) : rules_(std::move(rules)) {}
PrincipalRules::~PrincipalRules() = default;
PrincipalRules::PrincipalRules(PrincipalRules&&) noexcept = default;
PrincipalRules& PrincipalRules::operator=(PrincipalRules&&) noexcept = default;

std::optional<std::string> PrincipalRules::map(const std::string& distinguished_name) const {
    for (const Rule& rule : rules_->rules) {
        if (rule.pattern == nullptr) {
            return distinguished_name;
        }
        if (re2::RE2::FullMatch(distinguished_name, *rule.pattern)) {
            return with_case(replace_all(rule, distinguished_name), rule.letters);
        }
    }
    return std::nullopt;
}

}  // namespace millrace::tls
