"""What a screen says about the time stays true while nothing is written."""

import pytest

from failaware import Handlers, Permanent, Retry, Store, Worker
from tui.screens.events import EventsScreen

from .helpers import filtered, gone, inspecting, loaded, rows, shows, until


@pytest.fixture
def waiting(path, clock):
    """One event that failed now and is due in 30 s."""
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=5, base=30, jitter=0))
    def fails(event):
        raise TimeoutError("no answer")

    with Store.open(path, clock=clock) as store:
        store.record("a.b", {})
        Worker(store, handlers).run(until_idle=True, patience=0)
        yield store


@pytest.mark.tour
@pytest.mark.large
async def test_the_header_says_that_nobody_works_once_writers_have_stopped(waiting, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await shows(pilot, "last fact now", "next attempt in 30 s", "● live")
        clock.advance(100)
        await shows(pilot, "last fact 1 min ago", "oldest unresolved 1 min ago", "1 due now, no worker is taking them")
        await shows(pilot, ", quiet for 100 s")
        clock.advance(3600)
        await shows(pilot, "last fact 1 h ago", "quiet for 61 min")
        waiting.record("another", 1)
        await shows(pilot, "last fact now")
        await gone(pilot, "quiet")


async def test_what_a_minute_changes_is_asked_again(waiting, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 1)
        await filtered(pilot, "since:30m")
        await loaded(pilot, 1)
        clock.advance(1_900)
        await loaded(pilot, 0)
        assert pilot.app.screen.query_one("#detail").lines == []


async def test_the_chart_goes_on_by_the_hour(waiting, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await shows(pilot, "1 in 24 h")
        clock.advance(25 * 3600)
        await shows(pilot, "0 in 24 h")


@pytest.mark.thinned
@pytest.mark.parametrize(
    ("make", "before", "after"),
    [
        (lambda _: EventsScreen(), "(now), took", "(2 min ago), took"),
        (
            lambda cluster_id: EventsScreen(cluster_id=cluster_id),
            "· last now",
            "· last 2 min ago",
        ),
        (lambda _: EventsScreen(where="id:1"), "(in 30 s)", "next attempt was due 2026-11-18 11:07:10Z  (1 min ago)"),
        (lambda _: EventsScreen(where="id:1"), "in 30 s  ", "overdue 90 s"),
        (
            lambda cluster: EventsScreen(cluster_id=cluster, tab="history"),
            "last       2026-11-18 11:06:40Z  (now)",
            "(2 min ago)",
        ),
        (lambda cluster: EventsScreen(cluster_id=cluster, tab="impact"), "0 ms", "2 min"),
    ],
)
async def test_texts_say_how_long_ago_it_was(waiting, path, clock, make, before, after):
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 1)
        pilot.app.push_screen(make(rows(pilot).current_key))
        await shows(pilot, before)
        clock.advance(120)
        await shows(pilot, after)
        await gone(pilot, before)


async def test_a_paused_screen_asks_nothing(waiting, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await shows(pilot, "next attempt in 30 s")
        await pilot.press("p")
        clock.advance(100)
        await shows(pilot, "next attempt 1 min ago", "‖ paused")
        await pilot.press("p")
        await shows(pilot, "1 due now, no worker is taking them")


async def test_an_event_that_succeeded_did_not_fail_again(path, clock):
    fails = [False]
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=5, base=30, jitter=0))
    def handle(event):
        if fails[0]:
            raise Permanent("no")

    with Store.open(path, clock=clock) as store:
        worker = Worker(store, handlers)
        ids = [store.record("job.x", n).event_id for n in range(3)]
        store.dismiss(ids[:1], because="not needed")
        async with inspecting(path, clock=clock) as pilot:
            await until(pilot, lambda: len(pilot.app.screen.query("Rows")) == 1)
            await pilot.press("e")
            await loaded(pilot, 3)
            worker.run(until_idle=True, patience=0)
            await shows(pilot, "✓ SYNCED")
            assert not rows(pilot).marks
            fails[0] = True
            store.record("job.x", 4)
            await shows(pilot, "1 new above")
            await pilot.press("full_stop")
            await loaded(pilot, 4)
            await pilot.press("j")
            worker.run(until_idle=True, patience=0)
            await shows(pilot, "■ DEAD")
            assert rows(pilot).marks == {4: "↑"}
            store.requeue([4], because="repaired")
            await until(pilot, lambda: not rows(pilot).marks)
            fails[0] = False
            worker.run(until_idle=True, patience=0)
            await gone(pilot, "DEAD")
            assert not rows(pilot).marks
