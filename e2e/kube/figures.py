"""How quick the operator is on a real Kubernetes: figures.py KUBECTL NAMESPACE CLUSTER, with KUBECONFIG set.

What is edited goes through `kubectl proxy`, so that the start of a program doesn't count; what the operator did stands in its log, which
has to be at level debug. One line of what was seen; ends with 1 if a promise was not kept.
"""
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime

KUBECTL, NAMESPACE, CLUSTER = sys.argv[1:4]
OBJECT = f"/apis/millrace.dev/v1/namespaces/{NAMESPACE}/clusters/{CLUSTER}"
EDITS = 10
REST = 30
seen, missed = [], []


class Proxied(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def call(api, method, path, body=None, kind="application/json"):
    api.request(method, path, None if body is None else json.dumps(body), {"Content-Type": kind})
    answer = api.getresponse()
    text = answer.read().decode()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
    return text


def kubectl(*arguments):
    return subprocess.run([KUBECTL, "-n", NAMESPACE, *arguments], check=True, capture_output=True, text=True, timeout=90).stdout


def log():
    """(seconds, line) of the leader's log; none while its pod comes or goes."""
    lines = []
    got = subprocess.run([KUBECTL, "-n", NAMESPACE, "logs", leader()], capture_output=True, text=True, timeout=90)
    for line in got.stdout.splitlines():
        try:
            lines.append((datetime.fromisoformat(line.split(" ", 1)[0].replace("Z", "+00:00")).timestamp(), line))
        except ValueError:
            continue
    return lines


def leader():
    """Who holds the lease; between two pods of a rollout nobody does for a moment."""
    end = time.time() + 20
    while time.time() < end:
        if holder := kubectl("get", "lease", "millrace-operator", "-o", "jsonpath={.spec.holderIdentity}"):
            return holder
    sys.exit("nobody leads")


def first(pattern, since, within=30):
    end = time.time() + within
    while time.time() < end:
        for at, line in log():
            if at >= since - 0.001 and re.search(pattern, line):
                return at
        time.sleep(0.1)
    raise RuntimeError(f"nothing like {pattern} in the operator's log within {within} s")


def wait_for(what, holds, within=180):
    end = time.time() + within
    while not holds():
        if time.time() > end:
            raise RuntimeError(f"not within {within} s: {what}")
        time.sleep(0.2)


def settled(api):
    cluster = json.loads(call(api, "GET", OBJECT))
    status = cluster.get("status", {})
    well = {one["type"] for one in status.get("conditions", []) if one["status"] == "True"}
    return status.get("observedGeneration") == cluster["metadata"]["generation"] and {"Ready", "UpToDate", "Balanced"} <= well


def edit(api, spec):
    began = time.time()
    call(api, "PATCH", OBJECT, {"spec": spec}, "application/merge-patch+json")
    return began


def promise(what, most, value, unit):
    seen.append(f"{what} {value:g} {unit}")
    if value > most:
        missed.append(f"{what}: {value:g} {unit}, promised {most}")


def metric(api, name):
    text = call(api, "GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{leader()}:8080/proxy/metrics")
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(name + r"[{ ]", line))


def measure(api):
    wait_for("rest", lambda: settled(api))
    times = []
    for n in range(EDITS):
        began = edit(api, {"config": {"log.retention.ms": str(70000 + n)}})
        times.append(first("operator.acted.*alter 1 settings", began) - began)
        wait_for("rest", lambda: settled(api))
    promise("an edit to the first action", 200, round(statistics.median(times) * 1000), "ms (median)")

    began = edit(api, {"config": {"auto.create.topics.enable": "false"}})
    brokers = len(json.loads(call(api, "GET", OBJECT))["status"]["brokers"])
    wait_for("the roll", lambda: sum(at >= began and "delete Pod" in line for at, line in log()) >= brokers and settled(api))
    waits, well_since, steps = [], None, 0
    for at, line in log():
        if at < began:
            continue
        if "brokers.news" in line:
            well_since = (well_since or at) if "well=true" in line else None
        elif "operator.acted" in line and "delete Pod" in line:
            if steps and well_since:
                waits.append(at - well_since)
            steps, well_since = steps + 1, None
    promise("a verdict to the next step of a roll", 1000, round(max(waits) * 1000), "ms at most")
    edit(api, {"config": None})
    wait_for("rest", lambda: settled(api))

    time.sleep(5)
    writes, rounds = (metric(api, f"millrace_operator_{name}_total") for name in ("api_writes", "reconciles"))
    time.sleep(REST)
    rounds = metric(api, "millrace_operator_reconciles_total") - rounds
    promise(f"{rounds:.0f} rounds of {REST} s at rest", 0, metric(api, "millrace_operator_api_writes_total") - writes, "writes")

    # From the moment its container runs, of which Kubernetes tells the second.
    before = leader()
    kubectl("delete", "pod", before, "--wait=false")
    wait_for("another leader", lambda: leader() not in ("", before))
    at = first("operator.first_look", began)
    lines = [when for when, line in log() if "operator.starts" in line]
    promise("an operator's start to its first round", 1000, round((at - lines[0]) * 1000), "ms")


def main():
    directory = tempfile.mkdtemp(prefix="millrace-kube-figures-")
    path = os.path.join(directory, "api")
    proxy = subprocess.Popen([KUBECTL, "proxy", f"--unix-socket={path}", "--reject-paths=^$"], stdout=subprocess.DEVNULL)
    try:
        wait_for("kubectl proxy", lambda: os.path.exists(path), 20)
        measure(Proxied(path))
    finally:
        proxy.terminate()
        proxy.wait(20)
        os.path.exists(path) and os.unlink(path)
        os.rmdir(directory)
    print("; ".join(seen))
    for one in missed:
        print("missed: " + one, file=sys.stderr)
    sys.exit(1 if missed else 0)


main()
