"""Names: what people and file systems use is taken, what cannot be seen is refused, and one rule holds everywhere."""

import json

import pytest

from failaware import Handlers, Inspector, Worker
from failaware.capture.record import as_name
from failaware.cli.main import main
from failaware.errors import HandlerError, UsageError

NAMES = [
    "Screenshot 2026-11-28 at 9.41.00\u202fAM.png",
    "caf\u00e9\u00a0import",
    "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u2764\ufe0f order",
    "order import",
    "\u845b\U000e0100",
    "\u3000wide",
    "\ue0b0",
]
REFUSED = [
    "pay\u3164",
    "pay\u200b",
    "pay\u202e",
    "pay\x9b",
    "pay\n",
    "pay\u2028",
    "pay\ufeff",
    "pay\U000e0041",
    "pay\u00ad",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_people_and_file_systems_have(store, path, name, capfd):
    store.record(name, key=name, source=name, fingerprint=name)
    handled = []
    handlers = Handlers()
    handlers.on(name)(handled.append)
    assert handlers.handles(name)
    Worker(store, handlers).run(until_idle=True)
    assert [event.event_type for event in handled] == [name]
    assert as_name(name, store.session.recorder) == name
    with Inspector.open(path) as inspector:
        assert [event.event_type for event in inspector.events(f'type:"{name}"')] == [name]
    assert main(["--db", str(path), "event", "1"]) == 0
    assert not set(capfd.readouterr().out) & set("\u200c\u200d\U000e0100")


@pytest.mark.parametrize("name", REFUSED)
def test_names_of_which_a_part_cannot_be_seen(store, name):
    wrong = f"U\\+{ord(name[-1]):04X}"
    for about in ({}, {"key": name}, {"source": name}, {"fingerprint": name}):
        with pytest.raises(UsageError, match=wrong):
            store.record("a" if about else name, **about)
    with pytest.raises(HandlerError):
        Handlers().on(name)
    assert as_name(name, store.session.recorder).startswith("pay\\")
    store.record(as_name(name, store.session.recorder))


def test_a_prefix_may_hold_blanks_too():
    handlers = Handlers()
    handlers.on("order import.*")(lambda event: None)
    assert handlers.handles("order import.eu")


HOSTILE = "\x9b31m \x90 \u202e \u200b \x85 \u2028 \u3164 \U0001d173 end"


def test_an_export_is_harmless_and_comes_back_to_the_byte(store, path, tmp_path):
    raw = f'{{"text": "{HOSTILE}",  "n": 1.10}}'
    lines = tmp_path / "in.jsonl"
    error = {"type": "E", "message": HOSTILE, "traceback": HOSTILE}
    lines.write_text(
        "\n".join([json.dumps({"type": "a", "payload": 0, "error": error}), f'{{"type":"b","payload":{raw}}}'])
    )
    assert main(["--db", str(path), "ingest", str(lines)]) == 0
    assert main(["--db", str(path), "export", "--out", str(tmp_path / "out.jsonl")]) == 0
    out = (tmp_path / "out.jsonl").read_text()
    assert not set(HOSTILE) - set(" 31m end") & set(out)
    assert all(json.loads(line) for line in out.splitlines())
    sql = "SELECT event_payload FROM event_log ORDER BY event_id"
    assert store.session.read(lambda db: db.query(sql)) == [("0",), (raw,)]
