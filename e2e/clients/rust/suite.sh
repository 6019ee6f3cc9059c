#!/usr/bin/env bash
# The integration tests that a crate brings along, at this broker's address: suite.sh CRATE VERSION prepare|run, called by a suite's client.sh
# in its folder. FEATURES are cargo's; NEWER names crates (name@version) of its lock file that compilers of today refuse; checks are FILE::TEST.
set -euo pipefail
here=$PWD crate=$1 version=$2 verb=$3
home=$MILLRACE_E2E_CACHE/$(basename "$here")
source=$home/$crate-$version
. "$here/../excuse.sh"
case $verb in
  prepare)
    [ ! -f "$home/ready-$version" ] || exit 0
    rm -rf "$home/ask" "$source"; mkdir -p "$home/ask/src"; touch "$home/ask/src/lib.rs"
    printf '[package]\nname = "ask"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n' "$crate" "$version" >"$home/ask/Cargo.toml"
    manifest=$(cd "$home/ask" && cargo metadata --format-version 1 | jq -r --arg name "$crate" '.packages[] | select(.name == $name).manifest_path')
    cp -r "$(dirname "$manifest")" "$source"
    rm -f "$source/rust-toolchain.toml" # the compiler that is here
    cd "$source"
    for one in ${NEWER:-}; do cargo update --quiet "${one%@*}" --precise "${one#*@}"; done
    files=(); for file in $(cut -d: -f1 "$here/tests.txt" | sort -u); do files+=(--test "$file"); done
    CARGO_TARGET_DIR=$home/target CARGO_PROFILE_DEV_DEBUG=0 cargo test --locked --quiet --no-run --message-format=json ${FEATURES:+--features "$FEATURES"} "${files[@]}" |
      jq -r 'select(.executable != null and .target.kind == ["test"]) | .target.name + "\t" + .executable' >"$home/programs"
    [ -s "$home/programs" ]
    touch "$home/ready-$version" ;;
  run)
    cd "$source"
    status=0
    while IFS=$'\t' read -r file program; do
      tests=(); for name in $CHECKS; do case $name in "$file"::*) tests+=("${name#"$file"::}") ;; esac; done
      [ ${#tests[@]} -gt 0 ] || continue
      # "test part::name ... ok", or "... FAILED"
      { timeout "${TEST_SECONDS:-300}" "$program" --exact --test-threads "${TEST_THREADS:-2}" "${tests[@]}" 2>"$MILLRACE_E2E_STATE/$file.stderr" || true; } |
        tee "$MILLRACE_E2E_STATE/$file.log" |
        awk -v file="$file" '/^test .* \.\.\. (ok|FAILED|ignored)/ { print ($NF == "ok" ? "ok" : $4 == "ignored" || $4 == "ignored," ? "n/a" : "FAILED") "\t" file "::" $2 "\t"; fflush() }' |
        excuse || status=$?
    done <"$home/programs"
    exit "$status" ;;
esac
