"""Any problem of a store is shown in a line; the app continues and recovers when the store does."""

import os
import sqlite3
import time

import pytest

from failaware import Handlers, Permanent, Retry, Store, Worker
from tests.derive.versions import leave_as_another
from tui.app import InspectorApp
from tui.messages import StoreIs, StoreState
from tui.screens.events import EventsScreen
from tui.widgets.text_view import TextView

from .helpers import gone, inspecting, loaded, rows, screen_text, shows, until


async def test_a_missing_store_is_waited_for_and_an_empty_one_says_how_to_begin(path):
    async with inspecting(path) as pilot:
        await shows(pilot, "There is no store at", "as soon as it appears", "not live")
        with Store.open(path) as store:
            await shows(pilot, "Nothing is recorded yet", "store.record(", "● live")
            await gone(pilot, "There is no store")
            store.record("a")
            await shows(pilot, "Nothing has failed", "1 event")


@pytest.mark.sqlite("its file")
@pytest.mark.large
async def test_a_store_deleted_or_replaced_while_open(full, path, tmp_path, clock):
    store, _ = full
    store.close()
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        path.unlink()
        await shows(pilot, "was deleted", "payment.capture", "not live")
        with Store.open(path) as new:
            new.record_many(("other", n) for n in range(5))
        await shows(pilot, "5 events", "● live")
        await gone(pilot, "was deleted")
        other = tmp_path / "other.db"
        with Store.open(other) as new:
            new.record_many(("other", n) for n in range(7))
        os.replace(other, path)
        await shows(pilot, "7 events", "● live")


def test_what_is_told_while_the_app_ends_is_heard_without_a_screen(path):
    app = InspectorApp(str(path))  # has no screen before it begins, nor once it ends
    app.on_store_state(StoreState(StoreIs.MISSING))
    app._tick()


def text_file(path):
    path.write_text("just a text, long enough to be read as a header of something\n" * 50)


def foreign(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE users (id)")
    db.close()


def newer(path):
    Store.open(path).close()
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def folder(path):
    path.mkdir()


@pytest.mark.thinned
@pytest.mark.sqlite("its file")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (text_file, "not a SQLite database"),
        (foreign, "another program"),
        (newer, "newer failaware"),
        (folder, "is a folder"),
        (lambda path: path.touch(), "is empty"),
    ],
)
async def test_what_is_not_a_store_is_said_to_be_none(path, make, message):
    make(path)
    async with inspecting(path, (160, 45)) as pilot:
        await shows(pilot, message, "not live")


@pytest.mark.sqlite("its file")
async def test_a_store_that_another_program_holds_for_itself(full, path, clock):
    store, _ = full
    store.close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        async with inspecting(path, (160, 45), clock) as pilot:
            await shows(pilot, "locked", "Retrying")
            holder.execute("COMMIT")
            holder.close()
            await loaded(pilot, 2)
            await gone(pilot, "locked")
    finally:
        holder.close()


@pytest.mark.sqlite("its file")
async def test_a_damaged_page_is_said_and_the_rest_goes_on(full, path, clock):
    store, _ = full
    store.session.write(lambda db: db.execute("PRAGMA user_version"))
    root = store.session.read(lambda db: db.query("SELECT rootpage FROM sqlite_master WHERE name = 'event_log'"))[0][0]
    size = store.session.read(lambda db: db.query("PRAGMA page_size"))[0][0]
    store.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    async with inspecting(path, (160, 45), clock) as pilot:
        await shows(pilot, "damaged", "Retrying", "payment.capture")
        await loaded(pilot, 2)
        await pilot.press("e")
        await shows(pilot, "› events", "damaged")


@pytest.mark.large
async def test_facts_from_a_clock_that_is_ahead_are_said(full, path, clock):
    clock.now -= 3_600_000_000
    async with inspecting(path, (160, 45), clock) as pilot:
        await shows(pilot, "is ahead)")


async def test_a_worker_gone_quiet_is_seen_from_what_is_overdue(full, path, clock):
    clock.advance(7200)
    async with inspecting(path, (160, 45), clock) as pilot:
        await shows(pilot, "2 due now, no worker is taking them", "last fact 2 h ago")


@pytest.mark.large
async def test_hostile_text_is_shown_as_harmless_text(full, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("j")
        await shows(pilot, "[bold]not markup[/bold] [/foo]")  # until() checks that no control comes through
        pilot.app.push_screen(EventsScreen(where="id:4"))
        await shows(pilot, "[/foo]", "[bold]not markup[/bold]", "\\x1b]0;owned")
        await pilot.press("2")
        await shows(pilot, "\\u202e")
        await pilot.press("y", "m")
        assert "\\x1b]0;owned\\x07\\x1b[31m [bold]not markup[/bold]" in pilot.app.clipboard
        assert "\x1b" not in screen_text(pilot.app)


@pytest.mark.large
async def test_a_payload_and_a_traceback_beyond_measure(path, clock):
    from failaware.facts import append
    from failaware.model import Failure, NewAttempt

    trace = "Traceback (most recent call last):\n" + '  File "/srv/app.py", line 1, in f\n    f()\n' * 50_000
    with Store.open(path, clock=clock, max_payload_bytes=20_000_000) as store:
        store.record("huge", {"text": "x" * 10_000_000, "wide": "語" * 5_000})
        failed = Failure("RecursionError", "too deep " * 100, trace + "RecursionError: too deep")
        attempt = NewAttempt(1, failed, "w:1", clock(), clock(), None, "gave up")
        store.session.write(lambda db: append.attempts(db, [attempt], store.session.policy))
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 1)
        pilot.app.push_screen(EventsScreen(where="id:1"))
        await pilot.press("2")
        await shows(pilot, "characters, shown as they are")
        await pilot.press("1", "enter")
        await shows(pilot, "/srv/app.py", "RecursionError")
        await until(pilot, lambda: pilot.app.screen.side.text.has_focus)
        view = pilot.app.screen.query_one(TextView)
        await pilot.press("G")
        await until(pilot, lambda: view.scroll_offset.y > 5_000)
        await shows(pilot, "RecursionError: too deep", "1 attempt")
        await pilot.resize_terminal(80, 24)  # by which the text has other rows
        await shows(pilot, "RecursionError: too deep")
        await pilot.press("y", "t")
        assert pilot.app.clipboard.count("/srv/app.py") == 50_000


async def test_an_event_that_is_not_there(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        pilot.app.push_screen(EventsScreen(where="id:999"))
        await shows(pilot, "No event matches this filter.")
        await pilot.press("escape")
        assert rows(pilot).id == "clusters"


async def test_a_bug_in_one_pane_leaves_the_others(full, path, clock, monkeypatch):
    monkeypatch.setattr("tui.screens.overview.numbers", lambda inspector: 1 / 0)
    async with inspecting(path, (160, 45), clock) as pilot:
        await shows(pilot, "a bug of failaware's", "ZeroDivisionError", "payment.capture")
        await pilot.press("e")
        await loaded(pilot, 9)


@pytest.mark.thinned
@pytest.mark.tour
async def test_what_another_version_derived_is_said_until_it_is_derived_again(full, path, clock):
    store, _ = full
    leave_as_another(path)
    store.close()
    async with inspecting(path, clock=clock) as pilot:
        await shows(pilot, "Derived by an older version of failaware (0.0.9)", "failaware rebuild", "● live")
        Store.open(path, clock=clock).close()
        await gone(pilot, "Derived by")


@pytest.mark.large
async def test_times_that_python_has_no_date_for_are_shown(path, clock, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")  # where Go's zero time is in the year 0
    time.tzset()
    handlers = Handlers()

    @handlers.on("*")
    def fails(event):
        raise Permanent("no")

    with Store.open(path, clock=lambda: -62_135_596_800_000_000) as store:  # 0001-01-01
        store.record("go.job", 1)
        Worker(store, handlers).run(until_idle=True)
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 1)
        await shows(pilot, "0001-01-01")
        await pilot.press("a")
        await shows(pilot, "AS OF")
        await pilot.press("a", "i")
        await shows(pilot, "events failed with it")
        await pilot.press("escape", "enter")
        await shows(pilot, "attempt    1, 0001-01-01", "attempt 1 of 1")
        await pilot.press("5")
        await shows(pilot, "occurred   0001-01-01")


async def test_an_event_type_in_a_title_is_no_markup(path, clock):
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=5, base=600, jitter=0))
    def fails(event):
        raise TimeoutError("late")

    with Store.open(path, clock=clock) as store:
        store.record("a[/]b", 1)
        Worker(store, handlers).run(until_idle=True, patience=0)
    async with inspecting(path, (160, 45), clock) as pilot:
        await shows(pilot, "─ a[/]b ")
        await pilot.press("d")
        await shows(pilot, "─ a[/]b by minute")
        await pilot.press("escape", "enter")
        await shows(pilot, "› a[/]b #", "attempt 1 of 1")
