"""Reading again: from the beginning, from an offset and from a time, while a group stays where it is."""
import time

from confluent_kafka import Consumer, TopicPartition

from pattern import ADDRESS, Reader, Sender, read_from, topic

log = topic("readings")
sender = Sender()
for number in range(50):
    sender.send(log, f"reading {number}")
sender.flush()
time.sleep(0.05)
noon = int(time.time() * 1000)
time.sleep(0.05)
for number in range(50, 100):
    sender.send(log, f"reading {number}")
sender.flush()

live = Reader(log + "-live", log)
for message in live.take(60):
    live.done(message)

everything = [m.value().decode() for m in read_from(log, 0, 0)]
assert everything == [f"reading {number}" for number in range(100)]
tail = [m.value().decode() for m in read_from(log, 0, 90)]
assert tail == [f"reading {number}" for number in range(90, 100)]

clock = Consumer({**ADDRESS, "group.id": "nobody"})
at_noon = clock.offsets_for_times([TopicPartition(log, 0, noon)], 10)[0].offset
clock.close()
afternoon = [m.value().decode() for m in read_from(log, 0, at_noon)]
assert afternoon == [f"reading {number}" for number in range(50, 100)], f"{len(afternoon)} from offset {at_noon}"

rest = [m.value().decode() for m in live.take(40)]
assert rest == [f"reading {number}" for number in range(60, 100)], "the replays moved the live group"
live.close()
print(f"100 readings: all, the last 10, and {len(afternoon)} since a time, while a group went on from 60")
