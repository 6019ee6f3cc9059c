#!/usr/bin/env bash
# message_codec over all that Kafka's own classes wrote, in each form that it reads, and over what nobody should write.
set -euo pipefail
codec=$(realpath "$1")
cd "$(dirname "$0")"
fail() { echo "FAILED: $*" >&2; exit 1; }
for family in data group metadata remote_log rpc share transaction; do
  said=$(zstdcat "$family.txt.zst" | "$codec" --brief 2>&1) || fail "$family: $said"
  echo "$family: $said"
done

# says WANTED CODE LINE...
says() {
  local wanted=$1 code=$2 said status=0
  shift 2
  said=$(printf '%s\n' "$@" | "$codec" 2>/dev/null) || status=$?
  [ "$said" = "$wanted" ] && [ "$status" = "$code" ] || fail "$*: [$said], $status; wanted [$wanted], $code"
}
says 'MetadataRequest 0 same' 0 'MetadataRequest 0 00000001000174'
says 'MetadataRequest 0 same' 0 'MetadataRequest 0 full 00000001000174 {"topics":[]}'
says 'MetadataRequest 0 same' 0 '{"key":3,"name":"Metadata","direction":"request","version":0,"header":1,"kind":"x","hex":"00000001000174","json":{"version":7}}'
says 'MetadataRequest 0 trailing 1' 1 'MetadataRequest 0 0000000100017400'
says 'MetadataRequest 0 refused byte 4: array longer than what is left of the input' 1 'MetadataRequest 0 000f4240'
says 'MetadataRequest 0 refused byte 4: array of more than a million elements' 1 'MetadataRequest 0 7fffffff'
says 'MetadataRequest 99 refused byte 0: version not known' 1 'MetadataRequest 99 00000000'
says '' 2 'NoSuchRequest 0 00'
says '' 2 'MetadataRequest 0 0g'
# Tags: kept if unknown, put into order, never taken twice.
says 'ApiVersionsRequest 3 same' 0 'ApiVersionsRequest 3 02610262015f0161'
says 'ApiVersionsRequest 3 other 0261026202500131600132' 1 'ApiVersionsRequest 3 0261026202600132500131'
says 'ApiVersionsRequest 3 refused byte 11: the same tag twice' 1 'ApiVersionsRequest 3 0261026202500131500132'
