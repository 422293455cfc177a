"""New facts appear automatically, and the row under the cursor stays in place."""

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
import time
from io import StringIO

import pytest
from rich.console import Console
from textual._compositor import Compositor
from textual.geometry import Region

from failaware import Store
from tests import processes
from tests.conftest import HOUR
from tui.routes import ToEvents
from tui.screens import asking
from tui.screens.events import EventsScreen
from tui.screens.overview import Overview
from tui.widgets.rows import Rows

from .helpers import filtered, gone, inspecting, loaded, rows, screen_text, shows, side_text, until

WRITER = """
import sys
from failaware import Store
store = Store.open(sys.argv[1])
input()
store.record("from.outside", 1)
print(flush=True)
input()
"""


async def test_a_change_by_another_process_is_on_the_screen_within_half_a_second(full, path):
    async with inspecting(path) as pilot:
        await loaded(pilot, 2)
        writer = processes.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            await asyncio.to_thread(writer.stdin.write, "\n")
            await asyncio.to_thread(writer.stdin.flush)
            await asyncio.to_thread(writer.stdout.readline)
            committed = time.monotonic()
            await shows(pilot, "PENDING 1")
            assert time.monotonic() - committed < 2  # 0.5 s on a machine of one's own
        finally:
            writer.communicate("\n", timeout=10)


async def test_the_cursor_stays_on_its_cluster_and_what_changed_is_marked(full, path, clock):
    store, worker = full
    async with inspecting(path, (120, 30), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("j")
        here = rows(pilot).current_key
        store.record_many(("payment.capture", n) for n in range(3))
        store.record_many((name, 1) for name in ("evil",))
        worker.run(until_idle=True)
        await shows(pilot, "failed again")
        assert rows(pilot).current_key == here
        other = next(c.cluster_id for c in rows(pilot).window.items if c.cluster_id != here)
        await until(pilot, lambda: rows(pilot).marks.get(other) == "↑")  # the worker's commits may be shown one by one
        await pilot.press("right_curly_bracket" if rows(pilot).cursor == 0 else "left_curly_bracket")
        assert rows(pilot).current_key == other
        await until(pilot, lambda: other not in rows(pilot).marks)  # looked at for a second
        await pilot.press("M")
        await until(pilot, lambda: not rows(pilot).marks)


async def test_only_the_lines_that_changed_are_painted(full, path, clock, monkeypatch):
    store, _worker = full
    async with inspecting(path, (160, 30), clock) as pilot:
        await loaded(pilot, 2)
        listed, painted = rows(pilot), []
        before = listed.window.items[1]
        screen_text(pilot.app)
        monkeypatch.setattr(listed, "refresh", lambda *regions, **_: painted.extend(regions))
        pilot.app.screen.tick(clock.now)
        assert not painted  # as nothing has changed
        store.dismiss([4], because="a test")
        await until(pilot, lambda: listed.window.items[1] != before)
        assert {region.y for region in painted} <= {3, 4}  # the second item's
        console = Console(color_system="truecolor", force_terminal=True, file=StringIO(), width=500)
        assert sum(len(listed.render_line(region.y).render(console).encode()) for region in painted) <= 500


async def test_another_text_in_a_border_repaints_one_line(full, path, clock):
    async with inspecting(path, (160, 30), clock) as pilot:
        await loaded(pilot, 2)
        listed = rows(pilot)
        for say, line in ((listed.say_above, 0), (listed.say_below, listed.outer_size.height - 1)):
            listed._exchange_repaint_regions()
            say("something else [/b]")
            assert listed._exchange_repaint_regions() == {Region(0, line, listed.outer_size.width, 1)}
            say("something else [/b]")
            assert not listed._exchange_repaint_regions()
        await shows(pilot, "something else [/b]")


async def test_a_screen_is_not_painted_before_its_first_answers_are_there(full, path, clock, monkeypatch):
    monkeypatch.setattr(asking, "_PATIENCE_S", 60)
    async with inspecting(path, (160, 30), clock) as pilot:
        await loaded(pilot, 2)
        await shows(pilot, "next step")
        painted, paint = [], Compositor.render_update

        def noted(compositor, **options):
            screen = pilot.app.screen
            painted.append(not isinstance(screen, EventsScreen) or screen.detail is not None)
            return paint(compositor, **options)

        monkeypatch.setattr(Compositor, "render_update", noted)
        await pilot.press("enter")
        await shows(pilot, "Traceback (most")
        assert painted
        assert all(painted)
        pilot.app.open(ToEvents(where="status:PENDING"))  # nothing: there is no first event to wait for
        await shows(pilot, "No event matches this filter")


async def test_new_events_wait_above_while_one_reads_further_down(full, path, clock):
    store, _ = full
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("e")
        await loaded(pilot, 9)
        await pilot.press("j", "j")
        here, line = rows(pilot).current_key, rows(pilot).cursor
        store.record_many(("mail", n) for n in range(5))
        await shows(pilot, "5 new above (.)")
        assert (rows(pilot).current_key, rows(pilot).cursor) == (here, line)
        await pilot.press("full_stop")
        await until(pilot, lambda: rows(pilot).current_key == 14)
        await gone(pilot, "new above")
        store.record("mail", 1)
        await shows(pilot, "1 new above (.)")  # also above the newest row that one looks at
        assert (rows(pilot).current_key, rows(pilot).cursor) == (14, 0)


async def test_paused_nothing_moves_until_one_goes_on(full, path, clock):
    store, _ = full
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("p")
        await shows(pilot, "paused")
        before = screen_text(pilot.app)
        store.record("mail", 1)
        await asyncio.sleep(0.4)
        await pilot.pause()
        assert screen_text(pilot.app) == before
        await pilot.press("p")
        await shows(pilot, "PENDING 1", "● live")


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.large
async def test_a_list_of_any_length_holds_only_a_part_of_it(path, clock):
    with Store.open(path, clock=clock) as store:
        store.record_many(("bulk", n) for n in range(20_000))
    async with inspecting(path, clock=clock) as pilot:
        await until(pilot, lambda: "20,000 events" in screen_text(pilot.app))
        await pilot.press("e")
        await until(pilot, lambda: rows(pilot).current_key == 20_000)
        await pilot.press("G")
        await until(pilot, lambda: rows(pilot).current_key == 1)
        for _ in range(12):
            await pilot.press("pageup")
        await until(pilot, lambda: rows(pilot).current_key == 1 + 12 * (rows(pilot).size.height - 2))
        await pilot.press("g")
        await until(pilot, lambda: rows(pilot).current_key == 20_000)
        rows(pilot).scroll_to(y=10_000, animate=False)
        await until(pilot, lambda: rows(pilot).window.at(10_010) is not None)
        assert rows(pilot).window.at(10_010).event_id == 20_000 - 10_010
        assert len(rows(pilot).window.items) <= 1_100


@pytest.mark.large
@pytest.mark.sqlite("its file's bytes")
async def test_the_tour_leaves_every_byte_as_it_is(full, path, clock):
    store, _ = full
    store.close()
    os.chmod(path, 0o400)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        for key in ("enter", "enter", "enter", "f", "J", "K", "escape", "w", "escape", "right_square_bracket"):
            await pilot.press(key)
        await pilot.press("escape", "s", "t", "o", "escape", "escape", "e", "G", "g", "r", "n", "N", "M", "v", "p", "p")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_cannot_be_written_to(full, path, clock):
    store, _ = full
    store.close()
    path.parent.chmod(0o500)
    try:
        async with inspecting(path, clock=clock) as pilot:
            await loaded(pilot, 2)
    finally:
        path.parent.chmod(0o700)


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.parametrize("on_own_connection", [False, True])
async def test_quitting_in_a_long_query_takes_no_time(path, clock, on_own_connection):
    with Store.open(path, clock=clock) as store:
        store.record("a", 1)
    async with inspecting(path, clock=clock) as pilot:
        await until(pilot, lambda: "1 event" in screen_text(pilot.app))
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        started = []

        def ask(inspector):
            if on_own_connection:  # on a connection of its own, as what changed has
                with inspector.as_of(clock.now) as then:
                    started.append(True)
                    return then.db.query(endless)
            started.append(True)
            return inspector.db.query(endless)

        pilot.app.reader.once(pilot.app.screen, "why", ask)
        await until(pilot, lambda: started)
        began = time.monotonic()
        pilot.app.reader.stop()
        assert time.monotonic() - began < 1.5
        assert not pilot.app.reader.is_alive()


@pytest.mark.thinned
@pytest.mark.parametrize("on_own_connection", [False, True])
@pytest.mark.large
async def test_a_long_query_of_a_screen_that_was_left_does_not_delay_others(full, path, clock, on_own_connection):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        await until(pilot, lambda: len(rows(pilot).window.items) > 0)
        asked = []

        def ask(inspector):
            if on_own_connection:
                with inspector.as_of(clock.now) as then:
                    asked.append(True)
                    return then.db.query(endless)
            asked.append(True)
            return inspector.db.query(endless)

        pilot.app.reader.once(pilot.app.screen, "detail", ask)
        await until(pilot, lambda: asked)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Overview))
        full[0].record("another", 1)
        await shows(pilot, "10 events")
        assert pilot.app.screen.troubles == {}
        assert len(asked) == 1


async def test_events_of_a_cluster_are_only_those(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        await until(pilot, lambda: len(rows(pilot).window.items) > 0)
        assert len({event.event_type for event in rows(pilot).window.items}) == 1


@pytest.mark.postgres
async def test_the_time_is_the_servers_and_not_this_machines(path, monkeypatch):
    with Store.open(path) as store:
        store.record("a", 1)
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + HOUR * 1_000)  # this machine's clock is an hour ahead
    async with inspecting(path) as pilot:
        await shows(pilot, "1 event\n")
        assert abs(pilot.app.moment.now() - real() // 1_000) < 60_000_000
        shown = []
        pilot.app.reader.once(
            pilot.app.screen, "seen", lambda inspector: shown.append(inspector.count_events("since:30m"))
        )
        pilot.app.screen.answered_seen = lambda _: None
        await until(pilot, lambda: shown)
        assert shown == [1]


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.parametrize("of_cluster", [False, True])
async def test_keys_act_on_the_event_that_one_sees_however_many_come(full, path, clock, of_cluster):
    store, worker = full
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 2)
        while of_cluster and rows(pilot).current.event_type != "payment.capture":
            await pilot.press("j")
        await pilot.press("enter" if of_cluster else "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen) and rows(pilot).current_key is not None)
        here = rows(pilot).current_key
        await shows(pilot, f"event {here} ")
        await until(pilot, lambda: bool(side_text(pilot)))
        before = side_text(pilot)
        for n in range(3):
            store.record("payment.capture", {"amount": n})
            worker.run(until_idle=True, patience=0)
            await shows(pilot, f"{n + 1} new above (.)")
            assert (rows(pilot).current_key, rows(pilot).cursor) == (here, 0)
        assert of_cluster or side_text(pilot) == before  # in the cluster the event itself is tried again
        await pilot.press("C")
        assert f" dismiss {here} " in pilot.app.clipboard
        await pilot.press("y", "i")
        assert pilot.app.clipboard == str(here)
        await pilot.press("enter")
        await shows(pilot, f"› event {here}")


@pytest.mark.large
async def test_the_cursor_goes_to_the_nearest_row_when_its_event_leaves_the_filter(path, clock):
    with Store.open(path, clock=clock) as store:
        for number in range(60):
            with contextlib.suppress(ValueError), store.attempt("job", number):
                raise ValueError
        async with inspecting(path, clock=clock) as pilot:
            await loaded(pilot, 1)
            await pilot.press("e")
            await loaded(pilot, 60)
            await filtered(pilot, "status:DEAD")
            await loaded(pilot, 60)
            await pilot.press(*["j"] * 30)
            assert rows(pilot).current_key == 30
            line = rows(pilot).cursor - rows(pilot).scroll_offset.y
            store.requeue([*range(26, 31), *range(50, 60)], because="left: it, four below it and ten above it")
            await loaded(pilot, 45)
            assert rows(pilot).current_key == 25, "the first one below it that is left"
            assert rows(pilot).cursor - rows(pilot).scroll_offset.y == line, "on the same line"
            await shows(pilot, "event 25 ")
            store.requeue(range(1, 26), because="nothing below is left")
            await loaded(pilot, 20)
            assert rows(pilot).current_key == 31, "the nearest one above"
            assert 0 <= rows(pilot).cursor - rows(pilot).scroll_offset.y < rows(pilot).size.height - 1
            await pilot.press("k")
            assert rows(pilot).current_key == 32
            store.requeue([*range(31, 50), 60], because="nothing is left")
            await shows(pilot, "No event matches this filter.")
            await pilot.press("j", "enter", "y", "escape")
            await loaded(pilot, 60)


async def test_a_row_that_is_gone_when_it_is_opened_is_not_missed(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        for keys in ("", "d", "H"):
            await pilot.press(*keys)
            await until(pilot, lambda: bool(pilot.app.screen.query(Rows)))
            rows(pilot).window.hold([])
            rows(pilot).action_open()
            await pilot.pause()
            assert pilot.app.is_running
            await pilot.press(*["escape"] * len(keys))
