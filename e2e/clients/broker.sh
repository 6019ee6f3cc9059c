#!/usr/bin/env bash
# The broker under test, as its clients' programs may handle it. State lies in $MILLRACE_E2E_STATE.
#   broker.sh up PORT NODES [KEY=VALUE...]   settings, then start and wait until clients are served
#                                            {node}, {port} and {port+N} in them are each node's own, {pair} is that of two nodes
#   broker.sh kill [NODE]                    kill -9, and return when the process is gone
#   broker.sh stop [NODE]                    end it in order, and return when the process is gone
#   broker.sh start [NODE]                   start again on the same data and wait until clients are served
#   broker.sh crash [NODE]                   kill and start
#   broker.sh down                           end every node
# Nodes count from 1; node n listens for clients on PORT + n - 1 and for the quorum on PORT + 10 + n - 1.
set -euo pipefail
state=${MILLRACE_E2E_STATE:?where the state of the brokers lies}
binary=${MILLRACE_BROKER:?the program to run}
verb=$1; shift

port_of() { echo $(($(cat "$state/port") + $1 - 1)); }
serves() { timeout 3 kcat -b "127.0.0.1:$1" -L >"$state/seen" 2>/dev/null && [ "$(grep -c '^  broker ' "$state/seen")" = "$2" ]; }
pause() { read -rt 0.1 <> <(:) || true; }

of_node() { # NODE; settings go through it
  local line port; port=$(port_of "$1")
  while IFS= read -r line; do
    line=${line//"{node}"/$1} line=${line//"{pair}"/$((($1 + 1) / 2))} line=${line//"{port}"/$port}
    while [[ $line =~ \{port\+([0-9]+)\} ]]; do line=${line//"${BASH_REMATCH[0]}"/$((port + BASH_REMATCH[1]))}; done
    printf '%s\n' "$line"
  done
}

launch() { # NODE
  local node=$1 args=() line
  while IFS= read -r line; do args+=(--set "$line"); done <"$state/node$node.settings"
  setsid "$binary" "${args[@]}" >>"$state/node$node.log" 2>&1 </dev/null &
  echo $! >"$state/node$node.pid"
}
await() { # NODE
  local end=$((SECONDS + 60))
  until serves "$(port_of "$1")" "$(cat "$state/nodes")"; do
    kill -0 "$(cat "$state/node$1.pid")" 2>/dev/null || { echo "node $1 ended: $(tail -n 3 "$state/node$1.log")" >&2; exit 1; }
    [ $SECONDS -lt $end ] || { echo "node $1 does not serve after 60 s" >&2; exit 1; }
    pause
  done
}
kill_hard() {
  local pid; pid=$(cat "$state/node$1.pid")
  kill -9 "$pid" 2>/dev/null || { echo "node $1 was not running" >&2; exit 1; }
  while kill -0 "$pid" 2>/dev/null; do pause; done
}

stop() { # PIDFILE
  local pid end; pid=$(cat "$1"); kill "$pid" 2>/dev/null || return 0
  end=$((SECONDS + 20))
  while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $end ]; do pause; done
  if kill -9 "$pid" 2>/dev/null; then echo "$(basename "$1" .pid) did not stop in 20 s" >&2; exit 1; fi
}

case $verb in
  up)
    base=$1 nodes=$2; shift 2
    mkdir -p "$state"; echo "$base" >"$state/port"; echo "$nodes" >"$state/nodes"
    voters=; for n in $(seq "$nodes"); do voters+=${voters:+,}$n@127.0.0.1:$((base + 9 + n)); done
    copies=$((nodes < 3 ? 1 : 3))
    for n in $(seq "$nodes"); do
      printf '%s\n' "node.id=$n" process.roles=broker,controller "log.dirs=$state/node$n.data" \
        "listeners=PLAINTEXT://127.0.0.1:$(port_of "$n"),CONTROLLER://127.0.0.1:$((base + 9 + n))" \
        "advertised.listeners=PLAINTEXT://127.0.0.1:$(port_of "$n")" controller.listener.names=CONTROLLER "controller.quorum.voters=$voters" cluster.id=ClientsEndToEnd000001 \
        "offsets.topic.replication.factor=$copies" "default.replication.factor=$copies" offsets.topic.num.partitions=4 \
        "min.insync.replicas=$((copies < 3 ? 1 : 2))" "millrace.metrics.listener=127.0.0.1:$((base + 19 + n))" \
        millrace.admin.listener= "$@" | of_node "$n" >"$state/node$n.settings"
      launch "$n"
    done
    for n in $(seq "$nodes"); do await "$n"; done ;;
  kill) kill_hard "${1:-1}" ;;
  stop) stop "$state/node${1:-1}.pid" ;;
  start) launch "${1:-1}"; await "${1:-1}" ;;
  crash) kill_hard "${1:-1}"; launch "${1:-1}"; await "${1:-1}" ;;
  down)
    for pidfile in "$state"/node*.pid; do stop "$pidfile"; done ;;
  *) echo "broker.sh: no verb $verb" >&2; exit 2 ;;
esac
