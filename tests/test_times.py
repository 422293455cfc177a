"""Times: any stored number is shown harmlessly everywhere; what comes in has one unit, and a year that there is."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from failaware import Store
from failaware.cli.main import main
from failaware.errors import UsageError
from failaware.model import UNNUMBERED, EventWithAttempts, Failure, NewAttempt, NewEvent
from failaware.read.time_expressions import parse_moment
from failaware.text import microseconds, moment, moment_utc
from tests.tui.helpers import inspecting, screen_text, shows, until

ODD = {
    "the zero time of Go": -62_135_596_800_000_000,
    "never": 253_402_300_799_000_000,
    "year 10000": 253_402_300_800_000_000,
    "far": 2**62,
    "long ago": -(2**62),
    "the last": 2**63 - 10,
    "the first": -(2**63),
}


@pytest.fixture
def odd(store):
    """A store with events of times that our own ways in refuse, as an older version or damage may leave them."""
    failed = Failure("E", "boom", None, None, None)
    for name, at in ODD.items():
        for detected in (at, store.session.clock()):
            tried = NewAttempt(UNNUMBERED, failed, "w", at, at + 5, None if detected == at else at, "x")
            store.session.ingest(
                [EventWithAttempts(NewEvent(name, "null", None, None, at, detected, None), (tried,))], []
            )


@pytest.fixture(params=["America/New_York", "Asia/Tokyo", "UTC"])
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


REPORTS = [
    *("health", "severity", "clusters", "events", "timeline", "recovered", "due", "diff 999999w", "verify"),
    *("health --as-of 999999d", "events --as-of 9999-12-31T23:59:59-12:00", "events since:999999w until:1s"),
    *("diff 999998w 999999d", "explain event/2", "explain event/14", "seal", "rebuild"),
    *(f"{what} {number}" for what in ("event", "attempt") for number in range(1, 2 * len(ODD) + 1)),
]


def shown(path, capfd, reports):
    assert main(["--db", str(path), "clusters", "--json"]) == 0
    clusters = [str(cluster["cluster_id"]) for cluster in json.loads(capfd.readouterr().out)]
    assert len(clusters) == len(ODD)
    for report in [*reports, *(f"cluster {one}" for one in clusters), *(f"explain cluster/{one}" for one in clusters)]:
        assert main(["--db", str(path), *report.split()]) == 0, (report, capfd.readouterr())


@pytest.mark.thinned
@pytest.mark.sqlite("each zone; the next test covers the other engine")
def test_every_report_shows_any_time_in_every_zone(odd, path, zone, capfd):
    shown(path, capfd, REPORTS)


@pytest.mark.postgres
@pytest.mark.large
def test_every_report_shows_any_time_on_postgres(odd, path, capfd):
    shown(path, capfd, REPORTS[:13])


@pytest.mark.large
@pytest.mark.sqlite("it reads the same answers of either engine")
async def test_the_inspector_shows_any_time(odd, path, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    async with inspecting(path) as pilot:
        await shows(pilot, f"{2 * len(ODD)} events")
        for keys in (["enter"], ["enter"], ["w"], ["escape", "enter"], ["escape"] * 4, ["e"], ["escape", "p"]):
            await pilot.press(*keys)
            await until(pilot, lambda: "reading" not in screen_text(pilot.app))
            text = screen_text(pilot.app)
            assert "a bug of" not in text
            assert "larger than" not in text


@pytest.mark.parametrize("age", ["999999s", "999999w"])
def test_nothing_that_old_is_archived(store, path, tmp_path, age, capfd):
    store.record("a")
    words = ["archive", "--before", age, "--to", str(tmp_path / "old.db"), "--because", "x"]
    assert main(["--db", str(path), *words]) == 0
    assert "No SYNCED or dismissed event is older than" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (0, "1970-01-01 00:00:00Z"),
        (-1, "1969-12-31 23:59:59Z"),
        (ODD["the zero time of Go"], "0001-01-01 00:00:00Z"),
        (ODD["the zero time of Go"] - 1, "0000-12-31 23:59:59Z"),
        (ODD["never"], "9999-12-31 23:59:59Z"),
        (ODD["year 10000"], "10000-01-01 00:00:00Z"),
        (999_999_999_999_000_000, "33658-09-27 01:46:39Z"),
        (-99_999_999_999_000_000, "-1199-02-15 14:13:21Z"),
    ],
)
def test_how_any_time_is_written(at, shown):
    assert moment_utc(at) == shown


def test_near_times_are_local_and_far_ones_are_in_utc(zone):
    offset = {"UTC": "Z", "Asia/Tokyo": "+09:00", "America/New_York": "-05:00"}[zone]
    assert moment(microseconds(datetime(2026, 11, 20, 10, tzinfo=UTC))).endswith(offset)
    assert moment(ODD["year 10000"]) in {"10000-01-01 00:00:00Z", "9999-12-31 19:00:00-05:00"}
    assert moment(ODD["the zero time of Go"])[:4] in {"0001", "0000"}


@pytest.mark.parametrize("text", ["0001-01-01", "0001-01-01T23:59", "9999-12-31", "9999-12-31T23:59:59.999999"])
@pytest.mark.thinned
def test_the_ends_of_the_calendar_are_times_in_every_zone(store, path, zone, text, capfd):
    at = parse_moment(text, now=0)
    assert abs(at - microseconds(datetime.fromisoformat(text))) <= 86_400_000_000
    for report in (f"events since:{text} until:{text}", f"health --as-of {text}", f"diff 0001-01-01 {text}"):
        assert main(["--db", str(path), *report.split()]) == 0, capfd.readouterr()


NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())


@pytest.mark.parametrize("number", [SECONDS, SECONDS * 1_000, 0, 5, -SECONDS, 10**14 - 1])
def test_a_number_of_record_is_in_microseconds_and_no_other_unit_is_taken_for_it(store, number):
    with pytest.raises(UsageError, match="occurred_at is in microseconds since 1970"):
        store.record("a", occurred_at=number)
    assert store.record("a", occurred_at=SECONDS * 1_000_000).occurred_at == SECONDS * 1_000_000


@pytest.mark.parametrize(
    "given", [SECONDS, float(SECONDS), SECONDS * 1_000, SECONDS * 1_000.0, SECONDS * 1_000_000, NOON.isoformat(), NOON]
)
def test_a_time_of_a_dict_or_a_line_is_understood_in_each_unit_that_programs_write(store, path, tmp_path, given):
    (event,) = store.record_many([{"type": "a", "occurred_at": given}])
    assert event.occurred_at == SECONDS * 1_000_000
    if not isinstance(given, datetime):
        line = tmp_path / "line.jsonl"
        line.write_text(json.dumps({"type": "b", "occurred_at": given}))
        assert main(["--db", str(path), "ingest", str(line)]) == 0
        ((at,),) = store.session.read(lambda db: db.query("SELECT occurred_at FROM event_log WHERE event_type = 'b'"))
        assert at == SECONDS * 1_000_000


def test_an_event_s_own_time_is_taken_back(store):
    first = store.record("a")
    assert store.record_many([{"type": "a", "occurred_at": first.occurred_at}])[0].occurred_at == first.occurred_at


@pytest.mark.parametrize(
    "given", [1e11 * 3, -1e11, 3 * 10**17, 10**30, -(2**70), float("inf"), float("nan"), True, 1e300, [], "soon"]
)
def test_a_time_beyond_the_years_that_there_are_is_refused(store, given):
    with pytest.raises(UsageError, match="occurred_at"):
        store.record_many([{"type": "a", "occurred_at": given}])


@pytest.mark.parametrize(
    "given",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-14:00"],
)
def test_a_time_that_a_calendar_has_in_some_zone_is_recorded(store, path, zone, given, capfd):
    store.record_many([{"type": "a", "occurred_at": given}])
    assert main(["--db", str(path), "event", "1"]) == 0
    assert "occurred" in capfd.readouterr().out


def test_a_refused_time_of_a_line_is_a_reject(tmp_path, capfd):
    (tmp_path / "far.jsonl").write_text('{"type": "far", "occurred_at": 999999999999}\n')
    assert main(["--db", str(tmp_path / "s.db"), "ingest", str(tmp_path / "far.jsonl")]) == 1
    assert "occurred_at is out of range" in capfd.readouterr().out
    with Store.open(tmp_path / "s.db") as store, pytest.raises(UsageError, match="out of range"):
        store.record("a", occurred_at=int(timedelta(days=4_000_000).total_seconds()) * 1_000_000)
