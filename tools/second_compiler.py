#!/usr/bin/env python3
"""Holds every source of the programs against the second compiler, without building them.

    tools/second_compiler.py BUILD_DIR [PART...]

PART: folders of the checkout instead of broker and operator, such as tests, which the nightly alone builds.
BUILD_DIR is a configured tree of that compiler whose generated sources exist. The compiler parses, checks and
instantiates (-fsyntax-only) but emits nothing. Sources with the same flags share a run, so that what they include is
read once. Sharing decides nothing: names that two files keep to themselves may clash there, so the members of a run
that fails are checked one by one, and only what fails alone counts.
"""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict

RUN = 24  # Sources that share a run: more gains little, and one clash sends them all to be checked alone.
DECLARED = re.compile(r"(?<!::)\b(\w+)$")


def names_of(path):
    """What the file declares at its top level, roughly: enough to keep most clashes apart."""
    names = set()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line[0] in "# }/\n\t":
                continue
            head = re.split(r"[(={;]| : |//", line, maxsplit=1)[0].rstrip()
            found = DECLARED.search(head)
            if found and not head.startswith("namespace"):
                names.add(found.group(1))
    return names - {"operator"}


def runs_of(paths):
    """Cuts `paths` into runs in which no name is declared twice."""
    runs = []
    for path in sorted(paths):
        names = names_of(path)
        for run in runs:
            if len(run["paths"]) < RUN and not names & run["names"]:
                break
        else:
            run = {"paths": [], "names": set()}
            runs.append(run)
        run["paths"].append(path)
        run["names"] |= names
    return [run["paths"] for run in runs]


def flags_of(entry):
    words = shlex.split(entry["command"])
    words = words[next(i for i, word in enumerate(words) if "++" in os.path.basename(word)):]
    kept, skip = [], False
    for word in words:
        if skip or word in ("-o", "-MT", "-MF"):
            skip = not skip
        elif word not in ("-c", "-MD", entry["file"]):
            kept.append(word)
    return tuple(kept)


def check(flags, paths):
    """The compiler's complaints about `paths` read one after the other; empty when it has none."""
    with tempfile.NamedTemporaryFile("w", suffix=".cc") as unit:
        unit.writelines(f'#include "{path}"\n' for path in paths)
        unit.flush()
        # A type with hidden parts is reported only where it is not in the main file: here none is.
        done = subprocess.run([*flags, "-Wno-subobject-linkage", "-fsyntax-only", unit.name],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout if done.returncode else ""


def main():
    build = os.path.abspath(sys.argv[1])
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parts = sys.argv[2:] or ("broker", "operator")
    folders = tuple(os.path.join(top, part, "") for top in (root, build) for part in parts)
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = [entry for entry in json.load(file)
                   if entry["file"].startswith(folders) and not entry["file"].endswith((".pb.cc", ".c"))]
    by_flags = defaultdict(set)
    for entry in entries:
        room = re.match(r"\W*\w+/\w+", os.path.relpath(entry["file"], root)).group()
        by_flags[room, flags_of(entry)].add(entry["file"])
    work = [(flags, run) for (_, flags), paths in by_flags.items() for run in runs_of(paths)]
    work.sort(key=lambda item: -sum(os.path.getsize(path) for path in item[1]))
    alone = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (flags, run), said in zip(work, pool.map(lambda item: check(*item), work)):
            if said and len(run) > 1:
                print(f"shared run with {os.path.relpath(run[0], root)} and {len(run) - 1} more: one by one")
                alone += [(flags, [path]) for path in run]
            elif said:
                alone.append((flags, run))
        failed = [said for said in pool.map(lambda item: check(*item), alone) if said]
    print("\n".join(failed), end="")
    count = sum(len(paths) for paths in by_flags.values())
    print(f"{count} sources in {len(work)} runs, {len(alone)} checked alone, {len(failed)} refused")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
