"""Holds the names in deploy/ against the table of metrics (docs/metrics.md) and against a scrape. See metrics.sh."""

import glob
import json
import os
import re
import sys

root, scrape = sys.argv[1], sys.argv[2]
NAME = re.compile(r"\b((?:millrace|process)_[a-z0-9_]+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
# Labels that Prometheus adds, and the bound of a histogram's bucket.
ADDED = {"cluster", "instance", "le"}


def table():
    known = {}
    with open(os.path.join(root, "docs", "metrics.md")) as lines:
        for line in lines:
            row = re.match(r"\| `(\w+)` \| (\w+) \| ([^|]*)\|", line)
            if row:
                known[row[1]] = (row[2], set(re.findall(r"`(\w+)`", row[3])))
    return known


def base(name, known):
    if name in known:
        return name
    stem = re.sub(r"_(bucket|sum|count)$", "", name)
    return stem if known.get(stem, ("",))[0] == "histogram" else None


def expressions():
    for path in sorted(glob.glob(os.path.join(root, "deploy", "grafana", "*.json"))):
        with open(path) as file:
            board = json.load(file)
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield f"{os.path.basename(path)}: {panel['title']}", target["expr"]
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                yield f"{os.path.basename(path)}: {variable['name']}", variable["query"]
    for path in sorted(glob.glob(os.path.join(root, "deploy", "alerts", "*.yaml"))):
        with open(path) as file:
            text = file.read()
        for name, expression in re.findall(r"- alert: (\w+)\n\s+expr: (\|\n(?: {10,}.*\n)+|.*\n)", text):
            yield f"{os.path.basename(path)}: {name}", expression


known = table()
with open(scrape) as lines:
    exposed = {re.match(r"\w+", line)[0] for line in lines if line[0].isalpha()}
wrong, count = [], 0
for where, expression in expressions():
    names = NAME.findall(expression)
    if not names:
        wrong.append(f"{where}: names no metric")
    labels_here = set()
    for name, matchers in names:
        count += 1
        metric = base(name, known)
        if metric is None:
            wrong.append(f"{where}: {name} is not in docs/metrics.md")
            continue
        if name not in exposed:
            wrong.append(f"{where}: {name} is not exposed by a running broker")
        labels_here |= known[metric][1]
        for label in re.findall(r"(\w+)\s*(?:=|!)", matchers):
            if label not in known[metric][1] | ADDED:
                wrong.append(f"{where}: {name} has no label {label}")
    for grouping in GROUPING.findall(expression):
        for label in re.findall(r"\w+", grouping):
            if label not in labels_here | ADDED:
                wrong.append(f"{where}: nothing there has the label {label}")
for line in wrong:
    print(line)
if count < 50:
    sys.exit(f"only {count} names were found in deploy/: the patterns no longer fit")
print(f"{count} names in deploy/, {len(wrong)} wrong")
sys.exit(1 if wrong else 0)
