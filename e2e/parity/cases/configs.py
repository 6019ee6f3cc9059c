"""Settings of topics, groups, brokers, and who changed them."""

import re

from registry import case

TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3

# Each process's own, or of a release: compared by presence alone.
OWN = {"log.dirs", "log.dir", "listeners", "advertised.listeners", "controller.quorum.voters", "node.id", "broker.id",
       "controller.listener.names", "inter.broker.listener.name", "listener.security.protocol.map", "process.roles", "metadata.log.dir",
       "controller.quorum.bootstrap.servers", "cluster.id"}
# What 4.4 added, and what Kafka's authorizer and our own rooms read: Kafka 4.3.1 does not list them.
OURS = re.compile(r"millrace\..*|errors\.deadletterqueue\..*|max\.decompressed\.message\.bytes|(log\.)?remote\.copy\.lag\..*|super\.users|"
                  r"allow\.everyone\.if\.no\.acl\.found|group\.streams\..*assign.*|group\.streams\.topology\..*|streams\..*assign.*|"
                  r"sasl\.oauthbearer\.allow\.unverified\..*|cluster\.id")


def described(answer, only_shared=False):
    """Without what is each broker's own."""
    for result in answer.get("Results", []):
        kept = []
        for config in result["Configs"]:
            config.pop("Documentation", None)
            if OURS.fullmatch(config["Name"]):
                continue
            if config["Name"] in OWN:
                config["Value"] = config["Synonyms"] = config["ConfigSource"] = "(own)"
            kept.append(config)
        result["Configs"] = kept
    return answer


def describe(side, label, version, kind, name, keys=None, **more):
    answer = side.tell("DescribeConfigs", {"Resources": [
        {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}], **more}, version)
    side.note(label, described(answer))


@case("DescribeConfigs", trap=9)
def describes_a_topic(side, version):
    name = side.topic(cleanup_policy="compact", retention_ms=1000)
    describe(side, "all", version, TOPIC, name)
    describe(side, "with synonyms", version, TOPIC, name, IncludeSynonyms=True)
    describe(side, "two keys", version, TOPIC, name, ["cleanup.policy", "segment.bytes"], IncludeSynonyms=True)
    describe(side, "unknown key", version, TOPIC, name, ["no.such.key"])
    describe(side, "no keys", version, TOPIC, name, [])
    describe(side, "unknown topic", version, TOPIC, side.name("none"))
    describe(side, "invalid topic", version, TOPIC, "a b")
    describe(side, "empty topic", version, TOPIC, "")
    if version >= 3:
        answer = side.tell("DescribeConfigs", {"IncludeDocumentation": True, "Resources": [
            {"ResourceType": TOPIC, "ResourceName": name, "ConfigurationKeys": ["cleanup.policy"]}]}, version)
        side.note("documentation", bool(answer["Results"][0]["Configs"][0]["Documentation"]))


@case("DescribeConfigs")
def describes_the_broker(side, version):
    describe(side, "broker", version, BROKER, "1")
    describe(side, "broker with synonyms", version, BROKER, "1", IncludeSynonyms=True)
    describe(side, "some", version, BROKER, "1", ["num.partitions", "message.max.bytes", "log.retention.ms", "log.retention.hours"],
             IncludeSynonyms=True)
    describe(side, "cluster default", version, BROKER, "")
    describe(side, "other broker", version, BROKER, "7")
    describe(side, "no number", version, BROKER, "one")


@case("DescribeConfigs")
def describes_other_kinds(side, version):
    describe(side, "group", version, GROUP, side.name("g"), IncludeSynonyms=True)
    describe(side, "empty group", version, GROUP, "")
    describe(side, "client metrics", version, CLIENT_METRICS, side.name("m"), IncludeSynonyms=True)
    describe(side, "empty client metrics", version, CLIENT_METRICS, "")
    for name in ("", "7", "one"):
        describe(side, f"loggers of [{name}]", version, LOGGER, name)
    describe(side, "unknown kind", version, 99, "x")
    describe(side, "kind 0", version, 0, "x")
    side.ask("nothing", "DescribeConfigs", version, {"Resources": []})


def alter(side, label, version, kind, name, *ops, **more):
    """`ops`: (key, value[, operation])."""
    side.ask(label, "IncrementalAlterConfigs", version, {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": [
        {"Name": o[0], "Value": o[1], "ConfigOperation": o[2] if len(o) > 2 else SET} for o in ops]}], **more})


def seen(side, label, kind, name, *keys):
    """What the broker shows, once it has heard of the change: of a topic that is made after it, it hears later."""
    side.topic("after")
    describe(side, label, 4, kind, name, list(keys))


@case("IncrementalAlterConfigs")
def alters_a_topic(side, version):
    name = side.topic()
    alter(side, "set", version, TOPIC, name, ("retention.ms", "5000"), ("cleanup.policy", "compact"))
    alter(side, "append", version, TOPIC, name, ("cleanup.policy", "delete", APPEND))
    alter(side, "append again", version, TOPIC, name, ("cleanup.policy", "delete", APPEND))
    seen(side, "seen", TOPIC, name, "retention.ms", "cleanup.policy")
    alter(side, "subtract", version, TOPIC, name, ("cleanup.policy", "compact", SUBTRACT))
    alter(side, "subtract what is not there", version, TOPIC, name, ("cleanup.policy", "compact", SUBTRACT))
    alter(side, "delete", version, TOPIC, name, ("retention.ms", None, DELETE))
    alter(side, "delete what is not set", version, TOPIC, name, ("segment.ms", None, DELETE))
    seen(side, "seen again", TOPIC, name, "retention.ms", "cleanup.policy")
    alter(side, "only validated", version, TOPIC, name, ("retention.ms", "77"), ValidateOnly=True)
    seen(side, "not changed", TOPIC, name, "retention.ms")
    for label, op in {"bad value": ("retention.ms", "soon"), "out of range": ("min.insync.replicas", "0"), "null value": ("retention.ms", None),
                      "unknown key": ("no.such.key", "1"), "empty key": ("", "1"), "unknown operation": ("retention.ms", "1", 9),
                      "append to a number": ("retention.ms", "1", APPEND), "append null": ("cleanup.policy", None, APPEND),
                      "append nothing": ("cleanup.policy", "", APPEND), "append a comma": ("cleanup.policy", ",", APPEND),
                      "not a policy": ("cleanup.policy", "shred", APPEND), "spaces": ("retention.ms", " 9 "),
                      "too large for its type": ("segment.bytes", "99999999999"), "negative": ("segment.bytes", "-1"),
                      "bool": ("preallocate", "yes"), "double": ("min.cleanable.dirty.ratio", "2.0"),
                      "timestamp type": ("message.timestamp.type", "Never"), "compression": ("compression.type", "rar"),
                      "remote storage": ("remote.storage.enable", "true")}.items():
        alter(side, label, version, TOPIC, name, op)
    alter(side, "same key twice", version, TOPIC, name, ("retention.ms", "1"), ("retention.ms", "2"))
    alter(side, "good and bad", version, TOPIC, name, ("retention.ms", "123"), ("segment.ms", "x"))
    seen(side, "neither", TOPIC, name, "retention.ms", "segment.ms")
    alter(side, "unknown topic", version, TOPIC, side.name("none"), ("retention.ms", "1"))
    alter(side, "invalid topic", version, TOPIC, "a b", ("retention.ms", "1"))
    alter(side, "nothing to set", version, TOPIC, name)
    side.ask("resource twice", "IncrementalAlterConfigs", version, {"Resources": [
        {"ResourceType": TOPIC, "ResourceName": name, "Configs": [{"Name": "retention.ms", "Value": "1", "ConfigOperation": SET}]},
        {"ResourceType": TOPIC, "ResourceName": name, "Configs": [{"Name": "retention.ms", "Value": "2", "ConfigOperation": SET}]}]})
    side.ask("nothing", "IncrementalAlterConfigs", version, {"Resources": []})


@case("IncrementalAlterConfigs")
def alters_other_kinds(side, version):
    alter(side, "broker, dynamic", version, BROKER, "1", ("log.cleaner.threads", "1"))
    alter(side, "broker, delete", version, BROKER, "1", ("log.cleaner.threads", None, DELETE))
    alter(side, "broker, read only", version, BROKER, "1", ("num.partitions", "3"))
    alter(side, "broker, unknown", version, BROKER, "1", ("no.such.key", "3"))
    seen(side, "broker, unknown, seen", BROKER, "1", "no.such.key")
    for label, op in {"null": ("no.such.key", None), "append": ("no.such.key", "3", APPEND), "subtract": ("no.such.key", "3", SUBTRACT),
                      "a topic's": ("retention.ms", "5"), "a listener's": ("listener.name.x.no.such", "1")}.items():
        alter(side, f"broker, unknown, {label}", version, BROKER, "1", op)
        alter(side, f"cluster default, unknown, {label}", version, BROKER, "", op)
    for resource, names in (("1", ("retention.ms", "listener.name.x.no.such")), ("", ("retention.ms",))):
        alter(side, f"unknown, deleted of {resource or 'all'}", version, BROKER, resource, *((name, None, DELETE) for name in names))
    side.tell("IncrementalAlterConfigs", {"Resources": [{"ResourceType": BROKER, "ResourceName": "1", "Configs": [
        {"Name": "no.such.key", "ConfigOperation": DELETE, "Value": None}]}]})  # Kafka would go on showing it
    alter(side, "broker, bad value", version, BROKER, "1", ("log.cleaner.threads", "many"))
    alter(side, "broker, other addresses", version, BROKER, "1", ("listeners", "PLAINTEXT://127.0.0.1:1"))
    alter(side, "broker, cordons a directory that it hasn't", version, BROKER, "1", ("cordoned.log.dirs", "/no/such/directory"))
    alter(side, "broker, adds one to the cordoned that it hasn't", version, BROKER, "1", ("cordoned.log.dirs", "/no/such/directory", APPEND))
    alter(side, "broker, cordons nothing", version, BROKER, "1", ("cordoned.log.dirs", ""))
    alter(side, "broker, cordons no longer", version, BROKER, "1", ("cordoned.log.dirs", None, DELETE))
    alter(side, "cluster default, cordons", version, BROKER, "", ("cordoned.log.dirs", "*"))
    alter(side, "cluster default", version, BROKER, "", ("log.cleaner.threads", "1"))
    alter(side, "cluster default, delete", version, BROKER, "", ("log.cleaner.threads", None, DELETE))
    alter(side, "cluster default, per broker only", version, BROKER, "", ("advertised.listeners", "PLAINTEXT://h:1"))
    alter(side, "other broker", version, BROKER, "9", ("log.cleaner.threads", "1"))
    alter(side, "other broker, delete", version, BROKER, "9", ("log.cleaner.threads", None, DELETE))
    alter(side, "no number", version, BROKER, "one", ("log.cleaner.threads", "1"))
    group = side.name("g")
    alter(side, "group", version, GROUP, group, ("consumer.session.timeout.ms", "6000"))
    alter(side, "group, bad value", version, GROUP, group, ("consumer.session.timeout.ms", "x"))
    alter(side, "group, below the broker's minimum", version, GROUP, group, ("consumer.session.timeout.ms", "1"))
    alter(side, "group, heard no more often than it may be silent", version, GROUP, group, ("consumer.heartbeat.interval.ms", "6000"))
    alter(side, "group, unknown", version, GROUP, group, ("no.such.key", "x"))
    alter(side, "group, delete", version, GROUP, group, ("consumer.session.timeout.ms", None, DELETE))
    alter(side, "empty group", version, GROUP, "", ("consumer.session.timeout.ms", "6000"))
    metrics = side.name("m")
    alter(side, "client metrics", version, CLIENT_METRICS, metrics, ("interval.ms", "1000"), ("metrics", "org.apache"))
    alter(side, "client metrics, bad", version, CLIENT_METRICS, metrics, ("interval.ms", "1"))
    alter(side, "client metrics, match", version, CLIENT_METRICS, metrics, ("match", "client_id=["))
    alter(side, "client metrics, unknown", version, CLIENT_METRICS, metrics, ("x", "1"))
    alter(side, "client metrics, delete", version, CLIENT_METRICS, metrics, ("interval.ms", None, DELETE), ("metrics", None, DELETE))
    alter(side, "unknown kind", version, 99, "x", ("a", "b"))


@case("AlterConfigs")
def replaces_all_settings(side, version):
    name = side.topic(retention_ms=5, segment_ms=70000)

    def replace(label, kind, resource, pairs, **more):
        side.ask(label, "AlterConfigs", version, {"Resources": [{"ResourceType": kind, "ResourceName": resource, "Configs": [
            {"Name": k, "Value": v} for k, v in pairs]}], **more})
    replace("one", TOPIC, name, [("retention.ms", "9000")])
    seen(side, "the other is gone", TOPIC, name, "retention.ms", "segment.ms")
    replace("bad value", TOPIC, name, [("retention.ms", "x")])
    replace("null value", TOPIC, name, [("retention.ms", None)])
    replace("unknown key", TOPIC, name, [("no.such.key", "1")])
    replace("same key twice", TOPIC, name, [("retention.ms", "1"), ("retention.ms", "2")])
    replace("only validated", TOPIC, name, [("retention.ms", "1")], ValidateOnly=True)
    seen(side, "unchanged", TOPIC, name, "retention.ms")
    replace("none", TOPIC, name, [])
    seen(side, "all gone", TOPIC, name, "retention.ms")
    replace("unknown topic", TOPIC, side.name("none"), [("retention.ms", "1")])
    replace("unknown kind", 99, "x", [])
    replace("broker, cordons a directory that it hasn't", BROKER, "1", [("cordoned.log.dirs", "/no/such/directory")])
    replace("group", GROUP, side.name("g"), [("consumer.session.timeout.ms", "6000")])
    replace("group, none", GROUP, side.name("g"), [])
    side.ask("nothing", "AlterConfigs", version, {"Resources": []})


@case("AlterConfigs")
def takes_back_all_that_it_shows(side, version):
    """Programs that read every setting, change one and write them all; and those that make a topic like another."""
    name = side.topic(compression_type="gzip")
    shown = side.tell("DescribeConfigs", {"Resources": [{"ResourceType": TOPIC, "ResourceName": name, "ConfigurationKeys": None}]})
    pairs = [{"Name": c["Name"], "Value": "9000" if c["Name"] == "retention.ms" else c["Value"]} for c in shown["Results"][0]["Configs"]]
    side.ask("all of them", "AlterConfigs", version, {"Resources": [{"ResourceType": TOPIC, "ResourceName": name, "Configs": pairs}]})
    seen(side, "one changed", TOPIC, name, "retention.ms", "compression.type")
    answer = side.tell("CreateTopics", {"TimeoutMs": 10000, "Topics": [{
        "Name": side.name("twin"), "NumPartitions": 1, "ReplicationFactor": 1, "Configs": pairs}]})
    side.note("a twin", answer["Topics"][0]["ErrorCode"])
    side.ask("each set", "IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": TOPIC, "ResourceName": name, "Configs": [
        {**p, "ConfigOperation": SET} for p in pairs]}]})


@case("ListConfigResources")
def lists_resources(side, version):
    group, metrics, name = side.name("g"), side.name("m"), side.topic()
    side.tell("IncrementalAlterConfigs", {"Resources": [
        {"ResourceType": GROUP, "ResourceName": group, "Configs": [{"Name": "consumer.session.timeout.ms", "Value": "6000"}]},
        {"ResourceType": CLIENT_METRICS, "ResourceName": metrics, "Configs": [{"Name": "interval.ms", "Value": "1000"}]}]})

    def ask(label, **body):
        answer = side.tell("ListConfigResources", body, version)
        if label == "default":
            answer = side.until("ListConfigResources", body, lambda a: any(r["ResourceName"] == metrics for r in a["ConfigResources"]),
                                version=version)
        answer["ConfigResources"] = [r for r in answer.get("ConfigResources", []) if r["ResourceName"] in (group, metrics, name, "1", "")]
        side.note(label, answer)
    ask("default")
    if version >= 1:
        for kind in (TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP):
            ask(f"kind {kind}", ResourceTypes=[kind])
        ask("several", ResourceTypes=[TOPIC, GROUP])
        ask("unknown kind", ResourceTypes=[99])
        ask("none", ResourceTypes=[])
    side.tell("IncrementalAlterConfigs", {"Resources": [
        {"ResourceType": GROUP, "ResourceName": group, "Configs": [{"Name": "consumer.session.timeout.ms", "ConfigOperation": DELETE}]},
        {"ResourceType": CLIENT_METRICS, "ResourceName": metrics, "Configs": [{"Name": "interval.ms", "ConfigOperation": DELETE}]}]})
