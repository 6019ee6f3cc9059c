"""Competing consumers: each order is worked on once, by one member of the group; a second member takes over its share."""
import threading

from pattern import Reader, Sender, topic

ORDERS = 200
orders = topic("orders", partitions=4)
sender = Sender()
worked = {}  # order -> who worked on it
guard = threading.Lock()


def worker(name, stop):
    reader = Reader(orders + "-workers", orders)
    while not stop.is_set():
        message = reader.read(0.2)
        if message is not None:
            with guard:
                worked.setdefault(message.value().decode(), []).append(name)
            reader.done(message)
    reader.close()


stop = threading.Event()
workers = [threading.Thread(target=worker, args=(name, stop)) for name in ("ann", "bob")]
for one in workers:
    one.start()
for number in range(ORDERS):
    sender.send(orders, f"order {number}", key=f"customer {number % 20}")
    if number % 20 == 0:
        sender.flush()
sender.flush()
for _ in range(300):
    with guard:
        if len(worked) == ORDERS:
            break
    stop.wait(0.1)
stop.set()
for one in workers:
    one.join()
assert sorted(worked) == sorted(f"order {number}" for number in range(ORDERS)), f"{len(worked)} of {ORDERS} orders were worked on"
share = {name: sum(name in by for by in worked.values()) for name in ("ann", "bob")}
print(f"{ORDERS} orders worked on: {share}, {sum(len(by) > 1 for by in worked.values())} of them again after a rebalance")
