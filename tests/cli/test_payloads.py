"""A payload is shown as it was recorded, and a list never prints a message of thousands of characters."""

import pytest

from failaware import Inspector, Permanent, Worker
from failaware.cli.main import main
from failaware.json_text import indented
from tests.worker.helpers import handlers_of
from tui.documents import payload

AS_RECORDED = [
    ('{"n":1e999,"price":1.10,"x":1,"x":2}', '{\n  "n": 1e999,\n  "price": 1.10,\n  "x": 1,\n  "x": 2\n}'),
    (
        "[0.12345678901234567890,-0.0,1E5, true ,null]",
        "[\n  0.12345678901234567890,\n  -0.0,\n  1E5,\n  true,\n  null\n]",
    ),
    ('{"a":{},"b":[ ],"c":[[]]}', '{\n  "a": {},\n  "b": [],\n  "c": [\n    []\n  ]\n}'),
    ('"a \\"quoted\\" {text}, [\\u00e9]: \\\\"', '"a \\"quoted\\" {text}, [\\u00e9]: \\\\"'),
    ("17", "17"),
    ("no JSON {", "no JSON {"),
    ("[" * 100_000, "[" * 100_000),
]


@pytest.mark.parametrize(("raw", "shown"), AS_RECORDED, ids=range(len(AS_RECORDED)))
def test_json_is_laid_out_and_nothing_else(raw, shown):
    assert indented(raw) == shown
    if len(raw) < 1_000:
        assert "\n".join(line.text for line in payload(raw)) == shown


@pytest.mark.parametrize(("raw", "shown"), AS_RECORDED[:4], ids=range(4))
def test_an_event_shows_its_payload_as_it_was_recorded(path, tmp_path, raw, shown, capfd):
    (tmp_path / "in.jsonl").write_text(f'{{"type":"a","payload":{raw}}}\n')
    assert main(["--db", str(path), "ingest", str(tmp_path / "in.jsonl")]) == 0
    capfd.readouterr()
    assert main(["--db", str(path), "event", "1"]) == 0
    assert f"Payload\n{shown}\n" in capfd.readouterr().out


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
@pytest.mark.parametrize("more", ["", ',"half":"\\ud800 Infinity"'])
def test_a_secret_beside_a_number_beyond_pythons_own_is_masked_and_recorded(path, tmp_path, number, more):
    line = f'{{"type":"a","payload":{{"password":"hunter22","n":{number}{more}}}}}\n'
    (tmp_path / "in.jsonl").write_text(line)
    assert main(["--db", str(path), "ingest", str(tmp_path / "in.jsonl")]) == 0
    with Inspector.open(path) as inspector:
        assert inspector.event(1).event_payload == f'{{"password":"[masked]","n":{number}{more}}}'


@pytest.mark.parametrize(
    "numbers",
    [
        '"price":1.10',
        '"n":[1.0,{"x":-1E+5}],"d":0.12345678901234567890',
        '"z":-0,"big":123456789012345678901234567890,"1.10":"1.10"',
        '"#0#":["#1#",2.50],"##":3.00',
        '"s":"\\ud800","price":1.10',
    ],
)
def test_a_secret_beside_a_number_leaves_it_as_it_was_written(path, tmp_path, numbers):
    (tmp_path / "in.jsonl").write_text(f'{{"type":"a","payload":{{"password":"hunter22",{numbers}}}}}\n')
    assert main(["--db", str(path), "ingest", str(tmp_path / "in.jsonl")]) == 0
    with Inspector.open(path) as inspector:
        assert inspector.event(1).event_payload == f'{{"password":"[masked]",{numbers}}}'


def test_a_list_in_a_pipe_says_how_a_long_message_begins(store, path, capfd):
    def fails(event):
        raise Permanent("x" * 8_000)

    store.record("a")
    Worker(store, handlers_of(fails)).run(until_idle=True)
    for report in ("events", "clusters", "timeline", "severity"):
        assert main(["--db", str(path), report]) == 0
        out = capfd.readouterr().out
        assert max(map(len, out.splitlines())) < 1_000, report
    assert main(["--db", str(path), "event", "1"]) == 0
    assert "x" * 8_000 in capfd.readouterr().out
    assert main(["--db", str(path), "events", "--json"]) == 0
    assert "x" * 8_000 in capfd.readouterr().out
