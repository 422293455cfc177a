"""failaware with its default settings."""

from benchmarks.work import EVENT_TYPE
from failaware import Handlers, Retry, Store, Worker


class Failaware:
    """failaware as a System."""

    def __init__(self, folder, synchronous):
        self.path = folder / "failaware.db"
        self.store = Store.open(self.path, synchronous=synchronous)

    def record(self, payload):
        """record()."""
        self.store.record(EVENT_TYPE, payload)

    def record_many(self, payloads):
        """record_many()."""
        self.store.record_many((EVENT_TYPE, payload) for payload in payloads)

    def work(self, handler):
        """One worker with one handler at a time; retries immediately, up to 1,000 attempts."""
        handlers = Handlers()
        handlers.on("*", retry=Retry(max_attempts=1_000, base=0))(lambda event: handler(event.payload))
        Worker(self.store, handlers).run(until_idle=True)

    def close(self):
        """Close the store."""
        self.store.close()
