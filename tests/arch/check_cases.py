#!/usr/bin/env python3
"""Holds tests/cases.txt against the sources: every case has a line, and every test that a line names exists."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WANTED = [*range(1, 51), *range(78, 91)]


def names():
    tests = set()
    for source in (ROOT / "tests").rglob("*.cc"):
        for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", source.read_text(), re.M):
            tests.add(f"{suite}.{name}")
    chaos = (ROOT / "e2e/chaos/chaos.py").read_text()
    tests |= {f"chaos:{name}" for name in re.findall(r"^def (\w+)\(run, rounds\)", chaos, re.M)}
    tests |= {f"journey:{path.stem}" for path in (ROOT / "tests/journeys").glob("*.sh")}
    tests |= {f"arch:{path.name}" for path in (ROOT / "tests/arch").iterdir()}
    bugs = (ROOT / "tests/sim/scenarios/cluster_scenario.cc").read_text()
    tests |= {f"bug:{name}" for name in re.findall(r'"(\w+)"', bugs)}
    plans = (ROOT / "tests/sim/regressions.txt").read_text()
    return tests | {f"sim:{name}" for name in re.findall(r"^(\w+): --", plans, re.M)}


def main():
    known, problems, found, shown = names(), [], set(), 0
    for line in (ROOT / "tests/cases.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        head, _, proof = line.partition(" | ")
        found.add(int(head.split()[0]))
        if proof.startswith("open: "):
            continue
        shown += 1
        if not proof.split():
            problems.append(f"case {head}: no test")
        problems += [f"case {head}: there is no {name}" for name in proof.split() if name not in known]
    problems += [f"case {number} has no line" for number in WANTED if number not in found]
    print("\n".join(problems) or f"{shown} of {len(WANTED)} cases with a test")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
