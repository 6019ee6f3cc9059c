#!/usr/bin/env python3
"""Holds the rooms that CMake declared (build/<preset>/rooms.txt) against the include lines.

  check_rooms.py SOURCE_DIR ROOMS_TXT

Fails on an include of a room that is not declared (directly or through a declared one), on an include of another
room's internal/, and on a declared edge that makes a circle.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#include "([^"]+)"')


def read_rooms(path):
    rooms = {}
    for line in pathlib.Path(path).read_text().splitlines():
        name, folder, *depends = line.split()
        rooms[name] = (pathlib.PurePosixPath(folder), depends)
    return rooms


def reachable(rooms, name, seen=()):
    if name in seen:
        raise SystemExit("a circle of rooms: " + " -> ".join([*seen, name]))
    found = {name}
    for other in rooms[name][1]:
        if other not in rooms:
            raise SystemExit(f"{name} depends on {other}, which is no room")
        found |= reachable(rooms, other, (*seen, name))
    return found


def room_of(path, by_folder):
    for parent in path.parents:
        if parent in by_folder:
            return by_folder[parent]
    return None


def main():
    source, rooms_txt = pathlib.Path(sys.argv[1]), sys.argv[2]
    rooms = read_rooms(rooms_txt)
    by_folder = {folder: name for name, (folder, _) in rooms.items()}
    allowed = {name: reachable(rooms, name) for name in rooms}
    faults, edges = [], 0
    for name, (folder, _) in sorted(rooms.items()):
        for file in sorted((source / folder).rglob("*")):
            if file.suffix not in (".h", ".cc"):
                continue
            relative = pathlib.PurePosixPath(file.relative_to(source))
            if room_of(relative, by_folder) != name or file.name.endswith("_main.cc"):
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                for base in ("broker", "."):
                    target = pathlib.PurePosixPath(base) / match[1]
                    if (source / target).is_file():
                        break
                else:
                    continue  # generated
                other = room_of(target, by_folder)
                if other is None or other == name:
                    continue
                edges += 1
                where = f"{relative}:{number}"
                if other not in allowed[name]:
                    faults.append(f"{where}: {name} does not declare {other} ({match[1]})")
                if "internal" in target.parts:
                    faults.append(f"{where}: {match[1]} is internal to {other}")
    print("\n".join(faults) if faults else f"{len(rooms)} rooms, {edges} includes across rooms, all declared")
    return 1 if faults else 0


sys.exit(main())
