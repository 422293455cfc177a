"""What the facts show over time, in the inspector: numbers that open exactly their events, recovery, due retries."""

import pytest

from failaware import Handlers, Inspector, Permanent, Retry, Store, Worker
from tui.patterns import drill_downs, due_rows
from tui.screens.due import DueScreen
from tui.screens.events import EventsScreen
from tui.screens.overview import Overview
from tui.screens.recovered import RecoveredScreen
from tui.widgets.text_view import TextView

from .conftest import EVIL
from .helpers import ALL_SIZES, filtered, gone, inspecting, loaded, numbers, rows, screen_text, shows, until


@pytest.fixture
def history(path, clock, monkeypatch):
    """Payments: 1 changes its error and dies, 2 recovers, 3 is helped, 4 waits; twelve are due in 10 minutes."""
    monkeypatch.setattr("failaware.worker.worker._unique_name", lambda: "host:1")
    late, denied = TimeoutError("late"), PermissionError("denied")
    outcomes = {
        1: [late, late, denied, denied, Permanent("no")],
        2: [late, late, None],
        3: [late, Permanent("no"), None],
        4: [late] * 99,
    }
    handlers = Handlers()

    @handlers.on("payment", retry=Retry(max_attempts=100, base=60, factor=1, jitter=0))
    def payment(event):
        if error := outcomes[event.event_id][event.attempt_no - 1]:
            raise error

    @handlers.on("burst", retry=Retry(max_attempts=9, base=600, jitter=0))
    def burst(event):
        raise ConnectionError(EVIL)

    with Store.open(path, clock=clock) as store:
        store.record_many(("payment", n) for n in range(4))
        worker = Worker(store, handlers)
        for step in range(5):
            worker.run(until_idle=True, patience=0)
            if step == 1:
                store.requeue([3], because="try again", by="ada")
            clock.advance(60)
        store.record_many(("burst", n) for n in range(12))
        worker.run(until_idle=True, patience=0)
        yield store, worker


async def to_cluster(pilot, word):
    """The cursor of the overview to the cluster whose row says this."""
    await until(pilot, lambda: bool(rows(pilot).window.items))
    position = next(i for i, cluster in enumerate(rows(pilot).window.items) if word in cluster.template)
    await pilot.press("g", *"j" * position)
    await until(pilot, lambda: word in rows(pilot).current.template)


@pytest.mark.thinned
@pytest.mark.sqlite("its path is in the picture")
@pytest.mark.parametrize("size", ALL_SIZES)
@pytest.mark.large
async def test_pictures(history, path, clock, picture, size, monkeypatch):
    monkeypatch.chdir(path.parent)

    def name(screen):
        return f"{screen}-{size[0]}x{size[1]}"

    async with inspecting(path.name, size, clock) as pilot:
        await to_cluster(pilot, "late")
        await pilot.press("i")
        await shows(pilot, "events failed with it", "after", "PermissionError")
        picture(pilot.app, name("impact"))
        await pilot.press("escape", "H")
        await shows(pilot, "1 more after a", "by failed attempts")
        picture(pilot.app, name("recovered"))
        await pilot.press("escape", "d")
        await shows(pilot, "1 retry storm", "usually 0 per minute")
        picture(pilot.app, name("due"))


@pytest.mark.thinned
@pytest.mark.parametrize("size", [(60, 18), (40, 12)])
async def test_small_terminals_show_the_row_under_the_cursor(history, path, clock, size):
    async with inspecting(path, size, clock) as pilot:
        await to_cluster(pilot, "late")
        for key, row in (("i", "▌   impact"), ("H", "▌   payment"), ("d", "▌   all")):
            await pilot.press(key)
            await shows(pilot, row)
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, Overview))


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.large
async def test_each_number_opens_exactly_its_events(history, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await to_cluster(pilot, "late")
        cluster = rows(pilot).current_key
        await pilot.press("i")
        await shows(pilot, "before", "after", "PermissionError")
        impact = pilot.app.screen
        with Inspector.open(path, clock=clock) as inspector:
            patterns = inspector.patterns
            numbers = drill_downs(patterns.impact(cluster), patterns.transitions(cluster))
            expected = {
                drill_down.place: [event.event_id for event in inspector.events(drill_down.where)]
                for drill_down in numbers
                if drill_down.where
            }
        assert [drill_down.value for drill_down in numbers[:5]] == ["4", "11", "0", "1", "5 min"]
        assert [expected[place] for place in range(5)] == [[4, 3, 2, 1], [4, 3, 2, 1], [], [4], [4]]
        assert len(expected) == 7  # and what was SYNCED, and what is retried
        for place, ids in expected.items():
            await pilot.press("g", *"j" * place, "enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen) and pilot.app.screen is not impact)
            await loaded(pilot, len(ids))
            assert [event.event_id for event in rows(pilot).window.items] == ids
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is impact)


@pytest.mark.large
async def test_what_came_after_leads_to_that_cluster_and_nothing_to_nothing(history, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await to_cluster(pilot, "late")
        await pilot.press("i")
        await shows(pilot, "after", "PermissionError")
        impact, shown_rows = pilot.app.screen, numbers(pilot).window.items
        at = next(drill_down.place for drill_down in shown_rows if "PermissionError" in drill_down.name)
        first_attempt = next(drill_down.place for drill_down in shown_rows if "first attempt" in drill_down.name)
        await pilot.press("g", *"j" * first_attempt, "enter")
        await shows(pilot, "This number has no events to show")
        await pilot.press("g", *"j" * at, "enter")
        await until(pilot, lambda: pilot.app.screen is not impact)
        await loaded(pilot, 1)
        await shows(pilot, "PermissionError: denied", "› payment #")
        await pilot.press("y", "escape", "escape")
        await until(pilot, lambda: pilot.app.screen is impact)
        await pilot.press("g", "j", "j", "y", "f")
        assert pilot.app.clipboard.endswith(" status:DEAD -status:DISMISSED")


async def test_the_impact_is_live(history, path, clock):
    store, _ = history
    async with inspecting(path, clock=clock) as pilot:
        await to_cluster(pilot, "late")
        await pilot.press("i")
        await shows(pilot, "still FAILED: another attempt is due")
        store.dismiss([4], because="no more")
        await shows(pilot, "DISMISSED by a person", "age of the oldest unresolved event")
        await gone(pilot, "still FAILED: another attempt is due")
        await until(pilot, lambda: numbers(pilot).window.items[3].value == "0")


@pytest.mark.large
async def test_impact_from_lists_of_events(history, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await to_cluster(pilot, "late")
        cluster = rows(pilot).current_key
        await pilot.press("enter")
        await loaded(pilot, 4)
        await pilot.press("G", "i")  # event 1, whose last failure is of another cluster
        await shows(pilot, "events failed with it")
        assert pilot.app.screen.subject() == ("event", 1)
        await pilot.press("tab")
        assert pilot.app.screen.subject() == ("cluster", cluster)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Overview))
        history[0].record("mail", 1)
        await pilot.press("e")
        await loaded(pilot, 17)
        await pilot.press("i")
        await shows(pilot, "It has no cluster: it never failed.")


async def test_an_event_says_how_its_error_changed(history, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await until(pilot, lambda: bool(rows(pilot).window.items))
        pilot.app.push_screen(EventsScreen(where="id:1", tab="history"))
        await shows(pilot, "TimeoutError ×2 → PermissionError ×2 → Permanent ×1 → DEAD")
        pilot.app.push_screen(EventsScreen(where="id:3", tab="history"))
        await shows(pilot, "TimeoutError ×1 → Permanent ×1 → requeued by ada → SYNCED")


@pytest.mark.thinned
@pytest.mark.tour
async def test_what_recovered_is_read_when_asked_sorted_and_filtered(history, path, clock):
    store, _ = history
    async with inspecting(path, (160, 45), clock) as pilot:
        await until(pilot, lambda: bool(rows(pilot).window.items))
        await pilot.press("H")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecoveredScreen))
        await loaded(pilot, 2)
        await shows(pilot, "1 event recovered after 2 failed attempts", "by failed attempts")
        assert [row.recovery.recovered for row in rows(pilot).window.items] == [1, 0]
        await pilot.press("o", "o", "o")
        await shows(pilot, "by events helped")
        with store.attempt("late.recovery", 1):
            pass
        clock.advance(61)
        await pilot.press("r")
        await shows(pilot, "read at 11:12:4")
        await filtered(pilot, "error:late")
        await loaded(pilot, 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        await loaded(pilot, 4)
        await pilot.press("escape")
        await loaded(pilot, 1)
        await filtered(pilot, "foo:1")
        await shows(pilot, "no field")


async def test_the_filter_of_the_overview_goes_along(history, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await until(pilot, lambda: len(rows(pilot).window.items) == 4)
        await filtered(pilot, "error:late")
        await loaded(pilot, 1)
        await pilot.press("H")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecoveredScreen))
        await loaded(pilot, 1)
        await shows(pilot, "error:late", "1 cluster")


async def test_nothing_recovered_and_nothing_due(path, clock):
    Store.open(path, clock=clock).close()
    async with inspecting(path, clock=clock) as pilot:
        await shows(pilot, "Nothing is recorded yet")
        await pilot.press("d")
        await shows(pilot, "No retry is due.")
        await pilot.press("enter", "escape", "H")
        await shows(pilot, "No failed event has recovered.")
        await pilot.press("i")
        await shows(pilot, "No cluster is selected")


@pytest.mark.thinned
@pytest.mark.tour
async def test_due_retries_move_with_the_clock_and_open_their_events(history, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await until(pilot, lambda: bool(rows(pilot).window.items))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, DueScreen))
        await loaded(pilot, 3)
        await shows(pilot, "in 9 min", "12 of burst, usually 0 per minute", "ConnectionError: ")
        assert [row.due.overdue for row in rows(pilot).window.items] == [0, 0, 0]
        clock.advance(300)  # nothing is written, and yet the minutes pass
        await shows(pilot, "in 4 min")
        clock.advance(600)
        await shows(pilot, "no retry storm")
        assert [row.due.overdue for row in rows(pilot).window.items] == [13, 12, 1]
        await pilot.press("j")
        await until(pilot, lambda: rows(pilot).current.due.event_type == "burst")
        assert [line.text for line in pilot.app.screen.query_one(TextView).lines] == [
            "No retry is due within the hour."
        ]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        await loaded(pilot, 12)
        await shows(pilot, "type:burst")
        await pilot.press("escape", "g", "enter")
        await loaded(pilot, 13)


def test_each_row_of_the_calendar_lists_exactly_its_retries(history, path, clock):
    with Inspector.open(path, clock=clock) as inspector:
        for row in due_rows(inspector.patterns.calendar()):
            due = row.due.overdue + sum(row.due.minutes) + row.due.later
            assert inspector.count_events(row.where) == due


@pytest.mark.large
async def test_nothing_is_said_by_colour_alone(history, path, clock, monkeypatch):
    async def say():
        async with inspecting(path, clock=clock) as pilot:
            await until(pilot, lambda: bool(rows(pilot).window.items))
            await pilot.press("d")
            await shows(pilot, "1 retry storm", "retry storm: 12")
            return screen_text(pilot.app)

    coloured = await say()
    monkeypatch.setenv("NO_COLOR", "1")
    assert await say() == coloured
