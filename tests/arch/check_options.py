#!/usr/bin/env python3
"""Holds what the option tables claim against who reads them: check_options.py [ROOT] [--list]

A row that says nothing else is honoured, so somebody must ask for it by its key (option::NAME and the like), or through a topic's or group's setting that falls back on it. A row that is
asked for must not say that it has no effect.

To be checked beside others is no effect (cross_checks.cc), nor is to be copied into a field that nobody looks at.
"""
import pathlib
import re
import sys

ROW = re.compile(r"MR_OPTION\((\w+), (\w+), \{(.*?)\}\)", re.S)
# limits.idle_deadline = milliseconds(values.get(option::connections_max_idle_ms));
COPY = re.compile(r"(?:\.|->)(\w+)\s*=\s*[^;=][^;]*?option::(\w+)", re.S)


def rows(root, pattern):
    for path in sorted((root / "broker/config").glob(pattern)):
        for name, _, body in ROW.findall(path.read_text()):
            text = lambda field: "".join(re.findall(r'"([^"]*)"', (re.search(
                rf'\.{field} = ((?:"[^"]*"\s*)+)', body) or [None, ""])[1]))
            support = re.search(r"\.support = (\w+)", body)
            yield {"id": name, "name": text("name"), "support": support[1] if support else "honoured",
                   "synonyms": [s.split("*")[0].strip() for s in text("synonyms").split(",") if s.strip()]}


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 and not sys.argv[1].startswith("-")
                        else pathlib.Path(__file__).resolve().parent.parent.parent)
    code = "\n".join(path.read_text() for folder in ("broker", "operator") for path in (root / folder).rglob("*")
                     if path.suffix in (".cc", ".h") and path.name != "cross_checks.cc")
    asked = set(re.findall(r"option::(\w+)", code))
    # A field is looked at where it is not itself what is set: x.field, or field.y and the like within its own struct.
    looked_at = {field for field, after in re.findall(r"(?:\.|->)(\w+)\b(\s*=(?!=))?", code) if not after}
    looked_at |= set(re.findall(r"(?<![.>\w])(\w+)(?:\.|->)", code))
    unseen = {option: field for field, option in COPY.findall(code) if field not in looked_at}
    faults, read_by_name = [], set()
    for scope, pattern in (("topic_option", "topic_*options.def"), ("group_option", "group_options.def"),
                           ("option", "broker_*options.def")):
        for row in rows(root, pattern):
            is_asked = row["id"] in asked
            if scope == "option":
                is_asked = is_asked or row["name"] in read_by_name
            if is_asked:
                read_by_name.update(row["synonyms"])
            if is_asked and row["support"] == "without_effect":
                faults.append(f"{row['name']}: said to be {row['support']}, and read")
            if not is_asked and row["support"] == "honoured":
                faults.append(f"{row['name']}: nobody reads it ({scope}::{row['id']}); say .support and .why")
            elif row["support"] == "honoured" and row["id"] in unseen:
                faults.append(f"{row['name']}: is copied to {unseen[row['id']]}, which nobody looks at")
    print("\n".join(faults) if faults else "every setting that claims an effect is read")
    return 1 if faults else 0


sys.exit(main())
