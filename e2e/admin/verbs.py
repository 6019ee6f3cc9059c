"""What operators ask of a cluster of three: verbs.py ADMIN_1 ADMIN_2 ADMIN_3 (brokers 1 to 3, racks a to c)"""
import sys

import grpc
from harness import checks, finish, stubs_of, until
from millrace.admin.v1 import cluster_pb2 as cluster, common_pb2, topics_pb2 as topics

check = checks("verbs")


def refused(call, request):
    try:
        return None, call(request, timeout=10)
    except grpc.RpcError as error:
        return error.code(), error.details()


stubs = stubs_of(sys.argv[1:])


def health(stub):
    for seen in stub.Health(cluster.HealthRequest(), timeout=10):
        return seen


def broker(number, stub=stubs[0]):
    return next((one for one in health(stub).brokers if one.id == number), None)


def replicas(topic, stub=stubs[0]):
    found = stub.DescribeTopics(topics_pb2_request(topic), timeout=10)
    return [list(one.replicas) for one in found.topics[0].partitions]


def topics_pb2_request(name):
    return topics.DescribeTopicsRequest(topics=[topics.TopicRef(name=name)])


def create(name, partitions, factor):
    answer = stubs[0].CreateTopics(topics.CreateTopicsRequest(topics=[topics.NewTopic(
        name=name, partitions=partitions, replication_factor=factor)]), timeout=15)
    return answer.topics[0]


RUNNING = cluster.BROKER_STATE_RUNNING
check("three brokers run", until(lambda: sum(one.state == RUNNING for one in health(stubs[0]).brokers) == 3))
create("orders", 6, 3)
check("its replicas are in sync", until(lambda: health(stubs[0]).partitions.under_replicated == 0))

# Cordon, asked of a broker that may not be the controller, seen by all.
for asked in range(3):
    answer = stubs[asked].Cordon(cluster.CordonRequest(broker_ids=[2]), timeout=15)
    check(f"cordon through broker {asked + 1}", list(answer.cordoned) == [2], answer)
check("everybody sees the cordon", all(until(lambda s=s: broker(2, s).cordoned) for s in stubs))
check("a new topic goes elsewhere", create("elsewhere", 4, 2).error.kafka_error == 0 and
      all(2 not in one for one in replicas("elsewhere")), replicas("elsewhere"))
check("three copies have no place", create("nowhere", 1, 3).error.kafka_error == 38)
code, why = refused(stubs[1].Cordon, cluster.CordonRequest(broker_ids=[9]))
check("a stranger can't be cordoned", code == grpc.StatusCode.NOT_FOUND, (code, why))
dry = stubs[1].Uncordon(cluster.UncordonRequest(guard=common_pb2.Guard(dry_run=True), broker_ids=[2]), timeout=15)
check("a dry run changes nothing", not dry.cordoned and broker(2).cordoned, dry)
check("uncordon", not stubs[2].Uncordon(cluster.UncordonRequest(broker_ids=[2]), timeout=15).cordoned)

# Leaders leave and come back.
leaders = lambda number: broker(number).leaders
before = leaders(1)
answer = stubs[1].DrainLeaders(cluster.DrainLeadersRequest(broker_id=1), timeout=20)
check("all leaders leave a drained broker", before > 0 and answer.leaders_left == 0 and not answer.stuck, answer)
check("it shows as draining", until(lambda: broker(1).state == cluster.BROKER_STATE_DRAINING))
check("nothing is offline for it", health(stubs[0]).partitions.offline == 0)
elected = stubs[2].ElectLeaders(topics.ElectLeadersRequest(), timeout=20)
check("an election gives it nothing", leaders(1) == 0, elected)
answer = stubs[2].DrainLeaders(cluster.DrainLeadersRequest(broker_id=1, undo=True), timeout=20)
check("undone, leaders come back", until(lambda: leaders(1) == before), (before, leaders(1)))

# May it stop?
may = lambda ids, stub=stubs[1]: stub.RestartCheck(cluster.RestartCheckRequest(broker_ids=ids), timeout=10)
check("one of three may stop", may([2]).allowed, may([2]))
two = may([1, 2])
reasons = {one.reason for one in two.blockers}
check("two may not: a partition and the quorum forbid it", not two.allowed and {
    cluster.RestartBlocker.REASON_UNDER_MIN_ISR, cluster.RestartBlocker.REASON_QUORUM} <= reasons and
    any(one.partition.topic == "orders" for one in two.blockers), two)
progress = stubs[0].RestartProgress(cluster.RestartProgressRequest(broker_id=2), timeout=10)
check("a broker that runs is caught up", progress.caught_up and progress.in_sync_percent == 100, progress)

# The quorum.
quorum = [stub.DescribeQuorum(cluster.DescribeQuorumRequest(), timeout=15).quorum for stub in stubs]
check("everybody names the same leader and three voters",
      len({one.leader_id for one in quorum}) == 1 and all({v.id for v in one.voters} == {1, 2, 3} for one in quorum), quorum)
check("followers have caught up", all(v.last_caught_up_ms < 10_000 for v in quorum[0].voters), quorum[0])
code, why = refused(stubs[0].RemoveVoter, cluster.RemoveVoterRequest(id=7))
check("a stranger is no voter", code == grpc.StatusCode.NOT_FOUND, (code, why))

# Nobody is forgotten who is needed.
code, why = refused(stubs[0].UnregisterBroker, cluster.UnregisterBrokerRequest(broker_id=3))
check("a voter is not unregistered", code == grpc.StatusCode.FAILED_PRECONDITION and "voter" in why, (code, why))
finish()
