"""`ingest` with --map, --only, --anyway, --explain and --template."""

import json
import os

import pytest

from failaware.cli.main import main
from tests.conftest import query
from tests.ingest.test_formats import INPUTS

JOB = {"job": "nightly", "status": "failed", "error": "no space left", "at": 1795950785329, "run": 17}
MAPPED = ["type=job", "error.message=error", "occurred_at=at", "key=[job, run]", "source='cron'"]


@pytest.fixture
def ingest(store, path, capsys):
    """Run `failaware ingest` in this process; returns its exit status and output."""

    def run(*words):
        status = main(["--db", str(path), "ingest", *map(str, words)])
        return status, capsys.readouterr()

    return run


def maps(*fields):
    return [word for field in fields for word in ("--map", field)]


@pytest.fixture
def jobs(tmp_path):
    """A file of two records of no known format."""
    file = tmp_path / "jobs.log"
    file.write_text(json.dumps(JOB) + "\n" + json.dumps({**JOB, "status": "ok", "run": 18}) + "\n")
    return file


def test_fields_are_mapped_and_only_what_is_asked_for_is_recorded(store, inspector, ingest, jobs):
    status, shown = ingest(jobs, *maps(*MAPPED), "--only", "status == 'failed'")
    assert (status, shown.out) == (0, "1 recorded, 1 ignored as no failures, 0 rejected\n")
    event = inspector.event(1)
    assert (event.event_type, event.source, event.key, event.occurred_at) == (
        *("nightly", "cron", "nightly:17", 1795950785_329000),
    )
    assert (event.attempts[0].error_type, event.attempts[0].error_message) == ("ERROR", "no space left")
    assert json.loads(event.event_payload) == JOB


def test_a_field_replaces_that_of_the_recognized_format(store, inspector, ingest):
    assert ingest(INPUTS / "pino.jsonl", *maps("type=module || 'web'"))[1].out.startswith("5 recorded, 2 ignored")
    assert {event.event_type for event in inspector.events()} == {"web", "mail"}


def test_only_narrows_a_recognized_format_and_replaces_its_condition_where_fields_are_mapped(store, ingest):
    assert ingest(INPUTS / "pino.jsonl", "--only", "order")[1].out.startswith("1 recorded, 6 ignored")
    assert ingest(INPUTS / "pino.jsonl", "--only", "level == `40`", *maps("type=name"))[1].out.startswith(
        "1 recorded, 6 ign"
    )


def test_a_file_is_a_format_which_is_tried_before_all_others(store, inspector, ingest, tmp_path):
    (tmp_path / "mine.toml").write_text(
        'patterns = ["(?P<time>[0-9]+)[|](?P<message>.*)"]\n[map]\ntype = "\'mine\'"\noccurred_at = "time"\n'
        'error.message = "message"\n'
    )
    (tmp_path / "x.log").write_text("1795950785|no stock\n  in the north\n1795950786|gone\n")
    assert ingest(tmp_path / "x.log", "--map", tmp_path / "mine.toml")[1].out == "2 recorded, 0 rejected\n"
    assert [event.last_error for event in inspector.events()] == ["gone", "no stock\n  in the north"]
    assert ingest(INPUTS / "winston.jsonl", *maps("winston", "failure=rank(level) >= `30`"))[1].out.startswith("6 rec")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (maps("typ=x"), "no field 'typ'; fields are type"),
        (maps("type=("), "is not JMESPath"),
        (["--only", "nope(a)"], "no function nope"),
        (maps("gone.toml"), "cannot read the format gone.toml"),
        (maps("pino", "winston"), "takes one file"),
        (["--template", "nope"], "no format 'nope'; formats are apache"),
        (maps(str(INPUTS / "junit.xml")), "is not TOML"),
    ],
)
def test_what_is_no_map_is_refused_before_anything_is_read(ingest, capsys, jobs, words, says):
    status, shown = ingest(jobs, *words)
    assert (status, shown.out) == (2, "")
    assert says in shown.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nam = 'x'", "unknown field 'nam'"),
        ("keys = 'x'", "'keys' must be a list"),
        ("[map]\ntyp = 'x'", "[map] has no field 'typ'"),
        ("[map]\ntype = 'x('", "is not JMESPath"),
        ("patterns = ['(']", "not a regular expression"),
    ],
)
def test_a_wrong_format_is_refused_with_what_is_wrong(ingest, jobs, tmp_path, text, says):
    (tmp_path / "mine.toml").write_text(text)
    status, shown = ingest(jobs, "--map", tmp_path / "mine.toml")
    assert status == 2
    assert says in shown.err


def test_a_template_is_a_format(ingest, tmp_path, store):
    status, shown = ingest("--template", "pino")
    assert status == 0
    (tmp_path / "mine.toml").write_text(shown.out.replace(">= `50`", ">= `40`"))
    assert ingest(INPUTS / "pino.jsonl", "--map", tmp_path / "mine.toml")[1].out.startswith("6 recorded, 1 ignored")


def test_explain_shows_what_would_be_recorded_and_why_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["--db", "none.db", "ingest", "--explain", str(INPUTS / "pino.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "line 1  pino (Node.js): no failure, since not: type(level) == 'number'" in shown
    assert "  error.message   card of order 17 is declined   ← err.message || err.msg || error.message" in shown
    assert os.listdir(tmp_path) == []


def test_explain_tells_rejects_and_own_lines(tmp_path, capsys):
    (tmp_path / "x").write_text('{"type": "a"}\nnonsense\n{"time": 50, "pid": 1, "hostname": "x"}\n')
    main(["ingest", "--explain", "--json", str(tmp_path / "x")])
    explained = json.loads(capsys.readouterr().out)
    assert [(each["line_no"], each["outcome"]) for each in explained] == [
        (1, "recorded"),
        (2, "rejected"),
        (3, "rejected"),
    ]
    assert "it looks like pino" in explained[2]["why"]


WRONG = "".join(f"2026/11/28 15:02:59 connect() failed *{n}\n" for n in range(300))


def test_a_wrong_file_is_one_reject_unless_it_is_read_anyway(store, ingest, tmp_path):
    (tmp_path / "x.log").write_text(WRONG)
    status, shown = ingest(tmp_path / "x.log")
    assert status == 1
    assert "none of the first 100 lines can be read" in shown.out
    assert query(store, "SELECT count(*), min(line_no) FROM reject_log") == [(1, 1)]
    assert ingest(tmp_path / "x.log", "--anyway")[1].out.startswith("0 recorded, 300 rejected")


def test_the_same_line_of_the_same_file_is_one_reject(store, ingest, tmp_path):
    for text in ("a\nb\n", "a\nb\nc\n", "a\nx\n"):
        (tmp_path / "x.log").write_text(text)
        assert ingest(tmp_path / "x.log")[0] == 1
    assert query(store, "SELECT line_no, raw FROM reject_log") == [(1, "a"), (2, "b"), (3, "c"), (2, "x")]
    (tmp_path / "y.log").write_text("a\n")
    ingest(tmp_path / "y.log")
    assert query(store, "SELECT count(*) FROM reject_log") == [(5,)]


def test_wrong_lines_after_a_right_one_are_rejects(store, ingest, tmp_path):
    (tmp_path / "x.log").write_text('{"type": "a"}\n' + WRONG)
    assert ingest(tmp_path / "x.log")[1].out.startswith("1 recorded, 300 rejected")


def test_an_expression_for_the_time_whose_value_is_none_is_a_reject(ingest, tmp_path):
    (tmp_path / "x").write_text('{"level":50,"pid":1,"hostname":"h","name":"n","msg":"no stock"}')
    status, streams = ingest("--map", "occurred_at=msg", tmp_path / "x")
    assert (status, "'occurred_at' must be a time, not no stock" in streams.out) == (1, True)
