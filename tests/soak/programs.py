"""What is killed: each loops for ever on one store, and prints what was acknowledged, a line each, when it was."""

import json
import subprocess
import sys
import time
from contextlib import suppress
from itertools import count

from failaware import Handlers, NotFound, Retry, Store, UsageError, Worker
from failaware.ledger.sealing import seal_all
from tests import processes


def say(*words):
    """One acknowledgement."""
    print(*words, flush=True)


def produce(store, name):
    """Record one by one, with keys."""
    for n in count():
        event = store.record(f"job.kind{n % 3}", {"n": n}, key=f"{name}:{n}")
        say("key", f"{name}:{n}", event.event_id)


def produce_in_bulk(store, name):
    """Record many at once, and log failures that others saw."""
    for n in count():
        events = store.record_many(
            {"type": "job.bulk", "payload": {"n": k}, "key": f"{name}:{n}:{k}"} for k in range(20)
        )
        for k, event in enumerate(events):
            say("key", f"{name}:{n}:{k}", event.event_id)


def work(store, _name):
    """Try what is due; every fourth fails."""
    handlers = Handlers()

    @handlers.on("job.*", retry=Retry(max_attempts=3, base=0.01))
    def handle(event):
        time.sleep(0.0005)
        if event.payload["n"] % 4 == 0:
            raise ValueError(f"no luck with {event.payload['n']}")

    Worker(store, handlers, concurrency=2, batch=20, lease=0.2).run()


def attempt(store, name):
    """Try things itself."""
    for n in count():
        with suppress(ZeroDivisionError), store.attempt("own.try", {"n": n}, key=f"{name}:{n}") as tried:
            n / (n % 2)
        say("key", f"{name}:{n}", tried.event_id)


def decide(store, _name):
    """Requeue, dismiss and erase existing events."""
    for n in count():
        ((newest,),) = store.session.read(lambda db: db.query("SELECT coalesce(max(event_id), 1) FROM event_log"))
        event_id = n * 7919 % newest + 1
        with suppress(UsageError, NotFound):
            (store.requeue, store.dismiss, store.erase)[n % 3]([event_id], because=f"round {n}")
            say("decision", event_id, f"round {n}")


def seal(store, _name):
    """Seal again and again."""
    while True:
        seal_all(store.session, store.session.clock())


def rebuild(store, _name):
    """Rebuild again and again."""
    while True:
        store.rebuild()
        time.sleep(0.01)


PROGRAMS = {program.__name__: program for program in (produce, produce_in_bulk, work, attempt, decide, seal, rebuild)}


def lines(name, number):
    """The lines of a file to ingest; half of them with keys."""
    for n in range(number):
        error = {"error": {"type": "Timeout", "message": f"took {n % 7} s"}} if n % 10 == 0 else {}
        yield json.dumps({"type": "file.line", "payload": {"n": n}, "key": f"{name}:{n}", **error})


def command(*words):
    """The command line, as a process."""
    return processes.Popen([sys.executable, "-m", "failaware", *map(str, words)], stdout=subprocess.DEVNULL)


def start(program, path, name):
    """One of PROGRAMS, as a process."""
    words = [sys.executable, "-m", "tests.soak.programs", program, str(path), name]
    return processes.Popen(words, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    which, where, called = sys.argv[1:]
    PROGRAMS[which](Store.open(where, synchronous="FULL" if which == "produce" else "NORMAL"), called)
