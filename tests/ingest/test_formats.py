"""What is recorded of other producers: of samples that they wrote, or that were written after their schema."""

import tomllib
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from docs import formats
from failaware.ingest.files import ingest_file
from failaware.ingest.format import _SETTINGS
from failaware.ingest.functions import FUNCTIONS
from failaware.ingest.stream import Input
from tests.conftest import query

INPUTS = Path(__file__).parent.parent.parent / "sample_data" / "inputs"


class Expected(NamedTuple):
    """One event, as in expected_formats.toml."""

    type: str
    error_type: str
    message: str
    key: str
    time: str = ""
    traceback: str | None = None
    cause: str | None = None


EXPECTED = {
    name: [Expected(**event) for event in events]
    for name, events in tomllib.loads((Path(__file__).parent / "expected_formats.toml").read_text()).items()
}


def test_the_page_lists_the_formats_as_they_are():
    """`python -m docs.formats` writes it."""
    text = formats.PAGE.read_text(encoding="utf-8")
    assert formats.page() == text
    assert [name for name in FUNCTIONS if f"| `{name}(" not in text] == []
    assert [name for name in _SETTINGS if f"`{name}`" not in text and f"`[{name}]`" not in text] == []


def moment(at):
    return int(datetime.fromisoformat(at if "T" in at else f"2026-11-29T11:{at}+00:00").timestamp() * 1_000_000 + 0.5)


def ingest(store, path, **options):
    with path.open("rb", buffering=0) as file:
        return ingest_file(store.session, Input(file), origin=path.name, **options)


EVENTS = (
    "SELECT e.event_type, a.error_type, a.error_message, t.text, e.occurred_at, k.key, a.cause "
    "FROM event_log e JOIN attempt_log a USING (event_id) LEFT JOIN traceback_log t ON t.traceback_id = a.traceback "
    "LEFT JOIN event_key k USING (event_id) ORDER BY e.event_id"
)


def differences(row, expected):
    """The fields of an event that are not as expected."""
    event_type, error_type, message, traceback, at, key, cause = row
    begins, _, _ = expected.key.partition("…")
    same = {
        "type": event_type == expected.type,
        "error.type": error_type == expected.error_type,
        "message": message == expected.message,
        "traceback": (traceback is None) == (expected.traceback is None)
        and (expected.traceback or "").strip() in (traceback or "").replace("⟨error⟩", f"{error_type}: {message}"),
        "occurred_at": not expected.time or abs(at - moment(expected.time)) <= 1,
        "key": key is not None and (key.startswith(begins) if "…" in expected.key else key == expected.key),
        "cause": cause == expected.cause,
    }
    return [name for name, is_same in same.items() if not is_same]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_producer_is_recognized_and_its_failures_recorded(store, name):
    done = ingest(store, INPUTS / name)
    rows = query(store, EVENTS)
    assert (done.recorded, done.rejected) == (len(EXPECTED[name]), 0), (done, [row[:3] for row in rows])
    wrong = [(row, differences(row, one)) for row, one in zip(rows, EXPECTED[name], strict=True)]
    assert [pair for pair in wrong if pair[1]] == []


@pytest.mark.parametrize("name", EXPECTED)
def test_a_second_read_adds_nothing(store, name):
    first, second = ingest(store, INPUTS / name), ingest(store, INPUTS / name)
    assert (second.recorded, second.known, second.rejected) == (0, first.recorded, 0)
