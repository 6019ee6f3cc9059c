#!/usr/bin/env python3
"""Every metric of the table is fed by some source file: what /metrics and docs/metrics.md promise is counted somewhere. That each name in a
source file is in the table, the compiler sees to."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])

table = re.findall(r"^MR_(?:COUNTER|GAUGE|HISTOGRAM)\((\w+),", (root / "broker/metrics/metrics.def").read_text(), re.M)
fed = {
    name
    for path in (root / "broker").rglob("*.cc")
    if path.parent.name != "metrics"
    for name in re.findall(r"\bmetric::(\w+)", path.read_text())
}
if len(table) < 50 or len(fed) < 50:
    sys.exit(f"{len(table)} metrics and {len(fed)} uses were found: the patterns no longer fit")
wrong = [name for name in table if name not in fed]
for name in wrong:
    print(f"broker/metrics/metrics.def: nothing feeds {name}")
print(f"{len(table)} metrics, {len(wrong)} without a source")
sys.exit(bool(wrong))
