"""A dead letter queue: a few tries with growing pauses, then the record goes aside with its error in headers; later it is re-driven."""
import json
import time

from pattern import Reader, Sender, header, read_from, topic

PAUSES = (0.2, 0.4)  # before the second and the third try
payments = topic("payments")
retries = [topic(f"payments-retry-{number}") for number in range(len(PAUSES))]
dead = topic("payments-dead")
sender = Sender()
tried, settled = {}, []
bank_is_up = False


def work(payment):
    tried[payment["id"]] = tried.get(payment["id"], 0) + 1
    if payment["amount"] < 0:
        raise ValueError("a negative amount")
    if payment["id"] % 10 == 3 and tried[payment["id"]] < 3:
        raise TimeoutError("the bank did not answer")  # passes with patience
    if payment["id"] % 10 == 7 and not bank_is_up:
        raise ConnectionError("the bank is closed")  # passes after a re-drive
    settled.append(payment["id"])


def handle(message, attempt):
    try:
        work(json.loads(message.value()))
    except Exception as error:
        aside = [("origin", payments.encode()), ("attempt", str(attempt).encode()), ("error", type(error).__name__.encode()), ("why", str(error).encode())]
        if attempt <= len(PAUSES) and not isinstance(error, ValueError):  # no patience mends a bad record
            aside.append(("not-before", str(time.time() + PAUSES[attempt - 1]).encode()))
            sender.send(retries[attempt - 1], message.value(), message.key(), aside)
        else:
            sender.send(dead, message.value(), message.key(), aside)
        sender.flush()  # aside safely before it counts as done here


def drain(source, attempt):
    """Works off a topic; a retry topic's records wait until they are due, in order, holding up nobody else."""
    reader = Reader(source + "-workers", source)
    handled = 0
    while (message := reader.read(3.0 if handled == 0 else 0.7)) is not None:
        due = float(header(message, "not-before", "0"))
        time.sleep(max(0.0, due - time.time()))
        handle(message, attempt)
        reader.done(message)
        handled += 1
    reader.close()
    return handled


for number in range(50):
    sender.send(payments, json.dumps({"id": number, "amount": -1 if number == 20 else 10}), key=str(number))
sender.flush()
assert drain(payments, 1) == 50
assert drain(retries[0], 2) == 10  # five of the slow bank, five of the closed one
assert drain(retries[1], 3) == 10
letters = list(read_from(dead, 0, 0))
assert sorted(json.loads(m.value())["id"] for m in letters) == [7, 17, 20, 27, 37, 47]
errors = {json.loads(m.value())["id"]: (header(m, "error"), header(m, "attempt")) for m in letters}
assert errors[20] == ("ValueError", "1") and errors[7] == ("ConnectionError", "3"), errors
assert sorted(settled) == [n for n in range(50) if n % 10 != 7 and n != 20]

# Re-drive: what the closed bank refused goes back where it came from; the bad record stays for a person.
bank_is_up = True
for message in letters:
    if header(message, "error") != "ValueError":
        sender.send(header(message, "origin"), message.value(), message.key(), [("re-driven", b"1")])
sender.flush()
assert drain(payments, 1) == 5
assert sorted(settled) == [n for n in range(50) if n != 20]
print(f"{len(settled)} of 50 settled, 5 of them by patience and 5 by a re-drive; 1 waits in the dead letter queue: {errors[20][0]}")
