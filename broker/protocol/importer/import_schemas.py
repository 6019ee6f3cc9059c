#!/usr/bin/env python3
"""Imports Apache Kafka's message definitions as facts: import_schemas.py VERSION [--jars FOLDER]

Fetches the released jars of that version through Maven (or takes them from FOLDER), reads the JSON
definitions inside and rewrites broker/protocol/schemas/*.yaml. Only facts are taken: names, types,
versions, tags, defaults, nullability, entity types. Prose is not. What Kafka does not say in its
definitions, which fields are secret, is said here.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
SCHEMAS = HERE.parent / "schemas"

# jar -> family: which registry of records a message belongs to.
FAMILIES = {
    "kafka-clients": "rpc",
    "kafka-group-coordinator": "group",
    "kafka-transaction-coordinator": "transaction",
    "kafka-share-coordinator": "share",
    "kafka-metadata": "metadata",
    "kafka-raft": "data",
    "kafka-storage": "remote_log",
}

# Values no log or debug print may show. Config values may hold passwords, and an envelope carries
# whole requests that do.
SENSITIVE = {
    "AlterConfigsRequest.Resources.Configs.Value",
    "AlterUserScramCredentialsRequest.Upsertions.Salt",
    "AlterUserScramCredentialsRequest.Upsertions.SaltedPassword",
    "ConfigRecord.Value",
    "CreateDelegationTokenResponse.Hmac",
    "DescribeDelegationTokenResponse.Tokens.Hmac",
    "EnvelopeRequest.RequestData",
    "EnvelopeResponse.ResponseData",
    "ExpireDelegationTokenRequest.Hmac",
    "IncrementalAlterConfigsRequest.Resources.Configs.Value",
    "RenewDelegationTokenRequest.Hmac",
    "SaslAuthenticateRequest.AuthBytes",
    "SaslAuthenticateResponse.AuthBytes",
    "UserScramCredentialRecord.Salt",
    "UserScramCredentialRecord.ServerKey",
    "UserScramCredentialRecord.StoredKey",
}

# Our key for each of Kafka's, in the order they are written.
MESSAGE_KEYS = [("apiKey", "api_key"), ("validVersions", "versions"), ("flexibleVersions", "flexible"),
                ("latestVersionUnstable", "unstable"), ("deprecatedVersions", "deprecated"),
                ("listeners", "listeners")]
FIELD_KEYS = [("name", "name"), ("type", "type"), ("versions", "versions"),
              ("nullableVersions", "nullable"), ("taggedVersions", "tagged"), ("tag", "tag"),
              ("default", "default"), ("ignorable", "ignorable"), ("entityType", "entity"),
              ("mapKey", "key"), ("flexibleVersions", "flexible")]
# Said about how Java holds a value, or prose: no fact of the wire.
DROPPED = {"about", "fields", "zeroCopy", "type", "name", "commonStructs"}


def snake_case(name):
    """As Kafka's own generator does it: a run of capitals is one word."""
    out = ""
    capital = True
    for c in name:
        if c.isupper() and not capital:
            out += "_"
        capital = c.isupper()
        out += c.lower()
    return out


def fetch_jars(version, folder):
    if shutil.which("mvn") is None:
        raise SystemExit("make schemas takes Kafka's jars through Maven: apt-get install maven")
    subprocess.run(["mvn", "-B", "-q", "-f", str(HERE / "pom.xml"), f"-Dkafka.version={version}",
                    "dependency:copy-dependencies", f"-DoutputDirectory={folder}",
                    "-DincludeGroupIds=org.apache.kafka"], check=True)


def read_definitions(folder, version):
    for artifact, family in FAMILIES.items():
        with zipfile.ZipFile(folder / f"{artifact}-{version}.jar") as jar:
            for name in sorted(n for n in jar.namelist() if n.endswith(".json")):
                text = re.sub(r'(?m)^\s*//.*$|\s//[^\n"]*$', "", jar.read(name).decode())
                yield family, json.loads(text)


def scalar(value):
    """A YAML scalar. Strings that YAML would take for something else are quoted."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(value) + "]"
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z0-9_+.-]+", text)
    return text if plain else json.dumps(text)


def field_facts(field, path, seen):
    unknown = set(field) - {k for k, _ in FIELD_KEYS} - DROPPED
    if unknown:
        raise SystemExit(f"{path}: unknown keys {sorted(unknown)}: teach the importer what they mean")
    facts = dict(field)
    facts.setdefault("versions", field.get("taggedVersions"))
    # A default of JSON's null is none at all to Kafka; null as a default is written "null".
    pairs = [(ours, scalar(facts[key])) for key, ours in FIELD_KEYS if facts.get(key) is not None]
    if path in SENSITIVE:
        seen.add(path)
        pairs.append(("sensitive", "true"))
    return pairs


def write_fields(out, fields, indent, path, seen):
    for field in fields:
        name = field["name"]
        here = f"{path}.{name[0].upper()}{name[1:]}"
        facts = ", ".join(f"{k}: {v}" for k, v in field_facts(field, here, seen))
        if "fields" in field:
            out.append(f"{indent}- facts: {{{facts}}}")
            out.append(f"{indent}  fields:")
            write_fields(out, field["fields"], indent + "    ", here, seen)
        else:
            out.append(f"{indent}- {{{facts}}}")


def to_yaml(definition, family, seen):
    kind = definition["type"]
    unknown = set(definition) - {k for k, _ in MESSAGE_KEYS} - DROPPED
    if unknown:
        raise SystemExit(f"{definition['name']}: unknown keys {sorted(unknown)}")
    # The release is named once, beside them: the diff of an import shows what has changed and nothing else.
    out = ["# Facts of Apache Kafka, written by `make schemas`; never edited by hand.",
           f"name: {definition['name']}", f"kind: {kind}", f"family: {family}"]
    out += [f"{ours}: {scalar(definition[key])}" for key, ours in MESSAGE_KEYS if key in definition]
    name = definition["name"]
    if definition.get("commonStructs"):
        out.append("structs:")
        for struct in definition["commonStructs"]:
            out.append(f"  - name: {struct['name']}")
            out.append(f"    versions: {struct['versions']}")
            out.append("    fields:")
            write_fields(out, struct["fields"], "      ", f"{name}.{struct['name']}", seen)
    out.append("fields:" if definition.get("fields") else "fields: []")
    write_fields(out, definition.get("fields", []), "  ", name, seen)
    return "\n".join(out) + "\n"


def main(arguments):
    if not arguments or not re.fullmatch(r"\d+(\.\d+)+", arguments[0]):
        raise SystemExit("make schemas KAFKA=x.y.z: which release?")
    version = arguments[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        if "--jars" in arguments:
            folder = pathlib.Path(arguments[arguments.index("--jars") + 1])
        else:
            fetch_jars(version, folder)
        seen = set()
        files = {}
        for family, definition in read_definitions(folder, version):
            # An API of which no version is left has no message.
            if definition["validVersions"] != "none":
                files[snake_case(definition["name"])] = to_yaml(definition, family, seen)
    if seen != SENSITIVE:
        raise SystemExit(f"no such fields any more: {sorted(SENSITIVE - seen)}")
    for old in SCHEMAS.glob("*.yaml"):
        old.unlink()
    for name, text in files.items():
        (SCHEMAS / f"{name}.yaml").write_text(text)
    (SCHEMAS / "RELEASE").write_text(version + "\n")
    print(f"{len(files)} messages of Apache Kafka {version}")


if __name__ == "__main__":
    main(sys.argv[1:])
