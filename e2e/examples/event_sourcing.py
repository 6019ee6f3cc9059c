"""State is the fold of its events. Snapshots go to a compacted topic, so a new process starts from those and the events behind them."""
import json

from pattern import Sender, read_from, topic

events = topic("account-events")
snapshots = topic("account-snapshots", cleanup_policy="compact")
sender = Sender()


def apply(balances, event):
    balances[event["account"]] = balances.get(event["account"], 0) + event["amount"]


def rebuild(start=0, balances=None):
    balances, applied = dict(balances or {}), 0
    for message in read_from(events, 0, start):
        apply(balances, json.loads(message.value()))
        applied += 1
    return balances, start + applied, applied


def deposit(account, amount):
    sender.send(events, json.dumps({"account": account, "amount": amount}), key=account)


def snapshot():
    balances, end, _ = rebuild()
    for account, balance in balances.items():
        sender.send(snapshots, json.dumps({"balance": balance, "events_before": end}), key=account)
    sender.flush()


for number in range(300):
    deposit(f"account {number % 3}", number)
sender.flush()
snapshot()
deposit("account 0", 1000)
deposit("account 3", 7)
sender.flush()
snapshot()
sender.send(snapshots, None, key="account 3")  # closed: the tombstone takes it out of every later start
sender.flush()
deposit("account 1", 5)
sender.flush()

truth, _, all_events = rebuild()
# A new process: the last snapshot of each account, compacted already or not, and only the events after it.
latest = {}
for message in read_from(snapshots, 0, 0):
    if message.value() is None:
        latest.pop(message.key().decode(), None)
    else:
        latest[message.key().decode()] = json.loads(message.value())
start = max(one["events_before"] for one in latest.values())
warm, _, replayed = rebuild(start, {account: one["balance"] for account, one in latest.items()})
assert warm == {account: balance for account, balance in truth.items() if account != "account 3"}, (warm, truth)
assert replayed == 1 and all_events == 303, (replayed, all_events)
print(f"{all_events} events folded to {truth}; from the snapshots with {replayed} event on top: the same, without the closed account")
