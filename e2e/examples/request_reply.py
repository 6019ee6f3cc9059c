"""Questions and answers over two topics: the asker's own reply topic travels in a header, answers are matched by correlation id."""
import threading
import uuid

from pattern import Reader, Sender, header, topic

questions, answers = topic("questions", partitions=2), topic("answers-to-ann")


def serve(stop):
    """Answers squares; keeps silent about odd numbers, so that a deadline has something to do."""
    reader, sender = Reader(questions + "-servers", questions), Sender()
    while not stop.is_set():
        message = reader.read(0.2)
        if message is None:
            continue
        number = int(message.value())
        if number % 2 == 0:
            sender.send(header(message, "reply-to"), str(number * number), headers=[("correlation-id", header(message, "correlation-id").encode())])
            sender.flush()
        reader.done(message)
    reader.close()


class Asker:
    def __init__(self):
        self.sender, self.reader, self.waiting = Sender(), Reader(answers + "-asker", answers), {}

    def ask(self, number):
        correlation = str(uuid.uuid4())
        self.waiting[correlation] = number
        self.sender.send(questions, str(number), key=str(number), headers=[("correlation-id", correlation.encode()), ("reply-to", answers.encode())])

    def collect(self, patience):
        """What was answered, and what had no answer when nothing more came for so many seconds."""
        self.sender.flush()
        found = {}
        while self.waiting and (message := self.reader.read(patience)) is not None:
            number = self.waiting.pop(header(message, "correlation-id"), None)
            assert number is not None, "an answer to a question that was not asked, or twice"
            found[number] = int(message.value())
        return found, sorted(self.waiting.values())


stop = threading.Event()
servers = [threading.Thread(target=serve, args=(stop,)) for _ in range(2)]
for one in servers:
    one.start()
asker = Asker()
for number in range(40):
    asker.ask(number)
found, unanswered = asker.collect(6)
stop.set()
for one in servers:
    one.join()
asker.reader.close()
assert found == {number: number * number for number in range(0, 40, 2)}, found
assert unanswered == list(range(1, 40, 2)), unanswered
print(f"{len(found)} answers matched to their questions, {len(unanswered)} questions without one given up")
