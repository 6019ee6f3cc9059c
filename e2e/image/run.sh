#!/usr/bin/env bash
# run.sh [IMAGE.tar]: what a container engine would do with the image, with the kernel's own means: its layers, its
# user, a read-only root, a volume for the data, no capability. kcat produces and consumes. Wants root.
set -euo pipefail
cd "$(dirname "$0")/../.."
image=${1:-$(ls -t build/image/millrace_*.tar | head -1)}
[ "$(id -u)" = 0 ] || { echo "e2e/image: wants root for its mounts" >&2; exit 2; }
work=$(mktemp -d)
broker=
stop() {
  [ -z "$broker" ] || { kill "$broker" 2>/dev/null || true; wait "$broker" 2>/dev/null || true; }
  rm -rf "$work"
}
trap stop EXIT
mkdir "$work/image" "$work/root"
tar -C "$work/image" -xf "$image"
python3 - "$work/image" >"$work/layers" <<'PY'
import json, pathlib, sys
root = pathlib.Path(sys.argv[1])
blob = lambda item: json.loads((root / "blobs" / item["digest"].replace(":", "/")).read_text())
manifest = blob(json.loads((root / "index.json").read_text())["manifests"][0])
config = blob(manifest["config"])["config"]
print(config["User"], *config["Entrypoint"])
for layer in manifest["layers"]:
    print(root / "blobs" / layer["digest"].replace(":", "/"))
PY
read -r user entrypoint <"$work/layers"
tail -n +2 "$work/layers" | while read -r layer; do tar -C "$work/root" -xzf "$layer"; done
case $user in 0* | root* | "") echo "the image runs as root" >&2; exit 1 ;; esac

port=${MILLRACE_IMAGE_PORT:-19392}
metrics=$((port + 1))
unshare --mount bash -c '
  set -e
  mount --bind "$1/root" "$1/root"
  mount -o remount,ro,bind,nosuid,nodev "$1/root"
  mount -t tmpfs -o "uid=${2%:*},gid=${2#*:},mode=0750" tmpfs "$1/root/var/lib/millrace"
  exec setpriv --no-new-privs --reset-env \
    chroot --userspec="$2" "$1/root" "$3" --set log.dirs=/var/lib/millrace/data \
    --set "listeners=PLAINTEXT://127.0.0.1:$4,CONTROLLER://127.0.0.1:0" --set controller.listener.names=CONTROLLER \
    --set "millrace.metrics.listener=127.0.0.1:$5" --set millrace.admin.listener= \
    --set offsets.topic.replication.factor=1' run "$work" "$user" "$entrypoint" "$port" "$metrics" \
  >"$work/log" 2>&1 &
broker=$!
for _ in $(seq 200); do
  kill -0 "$broker" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  curl -fs -m 1 --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$metrics/readyz" >/dev/null && break
done
seq 1000 | timeout 30 kcat -b "127.0.0.1:$port" -P -t greetings -X acks=all
got=$(timeout 30 kcat -b "127.0.0.1:$port" -C -t greetings -o beginning -e -q | sort -n | uniq | wc -l)
[ "$got" = 1000 ] || { echo "read $got of 1000 records" >&2; cat "$work/log" >&2; exit 1; }
kill -TERM "$broker"
wait "$broker" || { echo "the broker ended with $?" >&2; cat "$work/log" >&2; exit 1; }
broker=
echo "image: user $user, read-only root, no capability: 1000 records in and out, a clean stop"
