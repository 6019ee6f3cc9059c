#!/usr/bin/env python3
"""Every place where foreign brokers differed from Kafka is held by a test, and the table in e2e/parity/README.md names it: each name there must
be a case of e2e/parity, a unit test or a journey that exists."""
import fnmatch
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
TRAPS = 31

cases = {
    f"{path.stem}.{name}"
    for path in (root / "e2e/parity/cases").glob("*.py")
    for name in re.findall(r"^def (\w+)\(", path.read_text(), re.M)
}
made = {f"{path.stem}.{name}" for path in (root / "e2e/parity/cases").glob("*.py") for name in re.findall(r'f"\{[^}]*\}(_\w+)"', path.read_text())}
tests = {
    f"{suite}.{name}"
    for path in (root / "tests/unit").rglob("*.cc")
    for suite, name in re.findall(r"TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", path.read_text())
}
rows = re.findall(r"^\| (\d+) \| ([^|]+)\| ([^|]+)\|$", (root / "e2e/parity/README.md").read_text(), re.M)
wrong = [f"traps {sorted(set(range(1, TRAPS + 1)) - {int(row[0]) for row in rows})} are not in the table"] if len(rows) != TRAPS else []
for number, trap, held_by in rows:
    names = re.findall(r"`([^`]+)`", held_by)
    if not names:
        wrong.append(f"trap {number} names no test")
    for name in names:
        if not fnmatch.filter(cases | tests | made, name):
            wrong.append(f"trap {number} ({trap.strip()}): there is no {name}")
print("\n".join(wrong) or f"{len(rows)} traps, each held by a test that exists")
sys.exit(bool(wrong))
