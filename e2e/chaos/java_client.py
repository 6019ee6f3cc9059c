"""Kafka's own clients (ChaosClient.java), each a process: an idempotent producer with acks=all beside librdkafka's, and a
consumer that says which broker its bytes came from."""
import os
import subprocess
import threading
import time

from cluster import java, jars
from rdkafka import History

_HERE = os.path.dirname(os.path.abspath(__file__))


def compile_client(directory):
    """Once for a run; the folder with the classes."""
    classes = f"{directory}/classes"
    os.makedirs(classes, exist_ok=True)
    subprocess.run(["javac", "-nowarn", "-d", classes, "-cp", jars(), f"{_HERE}/ChaosClient.java"], check=True)
    return classes


class _Client:
    def __init__(self, classes, log, *arguments, **settings):
        command = java("96m", "ChaosClient", *arguments, *[f"{name}={value}" for name, value in settings.items()],
                       classes=classes, options=["-XX:TieredStopAtLevel=1"])
        with open(log, "ab") as errors:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self):
        for line in self._process.stdout:
            if line.startswith("@"):
                self.hear(*line[1:].rstrip("\n").split(" ", 2))

    def end(self, patience):
        """No more input: it ends by itself. True if it did."""
        try:
            self._process.stdin.close()
            self._process.wait(patience)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        self._listener.join()
        return self._process.returncode == 0

    def kill(self):
        self._process.kill()
        self._process.wait()


class JavaProducer(_Client, History):
    """Sends "<name>-<number>" as rdkafka.Producer does."""

    def __init__(self, classes, log, bootstrap, topic, partition, name, interval=0.005, **settings):
        History.__init__(self, topic, partition, name)
        self._left = None
        _Client.__init__(self, classes, log, "produce", bootstrap, topic, str(partition), name, str(interval * 1000),
                         **settings)

    def hear(self, what, number, word=""):
        if what == "end":
            self._left = int(number)
        else:
            acked = what == "acked"
            self.reports.append((int(number), time.monotonic(), 0 if acked else word, int(word) if acked else -1))

    def stop(self, patience=130):
        """How many records got no answer."""
        ended = self.end(patience)
        return self._left if ended and self._left is not None else 1


class JavaReader(_Client):
    """Reads a partition from its beginning; `read` is [(offset, value)] so far, `bytes_from` what came from each broker."""

    def __init__(self, classes, log, bootstrap, topic, partition, **settings):
        self.read, self.bytes_from = [], {}
        _Client.__init__(self, classes, log, "read", bootstrap, topic, str(partition), **settings)

    def hear(self, what, number, word=""):
        if what == "record":
            self.read.append((int(number), word))
        elif what == "node":
            self.bytes_from[int(number)] = int(word)
