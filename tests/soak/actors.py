"""Programs that are killed: `python -m tests.soak.actors NAME STORE ROUND`; what they print is acknowledged."""

import json
import random
import sys
from contextlib import suppress

from failaware import Handlers, Permanent, Retry, Store, UsageError, Worker
from failaware.cli.main import main
from failaware.facts.seal import seal_all
from failaware.ingest.files import ingest_file
from failaware.ingest.lines import ingest_lines


def acknowledge(*what):
    """Tell the one who kills us."""
    print(*what, flush=True)


def producer(path, round_):
    store = Store.open(path)
    for n in range(10**9):
        key = f"{round_}:{n}"
        event = store.record(f"job.kind{n % 3}", {"n": n}, key=key)
        acknowledge("key", event.event_id, key)


def many(path, round_):
    """Chunks without keys: of each, all or nothing."""
    with Store.open(path, synchronous="NORMAL") as store:
        for n in range(10**9):
            events = store.record_many((f"chunk.{round_}", {"n": n}) for _ in range(20))
            acknowledge("event", *(event.event_id for event in events))


def ingest(path, round_):
    with Store.open(path, synchronous="NORMAL") as store:
        for n in range(10**9):
            error = {"type": "Timeout", "message": f"took {n} s"}
            plain = {"type": "line.plain", "payload": {"n": f"{round_}:{n}"}, "error": error}
            keyed = {"type": "line.keyed", "key": f"{round_}:line:{n}", "payload": n}
            ingest_lines(store, [json.dumps(plain).encode(), json.dumps(keyed).encode(), b"{"], origin=f"{round_}")
            acknowledge("line", f"{round_}:line:{n}")


def worker(path, round_):
    rng, handlers = random.Random(round_), Handlers()

    @handlers.on("job.*", retry=Retry(max_attempts=4, base=0.01))
    def handle(event):
        dice = rng.random()
        if dice < 0.3:
            raise ValueError(f"no luck with {event.event_id}")
        if dice < 0.35:
            raise Permanent("never")

    store = Store.open(path, synchronous="NORMAL")
    acknowledge("ready")
    Worker(store, handlers, concurrency=2, batch=20, lease=0.2).run()


def keeper(path, round_):
    """Decides, erases, seals and rebuilds without end."""
    rng, store = random.Random(round_), Store.open(path)
    while True:
        event = store.record("kept.for.long", {"secret": "of a person"})
        with suppress(UsageError):
            store.dismiss([event.event_id], because="to be erased")
            store.erase([event.event_id], because="asked to")
            acknowledge("erased", event.event_id)
        dice = rng.random()
        if dice < 0.2:
            store.rebuild()
        elif dice < 0.5:
            seal_all(store, store.clock())
        acknowledge("event", event.event_id)


def program(path, round_):
    """Runs one program after the other under `failaware exec`."""
    for n in range(10**9):
        failing = "exit 3" if n % 2 else "exit 0"
        retry = ["--max-attempts", "2", "--backoff", "0.01", "--type", f"night.{round_}"]
        main(["--db", path, "exec", *retry, "--", "sh", "-c", failing])
        acknowledge("ran", f"night.{round_}", n + 1)


def opener(path, round_):
    """Makes one store after the other."""
    for n in range(10**9):
        name = f"{path}.{round_}.{n}"
        with Store.open(name) as store:
            store.record("first", key="first")
        acknowledge("made", name)


def restorer(path, round_):
    """Takes an export into one store after the other."""
    for n in range(10**9):
        name = f"{path}.{round_}.{n}"
        acknowledge("begun", name)
        with Store.open(name, synchronous="NORMAL") as store, open(f"{path}.export", "rb") as file:
            ingest_file(store, file, origin="export")
        acknowledge("restored", name)


ACTORS = {f.__name__: f for f in (producer, many, ingest, worker, keeper, program, opener, restorer)}

if __name__ == "__main__":
    name, where, number = sys.argv[1:]
    ACTORS[name](where, int(number))
