#include <algorithm>
#include <array>
#include <fmt/core.h>
#include <string_view>
#include <utility>
#include <vector>

#include "tls/internal/openssl.h"

namespace millrace::tls::internal {
namespace {

/// The words that RFC 2253 has for kinds of parts; others go by number.
std::string_view word_for(int kind) {
    switch (kind) {
        case NID_commonName:
            return "CN";
        case NID_countryName:
            return "C";
        case NID_localityName:
            return "L";
        case NID_stateOrProvinceName:
            return "ST";
        case NID_organizationName:
            return "O";
        case NID_organizationalUnitName:
            return "OU";
        case NID_streetAddress:
            return "STREET";
        case NID_domainComponent:
            return "DC";
        case NID_userId:
            return "UID";
        default:
            return {};
    }
}

/// Two names must never look like one, as they would if bytes that are no text were replaced.
bool is_unicode(std::string_view text) {
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    int left = static_cast<int>(text.size());
    while (left > 0) {
        unsigned long character = 0;
        const int taken = UTF8_getc(at, left, &character);
        if (taken <= 0) {
            return false;
        }
        at += taken;
        left -= taken;
    }
    return true;
}

bool is_text(const ASN1_STRING* value) {
    switch (ASN1_STRING_type(value)) {
        case V_ASN1_PRINTABLESTRING:
        case V_ASN1_UTF8STRING:
        case V_ASN1_T61STRING:
        case V_ASN1_IA5STRING:
        case V_ASN1_GENERALSTRING:
        case V_ASN1_BMPSTRING:
        case V_ASN1_UNIVERSALSTRING:
            return true;
        default:
            return false;
    }
}

std::string escaped(std::string_view text) {
    constexpr std::string_view special = ",=+<>#;\"\\";
    const std::size_t first = std::min(text.find_first_not_of(" \r"), text.size());
    const std::size_t last = text.find_last_not_of(" \r");
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\0') {
            out += "\\00";
            continue;
        }
        const bool at_edge = i < first || (last != std::string_view::npos && i > last);
        if (at_edge || special.find(c) != std::string_view::npos) {
            out.push_back('\\');
        }
        out.push_back(c);
    }
    return out;
}

/// "#" and the value's DER in hexadecimal.
std::string hexadecimal(const ASN1_STRING* value) {
    ASN1_TYPE wrapped{};
    wrapped.type = ASN1_STRING_type(value);
    wrapped.value.asn1_string = const_cast<ASN1_STRING*>(value);
    unsigned char* bytes = nullptr;
    const int size = i2d_ASN1_TYPE(&wrapped, &bytes);
    const OpenSslBytes owner(bytes);
    std::string out = "#";
    for (int i = 0; i < size; ++i) {
        out += fmt::format("{:02x}", bytes[i]);
    }
    return out;
}

std::string entry_text(const X509_NAME_ENTRY* entry) {
    const ASN1_OBJECT* kind = X509_NAME_ENTRY_get_object(entry);
    const ASN1_STRING* value = X509_NAME_ENTRY_get_data(entry);
    const std::string_view word = word_for(OBJ_obj2nid(kind));
    const std::string_view bytes{reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                                 static_cast<std::size_t>(ASN1_STRING_length(value))};
    if (!word.empty() && is_text(value) && is_unicode(bytes)) {
        return fmt::format("{}={}", word, escaped(bytes));
    }
    if (!word.empty()) {
        return fmt::format("{}={}", word, hexadecimal(value));
    }
    std::array<char, 128> number{};
    OBJ_obj2txt(number.data(), static_cast<int>(number.size()), kind, 1);
    return fmt::format("{}={}", number.data(), hexadecimal(value));
}

}  // namespace

std::string name_text(const X509_NAME* name) {
    std::vector<std::pair<int, std::string>> parts;  // with the set that each belongs to
    for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
        const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
        const int set = X509_NAME_ENTRY_set(entry);
        if (!parts.empty() && parts.back().first == set) {
            parts.back().second += "+" + entry_text(entry);
        } else {
            parts.emplace_back(set, entry_text(entry));
        }
    }
    std::string out;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        out += (out.empty() ? "" : ",") + part->second;
    }
    return out;
}

}  // namespace millrace::tls::internal
