#!/usr/bin/env python3
"""Holds every source of the programs against the second compiler, without building them.

    tools/second_compiler.py BUILD_DIR [PART...] [--all]

PART: folders of the checkout instead of broker and operator, such as tests, which the nightly alone builds.
BUILD_DIR is a configured tree of that compiler whose generated sources exist. The compiler parses, checks and
instantiates (-fsyntax-only) but emits nothing. Sources with the same flags share a run, so that what they include is
read once. Sharing decides nothing: names that two files keep to themselves may clash there, so the members of a run
that fails are checked one by one, and only what fails alone counts.

A run that was accepted is not read again while nothing that it reads has changed, in this checkout or another:
~/.cache/millrace/second_compiler remembers what each read, by content. --all reads everything.
"""
import concurrent.futures
import functools
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

RUN = 24  # Sources that share a run: more gains little, and one clash sends them all to be checked alone.
REMEMBERED = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                          "millrace", "second_compiler")
KEPT_FOR = 30 * 24 * 3600
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


@functools.lru_cache(maxsize=None)
def sum_of(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


class Memory:
    """What was accepted, and of which contents; paths as seen from the checkout's root."""

    def __init__(self, root, compiler, is_used):
        self.root = root
        self.is_used = is_used
        self.told = subprocess.run([compiler, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()

    def _place(self, flags, paths):
        words = "\0".join([self.told, *flags, *paths]).replace(self.root, "")
        return os.path.join(REMEMBERED, hashlib.sha256(words.encode()).hexdigest())

    def knows(self, flags, paths):
        try:
            with open(self._place(flags, paths), encoding="utf-8") as file:
                read = json.load(file)
        except (OSError, ValueError):
            return False
        return self.is_used and all(sum_of(os.path.join(self.root, path)) == content for path, content in read.items())

    def note(self, flags, paths, read):
        place = self._place(flags, paths)
        os.makedirs(REMEMBERED, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=REMEMBERED, delete=False, encoding="utf-8") as file:
            json.dump({os.path.relpath(path, self.root) if path.startswith(self.root + "/") else path: sum_of(path)
                       for path in read}, file)
        os.replace(file.name, place)

    def forget_old(self):
        """What nobody noted for a month belongs to sources that have changed since."""
        if not os.path.isdir(REMEMBERED):
            return
        for entry in os.scandir(REMEMBERED):
            if entry.stat().st_mtime < time.time() - KEPT_FOR:
                os.unlink(entry.path)


def read_by(rule):
    """The files that a make rule of the compiler names, but its target and the unit itself."""
    words = rule.replace("\\\n", " ").split(":", 1)[1].split()
    return [os.path.normpath(word) for word in words[1:]]


def check(memory, flags, paths):
    """The compiler's complaints about `paths` read one after the other; empty when it has none."""
    if memory.knows(flags, paths):
        return ""
    with tempfile.NamedTemporaryFile("w", suffix=".cc") as unit, tempfile.NamedTemporaryFile("r") as rule:
        unit.writelines(f'#include "{path}"\n' for path in paths)
        unit.flush()
        # A type with hidden parts is reported only where it is not in the main file: here none is.
        done = subprocess.run([*flags, "-Wno-subobject-linkage", "-fsyntax-only", "-MD", "-MF", rule.name, unit.name],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == 0:
            memory.note(flags, paths, read_by(rule.read()))
    return done.stdout if done.returncode else ""


def main():
    reads_all = "--all" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--all"]
    build = os.path.abspath(arguments[0])
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parts = arguments[1:] or ("broker", "operator")
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
    memory = Memory(root, work[0][0][0], not reads_all)
    memory.forget_old()
    known = sum(memory.knows(flags, run) for flags, run in work)
    alone = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (flags, run), said in zip(work, pool.map(lambda item: check(memory, *item), work)):
            if said and len(run) > 1:
                print(f"shared run with {os.path.relpath(run[0], root)} and {len(run) - 1} more: one by one")
                alone += [(flags, [path]) for path in run]
            elif said:
                alone.append((flags, run))
        failed = [said for said in pool.map(lambda item: check(memory, *item), alone) if said]
    print("\n".join(failed), end="")
    count = sum(len(paths) for paths in by_flags.values())
    print(f"{count} sources in {len(work)} runs, {known} of them accepted before, {len(alone)} checked alone, "
          f"{len(failed)} refused")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
