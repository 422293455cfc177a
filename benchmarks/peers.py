"""Other Python queues on SQLite: huey, litequeue, persist-queue (requirements-bench.txt).

huey deletes a task before it runs it and keeps one error per task. litequeue and persist-queue keep no error and have
no worker, so the loop is here. Each runs with the requested durability.
"""

import json
import logging
import warnings

from benchmarks.work import as_json

_SYNCHRONOUS = "PRAGMA synchronous = {}"


class Huey:
    """Tasks with immediate retries."""

    def __init__(self, folder, synchronous):
        from huey import SqliteHuey

        logging.getLogger("huey").setLevel(logging.CRITICAL)
        self.huey = SqliteHuey(filename=str(folder / "huey.db"), timeout=30)
        self.huey.storage.conn.execute(_SYNCHRONOUS.format(synchronous))
        self._handler = None
        self._task = self.huey.task(retries=1_000)(self._apply)

    def _apply(self, payload):
        return self._handler(payload)

    def record(self, payload):
        """Enqueue a call."""
        self._task(payload)

    def record_many(self, payloads):
        """One after the other; it has no bulk call."""
        for payload in payloads:
            self._task(payload)

    def work(self, handler):
        """Do what its consumer does, without threads and sleeps."""
        self._handler = handler
        while (task := self.huey.dequeue()) is not None:
            self.huey.execute(task)

    def close(self):
        """Close the connection."""
        self.huey.storage.close()


class LiteQueue:
    """put, pop, done, retry."""

    def __init__(self, folder, synchronous):
        from litequeue import LiteQueue as Queue

        self.queue = Queue(str(folder / "litequeue.db"), timeout=30)
        self.queue.conn.execute(_SYNCHRONOUS.format(synchronous))

    def record(self, payload):
        """Put one message."""
        self.queue.put(as_json(payload))

    def record_many(self, payloads):
        """Put many within its transaction."""
        with self.queue.transaction():
            for payload in payloads:
                self.queue.put(as_json(payload))

    def work(self, handler):
        """Pop, handle, done; failed messages are put back."""
        while (message := self.queue.pop()) is not None:
            try:
                handler(json.loads(message.data))
            except Exception:  # noqa: BLE001 - any exception is a failure
                self.queue.retry(message.message_id)
            else:
                self.queue.done(message.message_id)

    def close(self):
        """Close the connection."""
        self.queue.close()


class PersistQueue:
    """The SQLite queue with acknowledgements."""

    def __init__(self, folder, synchronous):
        warnings.filterwarnings("ignore", module="persistqueue")
        import persistqueue

        self._empty = persistqueue.Empty
        self.queue = persistqueue.SQLiteAckQueue(str(folder / "persist"), timeout=30, auto_resume=False)
        self.queue._conn.execute(_SYNCHRONOUS.format(synchronous))  # noqa: SLF001 - it has no setting for this

    def record(self, payload):
        """Put one item."""
        self.queue.put(payload)

    def record_many(self, payloads):
        """One after the other; it has no bulk call."""
        for payload in payloads:
            self.queue.put(payload)

    def work(self, handler):
        """Get, handle, acknowledge; failed messages are put back."""
        while True:
            try:
                item = self.queue.get(block=False, raw=True)
            except self._empty:
                return
            try:
                handler(item["data"])
            except Exception:  # noqa: BLE001 - any exception is a failure
                self.queue.nack(id=item["pqid"])
            else:
                self.queue.ack(id=item["pqid"])

    def close(self):
        """Close the connection."""
        self.queue.close()
