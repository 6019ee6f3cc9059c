"""Asks a broker's admin endpoint and judges the answers: client.py ADMIN METRICS_URL"""
import sys
import urllib.request

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from millrace.admin.v1 import admin_pb2, admin_pb2_grpc, cluster_pb2, topics_pb2

admin, metrics = sys.argv[1:]
failed = 0


def check(name, good, seen=""):
    global failed
    print(f"{'ok' if good else 'FAILED':7} admin  {name}  {'' if good else seen}")
    failed += not good


def refused(code, call, request):
    try:
        call(request, timeout=5)
    except grpc.RpcError as error:
        return error.code() == code, (error.code(), error.details())
    return False, "no error"


channel = grpc.insecure_channel(admin)
grpc.channel_ready_future(channel).result(timeout=20)
health = health_pb2_grpc.HealthStub(channel)
stub = admin_pb2_grpc.AdminStub(channel)
seen = None
for seen in health.Watch(health_pb2.HealthCheckRequest(service=""), timeout=20):
    if seen.status == health_pb2.HealthCheckResponse.SERVING:
        break
check("health serves", seen.status == health_pb2.HealthCheckResponse.SERVING, seen)
identity = stub.Identity(admin_pb2.IdentityRequest(), timeout=5)
check("identity names the node", identity.broker_id == 7 and identity.cluster_id and identity.rack == "east", identity)
stub.CreateTopics(topics_pb2.CreateTopicsRequest(topics=[topics_pb2.NewTopic(name="orders", partitions=3)]), timeout=10)
topics = stub.ListTopics(topics_pb2.ListTopicsRequest(), timeout=5)
check("a created topic is listed", "orders" in str(topics), topics)
again = stub.CreateTopics(topics_pb2.CreateTopicsRequest(topics=[topics_pb2.NewTopic(name="orders", partitions=3)]), timeout=10)
check("a second creation says that it exists", again.topics[0].error.kafka_error == 36, again)
# An answer that goes on for as long as its client wants it to, so that no machine is fast enough.
good, seen = refused(grpc.StatusCode.DEADLINE_EXCEEDED, lambda request, timeout: list(stub.Health(request, timeout=0.3)),
                     cluster_pb2.HealthRequest(repeat_ms=100))
check("a deadline is kept", good, seen)
page = urllib.request.urlopen(metrics + "/metrics", timeout=5).read().decode()
check("/metrics has the broker's figures", "millrace_" in page and "kafka" in page, page[:300])
check("/readyz", urllib.request.urlopen(metrics + "/readyz", timeout=5).status == 200)
sys.exit(1 if failed else 0)
