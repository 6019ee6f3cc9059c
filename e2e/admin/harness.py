"""What the scripts here share: checks that are counted, waiting, a stub for each admin endpoint."""
import sys
import time

import grpc
from millrace.admin.v1 import admin_pb2_grpc

failed = 0


def checks(about):
    def check(name, good, seen=""):
        global failed
        print(f"{'ok' if good else 'FAILED':7} {about:6} {name}  {'' if good else seen}", flush=True)
        failed += not good
    return check


def finish():
    sys.exit(1 if failed else 0)


def until(what, seconds=30):
    """What `what` says once it says something, or in the end."""
    end = time.monotonic() + seconds
    while True:
        seen = what()
        if seen or time.monotonic() > end:
            return seen
        time.sleep(0.1)


def stubs_of(addresses):
    stubs = []
    for address in addresses:
        channel = grpc.insecure_channel(address)
        grpc.channel_ready_future(channel).result(timeout=30)
        stubs.append(admin_pb2_grpc.AdminStub(channel))
    return stubs
