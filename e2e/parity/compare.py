"""What must be equal in two transcripts, and what may differ: ids, times, the brokers' own addresses, wording."""

import re
import uuid

import records

NO_ID = uuid.UUID(int=0)

# Fields whose value is each broker's own; equal values get equal names, so that "the same id again" is compared.
SYMBOLS = {"TopicId": "topic-id", "MemberId": "member", "Leader": "member", "ProducerId": "producer", "ClusterId": "cluster",
           "SessionId": "session", "ReplicaDirectoryId": "directory", "VoterDirectoryId": "directory"}
# Free text is for people: only its presence is compared.
TEXT = {"ErrorMessage", "BatchIndexErrorMessage", "Documentation"}
DROPPED = {"ThrottleTimeMs", "FinalizedFeaturesEpoch"}
ADDRESSES = {"Host", "Port"}
# Arrays whose order clients rely on.
ORDERED = {"Records"}


class Names:
    """Stands for one transcript's own ids, in order of their first appearance."""

    def __init__(self):
        self.given = {}

    def of(self, kind, value):
        if value in (NO_ID, "", None, -1, 0):
            return value if not isinstance(value, uuid.UUID) else "no id"
        known = self.given.setdefault(kind, {})
        return known.setdefault(value, f"{kind} {len(known) + 1}")


def shape(value, field=""):
    """Plain data that can be sorted and compared, ids not yet named."""
    if isinstance(value, dict):
        return {k: shape(v, k) for k, v in value.items() if k not in DROPPED}
    if isinstance(value, list):
        items = [shape(v, field) for v in value]
        return items if field in ORDERED else sorted(items, key=sort_key)
    if field == "Records":
        return [shape(b, "Batch") for b in records.describe(value)]
    if field in TEXT:
        return value if not value else "(text)"
    if field in ADDRESSES:
        return "(address)" if value not in ("", -1, None) else value
    return value


def sort_key(item):
    return repr(blind(item))


def blind(value, field=""):
    if isinstance(value, dict):
        return {k: blind(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [blind(v, field) for v in value]
    if field in SYMBOLS or isinstance(value, uuid.UUID):
        return "?"
    return value


def named(value, names, field=""):
    if isinstance(value, dict):
        return {k: named(v, names, k) for k, v in value.items()}
    if isinstance(value, list):
        items = [named(v, names, field) for v in value]
        return items if field in ORDERED else sorted(items, key=repr)
    if field in SYMBOLS:
        return names.of(SYMBOLS[field], value)
    if isinstance(value, uuid.UUID):
        return names.of("uuid", value)
    if isinstance(value, bytes):
        return value.hex()
    return value


def normal(transcript, scope):
    """`scope` is the prefix of the case's own names; it stands for nothing and is left out."""
    names = Names()
    return [(label, unscoped(named(shape(fact), names), scope)) for label, fact in transcript]


def unscoped(value, scope):
    if isinstance(value, dict):
        return {k: unscoped(v, scope) for k, v in value.items()}
    if isinstance(value, list):
        return [unscoped(v, scope) for v in value]
    return value.replace(scope, "~") if isinstance(value, str) else value


def differences(ours, theirs):
    """(step label, path, ours, theirs) for everything that is not equal."""
    found = []
    for (label, a), (other, b) in zip(ours, theirs):
        if label != other:
            found.append((label, "step", label, other))
            break
        walk(label, "", a, b, found)
    if len(ours) != len(theirs):
        found.append(("transcript", "steps", len(ours), len(theirs)))
    return found


def walk(label, path, a, b, found):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            if key not in a or key not in b:
                found.append((label, f"{path}.{key}", a.get(key, "(absent)"), b.get(key, "(absent)")))
            else:
                walk(label, f"{path}.{key}", a[key], b[key], found)
    elif isinstance(a, list) and isinstance(b, list):
        walk_list(label, path, a, b, found)
    elif (a != b or type(a) is not type(b)) and not says_more(path, a, b):
        found.append((label, path, a, b))


def says_more(path, ours, theirs):
    """A reason in words where Kafka gives none: no client can mind."""
    return path.rpartition(".")[2] in TEXT and not theirs and ours in ("(text)", "", None)


KEYS = ("Name", "Topic", "TopicName", "GroupId", "ResourceName", "Key", "ApiKey", "PartitionIndex", "Partition", "ConfigName")


def walk_list(label, path, a, b, found):
    """Pairs by the element's natural key where it has a unique one, else by place."""
    for key in KEYS:
        if all(isinstance(i, dict) and key in i for i in a + b) and a + b:
            left, right = {repr(i[key]): i for i in a}, {repr(i[key]): i for i in b}
            if len(left) == len(a) and len(right) == len(b):
                names = sorted(set(left) | set(right))
                for name in names:
                    walk(label, f"{path}[{name if len(names) > 1 else ''}]", left.get(name, "(absent)"), right.get(name, "(absent)"), found)
                return
    if len(a) != len(b):
        found.append((label, path, a, b))
        return
    for place, (x, y) in enumerate(zip(a, b)):
        walk(label, f"{path}[{place if len(a) > 1 else ''}]", x, y, found)


class Known:
    """The differences we accept: `case-pattern | step-pattern | path-pattern | reason`, one a line."""

    def __init__(self, path):
        self.rules = []
        with open(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip() and not line.startswith("#"):
                    parts = [p.strip() for p in line.split(" | ")]
                    if len(parts) != 4:
                        raise SystemExit(f"{path}:{number}: four fields, separated by ' | '")
                    self.rules.append([*(re.compile(p) for p in parts[:3]), parts[3], 0])

    def covers(self, case, step, path):
        for rule in self.rules:
            if rule[0].fullmatch(case) and rule[1].fullmatch(step) and rule[2].fullmatch(path):
                rule[4] += 1
                return True
        return False

    def unused(self):
        return [rule for rule in self.rules if rule[4] == 0]
