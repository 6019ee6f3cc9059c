#!/usr/bin/env bash
# Makes the keys and certificates that tests show each other; valid for a hundred years, trusted by
# nobody. Run it here only to replace them.
set -euo pipefail
cd "$(dirname "$0")"
authority() { # name
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 \
        -keyout "$1.key" -out "$1.pem" -subj "/CN=Millrace test $1" 2>/dev/null
}
signed() { # name authority subject extension
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" \
        -out "$1.csr" -subj "$3" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 36500 \
        -out "$1.pem" -extfile <(printf '%s\n' "$4") 2>/dev/null
    rm "$1.csr"
}
authority authority
authority stranger
signed server authority "/CN=localhost" "subjectAltName=DNS:localhost,IP:127.0.0.1"
signed client authority "/CN=alice/O=Millrace tests" "extendedKeyUsage=clientAuth"
signed intruder stranger "/CN=mallory" "extendedKeyUsage=clientAuth"
rm -f ./*.srl authority.key stranger.key stranger.pem
