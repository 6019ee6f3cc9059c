"""How quick and how small the operator is, measured from outside: a table of what is promised and what was seen.

operator.py BIN CRDS: real brokers; everything below a directory of its own, on loopback. Times are those of the API server's
clients and of the operator's log. Ends with 1 if a promise was not kept.
"""
import base64
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime

BIN, CRDS = (os.path.abspath(path) for path in sys.argv[1:3])
METRICS_PORT = int(os.environ.get("PORT", "23080"))
EDITS = 10
SMALL_CLUSTERS = int(os.environ.get("CLUSTERS", "10"))
TOPICS = int(os.environ.get("TOPICS", "1000"))
CLUSTERS = "/apis/millrace.dev/v1/namespaces/default/clusters"
TOPIC_OBJECTS = "/apis/millrace.dev/v1/namespaces/default/topics"
MERGE = "application/merge-patch+json"


class Api:
    """One connection to the API server: what an edit costs is not the start of a program."""

    def __init__(self, kubeconfig):
        text = open(kubeconfig).read()
        self.host, self.port = re.search(r"server: https://([^:\s]+):(\d+)", text).groups()
        authority = base64.b64decode(re.search(r"certificate-authority-data: (\S+)", text).group(1)).decode()
        self.token = re.search(r"token: (\S+)", text).group(1)
        self.tls = ssl.create_default_context(cadata=authority)
        self.connection = self.connect()

    def connect(self):
        return http.client.HTTPSConnection(self.host, int(self.port), context=self.tls, timeout=60)

    def headers(self, content_type):
        return {"Authorization": "Bearer " + self.token, "Content-Type": content_type}

    def call(self, method, path, body=None, content_type="application/json"):
        data = None if body is None else json.dumps(body)
        try:
            self.connection.request(method, path, data, self.headers(content_type))
            answer = self.connection.getresponse()
        except (http.client.HTTPException, OSError):
            self.connection = self.connect()
            self.connection.request(method, path, data, self.headers(content_type))
            answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text)

    def edit(self, name, spec):
        """The moment before it is sent, in seconds."""
        began = time.time()
        self.call("PATCH", f"{CLUSTERS}/{name}", {"spec": spec}, MERGE)
        return began


class Program:
    def __init__(self, log, *command):
        self.log = log
        self.began = time.time()
        self.process = subprocess.Popen(command, stdout=open(log + ".out", "ab"), stderr=open(log, "ab"))

    def lines(self, since=0.0):
        """(seconds, line) of what it logged after a moment."""
        found = []
        for line in open(self.log, errors="replace"):
            stamp = line.split(" ", 1)[0]
            try:
                at = datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
            except ValueError:
                continue
            if at >= since - 0.001:
                found.append((at, line))
        return found

    def first(self, pattern, since, within=30):
        """When it first logged this after a moment."""
        end = time.time() + within
        while time.time() < end:
            for at, line in self.lines(since):
                if re.search(pattern, line):
                    return at
            time.sleep(0.02)
        raise RuntimeError(f"nothing like {pattern} in {self.log} within {within} s")

    def memory(self, field="VmRSS"):
        status = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(field + r":\s+(\d+) kB", status).group(1)) / 1024

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)


def condition(cluster, kind):
    for one in cluster.get("status", {}).get("conditions", []):
        if one["type"] == kind:
            return one["status"] == "True"
    return False


def is_ready(cluster):
    status = cluster.get("status", {})
    return condition(cluster, "Ready") and status.get("observedGeneration") == cluster["metadata"]["generation"]


def wait_for(what, holds, within=120, pause=0.02):
    end = time.time() + within
    while time.time() < end:
        if holds():
            return time.time()
        time.sleep(pause)
    raise RuntimeError(f"not within {within} s: {what}")


def wait_for_file(path):
    wait_for(path, lambda: os.path.exists(path) and os.path.getsize(path) > 0, 20)
    return path


def settled(api, name="main"):
    def holds():
        cluster = api.call("GET", f"{CLUSTERS}/{name}")
        return is_ready(cluster) and condition(cluster, "UpToDate")
    return holds


def metric(name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=5).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(name + r"[{ ]", line))


ROWS = []


def row(what, promised, seen, unit, holds):
    ROWS.append((what, f"{promised} {unit}", f"{seen} {unit}", "" if holds else "missed"))
    print(f"  {what}: {seen} {unit} (promised {promised})", flush=True)


def timed(what, promised, seconds, unit="ms"):
    value = round(seconds * 1000) if unit == "ms" else round(seconds, 2)
    row(what, promised, value, unit, value <= promised)


def cluster_object(name, replicas):
    return {"apiVersion": "millrace.dev/v1", "kind": "Cluster", "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": replicas, "storage": {"size": "1Gi"}}}


def topic_object(name, cluster):
    return {"apiVersion": "millrace.dev/v1", "kind": "Topic", "metadata": {"name": name, "namespace": "default"},
            "spec": {"clusterRef": {"name": cluster}, "partitions": 1, "replicas": 1}}


def local_operator(directory):
    manifest = os.path.join(directory, "cluster.yaml")
    json.dump(cluster_object("main", 3), open(manifest, "w"))
    return Program(os.path.join(directory, "operator.log"), f"{BIN}/millrace-operator", "--local", f"{directory}/data",
                   "--manifest", manifest, "--log-level", "debug", "--metrics-listener", f"127.0.0.1:{METRICS_PORT}")


def verdicts_to_steps(program, since):
    """From the first news that everybody is well after a restart to the next restart."""
    waits, well_since, steps = [], None, 0
    for at, line in program.lines(since):
        if "brokers.news" in line:
            well = "well=true" in line
            well_since = (well_since or at) if well else None
        elif "operator.acted" in line and "delete Pod" in line:
            if steps and well_since:
                waits.append(at - well_since)
            steps, well_since = steps + 1, None
    return waits


def one_cluster(directory):
    print("One cluster of three brokers, local mode", flush=True)
    operator = local_operator(directory)
    try:
        api = Api(wait_for_file(f"{directory}/data/kubeconfig"))
        wait_for("an answer", lambda: answers(api), 20)
        ready = wait_for("Ready", lambda: answers(api) and any(
            is_ready(one) for one in api.call("GET", CLUSTERS)["items"]), 120)
        timed("from nothing to Ready, local mode", 3000, ready - operator.began)
        timed("start to first reconcile", 1000, operator.first("operator.first_look", operator.began) - operator.began)
        wait_for("rest", settled(api))

        times = []
        for n in range(EDITS):
            began = api.edit("main", {"config": {"log.retention.ms": str(70000 + n)}})
            times.append(operator.first("operator.acted.*alter 1 settings", began) - began)
            wait_for("rest", settled(api))
        timed(f"edit to first action, median of {EDITS}", 200, statistics.median(times))
        timed(f"edit to first action, slowest of {EDITS}", 200, max(times))

        began = api.edit("main", {"config": {"auto.create.topics.enable": "false"}})
        rolled = lambda: len([1 for _, line in operator.lines(began) if "delete Pod" in line]) >= 3
        wait_for("the roll", lambda: rolled() and settled(api)(), 180)
        waits = verdicts_to_steps(operator, began)
        timed(f"verdict to next roll step, slowest of {len(waits)}", 1000, max(waits))

        before, passes = metric("millrace_operator_api_writes_total"), metric("millrace_operator_reconciles_total")
        time.sleep(30)
        row(f"writes within 30 s of rest ({metric('millrace_operator_reconciles_total') - passes:.0f} rounds)", 0,
            int(metric("millrace_operator_api_writes_total") - before), "", metric("millrace_operator_api_writes_total") == before)

        operator.end(signal.SIGKILL)
        operator = local_operator(directory)
        timed("killed and started again to first reconcile", 1000,
              operator.first("operator.first_look", operator.began) - operator.began)
    finally:
        operator.end()


def answers(api):
    try:
        api.call("GET", CLUSTERS)
        return True
    except (RuntimeError, OSError):
        return False


def without_rules(directory):
    """The kinds for an API server that has no predicates for their rules."""
    target = os.path.join(directory, "crds")
    os.makedirs(target)
    for name in os.listdir(CRDS):
        depth, kept = None, []
        for line in open(os.path.join(CRDS, name)):
            indent = len(line) - len(line.lstrip(" "))
            if depth is not None and (indent > depth or (indent == depth and line.lstrip().startswith("- "))):
                continue
            depth = indent if line.strip() == "x-kubernetes-validations:" else None
            if depth is None:
                kept.append(line)
        open(os.path.join(target, name), "w").writelines(kept)
    return target


def many_clusters(directory):
    print(f"{SMALL_CLUSTERS} clusters and {TOPICS} topics, the API server in a process of its own", flush=True)
    server = Program(f"{directory}/server.log", f"{BIN}/millrace-local", "--dir", f"{directory}/data", "--broker",
                     f"{BIN}/millrace-broker", "--crds", without_rules(directory))
    operator = None
    try:
        kubeconfig = wait_for_file(f"{directory}/data/kubeconfig")
        api = Api(kubeconfig)
        wait_for("an answer", lambda: answers(api), 20)
        operator = Program(f"{directory}/operator.log", f"{BIN}/millrace-operator", "--kubeconfig", kubeconfig, "--all-namespaces",
                           "--nodes", "--cluster-domain", "", "--metrics-listener", f"127.0.0.1:{METRICS_PORT}")
        for n in range(SMALL_CLUSTERS):
            api.call("POST", CLUSTERS, cluster_object(f"c{n}", 1))
        wait_for("every cluster's Ready", lambda: all(map(is_ready, api.call("GET", CLUSTERS)["items"])), 240, 0.5)
        row("memory with the clusters alone", 40, round(operator.memory(), 1), "MiB", operator.memory() <= 40)
        for n in range(TOPICS):
            api.call("POST", TOPIC_OBJECTS, topic_object(f"t{n}", f"c{n % SMALL_CLUSTERS}"))
        began = time.time()
        all_ready = lambda: sum(condition(one, "Ready") for one in api.call("GET", TOPIC_OBJECTS)["items"]) == TOPICS
        timed(f"{TOPICS} topics Ready after the last was created", 10, wait_for("topics", all_ready, 240, 0.2) - began, "s")
        time.sleep(30)
        row(f"memory of the operator, {SMALL_CLUSTERS} clusters, {TOPICS} topics", 40, round(operator.memory(), 1), "MiB",
            operator.memory() <= 40)
        row("the most it had", "-", round(operator.memory("VmHWM"), 1), "MiB", True)
        operator.end(signal.SIGKILL)
        operator = Program(f"{directory}/operator.log", f"{BIN}/millrace-operator", "--kubeconfig", kubeconfig, "--all-namespaces",
                           "--nodes", "--cluster-domain", "", "--metrics-listener", f"127.0.0.1:{METRICS_PORT}")
        time.sleep(30)
        row("memory of one that was started then", 40, round(operator.memory(), 1), "MiB", operator.memory() <= 40)
    finally:
        if operator:
            operator.end()
        server.end()


PARTS = (one_cluster, many_clusters)


def main():
    directory = tempfile.mkdtemp(prefix="millrace-figures-")
    try:
        for part in PARTS:
            below = os.path.join(directory, part.__name__)
            os.makedirs(below)
            part(below)
    finally:
        if os.environ.get("KEEP"):
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    widths = [max(len(one[column]) for one in ROWS) for column in range(3)]
    print()
    for what, promised, seen, verdict in ROWS:
        print(f"{what:<{widths[0]}}  {promised:>{widths[1]}}  {seen:>{widths[2]}}  {verdict}")
    sys.exit(1 if any(one[3] for one in ROWS) else 0)


main()
