"""The one module of kafka-python's test helpers that its source package leaves out: how a broker is started. Ours runs already."""


class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        """It runs already."""

    def close(self):
        """Whoever started it ends it."""


class SpawnedService:
    """Named by an import, never made: the broker has an address."""
