# Sourced by the suites that are the tests of a Go module, each with its folder in `here`.
home=$MILLRACE_E2E_CACHE/$(basename "$here")
. "$here/../excuse.sh"
# own_copy MODULE[@VERSION]: its source below $home/pristine, to build and to change; without a version it is the one of the clients (go.mod).
own_copy() {
  local what
  case $1 in
    *@*) what=$(go mod download -json "$1") ;;
    *) what=$(cd "$here/../go" && go mod download "$1" && go list -m -json "$1") ;;
  esac
  local version; version=$(jq -r .Version <<<"$what")
  if [ "$(cat "$home/version" 2>/dev/null)" = "$1 $version" ]; then return; fi
  rm -rf "$home"; mkdir -p "$home/pristine"
  cp -r "$(jq -r .Dir <<<"$what")/." "$home/pristine"; chmod -R u+w "$home/pristine"
  echo "$1 $version" >"$home/version"
}
# changed_copy SED FILE...: $home/source, where what the tests know by heart (ports) is said anew.
changed_copy() {
  rm -rf "$home/source"; cp -r "$home/pristine" "$home/source"
  (cd "$home/source" && sed -i "$@")
}
# build_tests FOLDER PACKAGE [FLAG...]: a program of the package's tests, $home/NAME.test; that of the module's root is called suite.
build_tests() {
  local name; name=$(basename "$2"); [ "$name" != . ] || name=suite
  (cd "$home/$1" && go test -mod=mod "${@:3}" -c -o "$home/$name.test" "$2")
}
# asked_tests [PREFIX]: those that are asked, of a prefix or all, as -test.run wants them.
asked_tests() { echo "^($(tr ' ' '\n' <<<"$CHECKS" | sed -n "s/^${1:-}\([^/]\+\).*/\1/p" | sort -u | paste -sd '|'))\$"; }
# run_tests LOG PREFIX PROGRAM ARGS...: its answers. "--- PASS: TestName (1.23s)", indented for subtests; what is asked is answered. With a
# PREFIX a check is that and the last part of the name. A test that fails ends the program with 1 and is said on its line.
run_tests() {
  local log=$1 prefix=$2; shift 2
  "$@" -test.v 2>&1 | tee "$log" |
    awk -v asked=" $(tr '\n' ' ' <<<"$CHECKS") " -v prefix="$prefix" '/^ *--- (PASS|FAIL|SKIP): / {
      result = $2; sub(":", "", result); name = $3; if (prefix != "") { sub(".*/", "", name); name = prefix name }
      if (index(asked, " " name " ")) print (result == "PASS" ? "ok" : result == "FAIL" ? "FAILED" : "n/a") "\t" name "\t" (result == "SKIP" ? "its own suite skips it" : $4)
      fflush() }' | excuse || [ $? = 1 ]
}
