# An authority of our own for the journeys that speak TLS; sourced after lib.sh.
command -v openssl >/dev/null || { echo "openssl is not installed"; exit 77; }
pki=$dir/pki
mkdir -p "$pki"
authority() { # name
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -keyout "$pki/$1.key" -out "$pki/$1.pem" -subj "/CN=authority $1" 2>/dev/null
}
# certificate NAME AUTHORITY SUBJECT [ADDRESSES [DAYS]]: NAME.pem holds key and certificate, as a key store does.
certificate() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$pki/$1.key" -out "$pki/$1.csr" -subj "$3" 2>/dev/null
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/$2.pem" -CAkey "$pki/$2.key" -CAcreateserial -days "${5:-30}" -out "$pki/$1.crt" \
    ${4:+-extfile <(echo "subjectAltName=$4")} 2>/dev/null
  cat "$pki/$1.key" "$pki/$1.crt" >"$pki/$1.pem.new"
  mv "$pki/$1.pem.new" "$pki/$1.pem"
}
# client_settings NAME AUTHORITY: what kcat and the like must be told to be NAME.
client_settings() {
  printf '%s\n' security.protocol=ssl "ssl.ca.location=$pki/$2.pem" ssl.endpoint.identification.algorithm=https
  [ -z "$1" ] || printf '%s\n' "ssl.certificate.location=$pki/$1.crt" "ssl.key.location=$pki/$1.key"
}
