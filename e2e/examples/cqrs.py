"""Commands in, events out, and a read model beside them that anybody can build anew from the events."""
import json

from pattern import Reader, Sender, topic

commands, events = topic("stock-commands"), topic("stock-events")
sender = Sender()


def decide(stock, command):
    """The write side: accepts or refuses, knows only what it needs to."""
    item, count = command["item"], command["count"]
    if command["do"] == "receive":
        return {"event": "received", "item": item, "count": count}
    if stock.get(item, 0) < count:
        return {"event": "refused", "item": item, "count": count, "why": f"only {stock.get(item, 0)} there"}
    return {"event": "shipped", "item": item, "count": count}


def apply(stock, event):
    change = {"received": 1, "shipped": -1, "refused": 0}[event["event"]]
    stock[event["item"]] = stock.get(event["item"], 0) + change * event["count"]


class ReadModel:
    """What a page shows: the items by stock, and how often each ran out. Made of events alone."""

    def __init__(self, group):
        self.stock, self.refusals = {}, {}
        self.reader = Reader(group, events)

    def catch_up(self, count):
        for message in self.reader.take(count):
            event = json.loads(message.value())
            apply(self.stock, event)
            if event["event"] == "refused":
                self.refusals[event["item"]] = self.refusals.get(event["item"], 0) + 1
            self.reader.done(message)

    def close(self):
        self.reader.close()


asked = [{"do": "receive", "item": "bolts", "count": 100}, {"do": "receive", "item": "nuts", "count": 10}]
asked += [{"do": "ship", "item": "bolts", "count": 30}] * 4 + [{"do": "ship", "item": "nuts", "count": 5}] * 3
for command in asked:
    sender.send(commands, json.dumps(command), key=command["item"])
sender.flush()

stock = {}
writer = Reader(commands + "-writer", commands)
for message in writer.take(len(asked)):
    event = decide(stock, json.loads(message.value()))
    apply(stock, event)
    sender.send(events, json.dumps(event), key=event["item"])
    sender.flush()  # the event is safe before its command counts as done
    writer.done(message)
writer.close()

page = ReadModel(events + "-page")
page.catch_up(len(asked))
page.close()
again = ReadModel(events + "-page-2")  # a new version of the page, built from the beginning
again.catch_up(len(asked))
again.close()
assert page.stock == again.stock == stock == {"bolts": 10, "nuts": 0}, (page.stock, again.stock, stock)
assert page.refusals == again.refusals == {"bolts": 1, "nuts": 1}
print(f"{len(asked)} commands, stock {page.stock}, refused {page.refusals}; a second read model says the same")
