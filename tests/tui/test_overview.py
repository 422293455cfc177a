"""The overview: the worst first, numbers that open what they count, a histogram that filters, a preview in words."""

import contextlib
import re

import pytest

from failaware import Inspector
from failaware.model import Cluster
from failaware.model.patterns import EventSeverity, Trend
from failaware.text import cells, moment
from tests.conftest import HOUR, START
from tests.sizes import sized
from tui.columns import clock_time, worst_first, worst_of
from tui.screens.events import EventsScreen
from tui.widgets.histogram import DAY, Bars, Histogram
from tui.widgets.lines import COUNTED_EVENTS, CounterTile, event_counts
from tui.widgets.rows import Rows
from tui.widgets.text_view import TextView

from .helpers import gone, inspecting, loaded, rows, screen_text, shows, until


@pytest.mark.tour
async def test_each_number_of_the_header_counts_events_and_opens_exactly_those(full, path, clock):
    store, _ = full
    store.dismiss([1, 4], because="seen to")
    store.requeue([2], because="again")
    with Inspector.open(path, clock=clock) as inspector:
        counts = event_counts(inspector.health())
        assert counts == {name: inspector.count_events(where) for name, where in COUNTED_EVENTS.items()}
        assert min(counts.values()) > 0
    async with inspecting(path, (160, 45), clock) as pilot:
        await shows(pilot, "3 unresolved" if counts["UNRESOLVED"] == 3 else f"{counts['UNRESOLVED']} unresolved")
        await pilot.click(".of-DEAD")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        await loaded(pilot, counts["DEAD"])
        await shows(pilot, "status:DEAD -status:DISMISSED")


async def test_the_numbers_are_reached_by_keys(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await shows(pilot, "5 unresolved")
        pilot.app.screen.query(CounterTile).first().focus()
        await pilot.press("right", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        await loaded(pilot, 2)
        await shows(pilot, "status:FAILED -status:DISMISSED")


def cluster(number, severity="HIGH", unresolved=1, last=0):
    return Cluster(number, "a", None, "t", severity, None, None, 9, unresolved, 0, 0, 0, 9, 1, 0, 0, last, 0)


def test_within_a_severity_new_or_rising_clusters_come_first_then_many_unresolved_events():
    trends = {number: Trend(number, (1,) * 24, 9, change) for number, change in ((3, "rising"), (5, "new"), (8, "new"))}
    listed = [
        cluster(1, "CRITICAL"),
        cluster(2, unresolved=50),
        cluster(3, unresolved=2),
        cluster(4, unresolved=60),
        cluster(5, unresolved=1, last=5),
        cluster(6, unresolved=1, last=7),
        cluster(7, None, unresolved=3),
        cluster(8, None, unresolved=0),
        cluster(9, "MEDIUM"),
    ]
    events = worst_of([EventSeverity(7, "LOW", 2), EventSeverity(7, "HIGH", 1), EventSeverity(7, "MEDIUM", 3)])
    assert events == {7: EventSeverity(7, "HIGH", 1)}
    assert [c.cluster_id for c in worst_first(reversed(listed), trends, events)] == [1, 3, 5, 4, 2, 6, 7, 9, 8]


async def test_a_cluster_without_a_severity_shows_the_worst_of_its_events(full, path, clock):
    store, _ = full
    with contextlib.suppress(OSError), store.attempt("disk", 1):
        raise OSError("full")
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 3)
        await shows(pilot, "1×HIGH")


@pytest.mark.parametrize("width", [60, 80, 100, 140, 160, 200])
async def test_the_failing_sentence_has_most_of_the_first_line_at_every_width(width, path):
    async with inspecting(path, (width, 45)) as pilot:
        listed = pilot.app.screen.query_one(Rows)
        item = cluster(1)._replace(template="x" * 300, last_failed_at=START)
        listed.window.hold([item])
        listed.show(listed.context._replace(now=START))
        await pilot.pause()
        line = listed.render_line(1).text
        assert line.count("x") >= max(30, listed.size.width - 32)
        assert cells(listed.render_line(2).text) == cells(line) == listed.size.width


async def test_an_item_has_two_lines_and_the_cursor_is_on_both(full, path, clock):
    async with inspecting(path, (80, 24), clock) as pilot:
        await loaded(pilot, 2)
        await shows(pilot, "TimeoutError: gateway <ip> timed out", "new", "payment.capture")
        listed = rows(pilot)
        await pilot.press("G")
        assert (listed.cursor, [listed.render_line(y).text[0] for y in range(1, 5)]) == (1, [" ", " ", "▌", "▌"])
        await pilot.press("home", "pagedown")
        assert listed.cursor == 1


async def test_a_long_list_scrolls_by_whole_items(path, clock):
    async with inspecting(path, (80, 24), clock) as pilot:
        listed = rows(pilot)
        await until(pilot, lambda: pilot.app.screen.is_ready)  # there is no store
        listed.window.hold([cluster(number) for number in range(1, 41)])
        listed.show(listed.context)
        await pilot.pause()
        shown = (listed.size.height - 1) // 2
        for key, expected in (("G", 39), ("k", 38), ("pageup", 38 - shown + 1), ("g", 0), ("pagedown", shown - 1)):
            await pilot.press(key)
            await until(pilot, lambda expected=expected: listed.cursor == expected)
            await pilot.pause()
            top = listed.scroll_offset.y
            assert top <= listed.cursor * 2 < listed.cursor * 2 + 1 < top + listed.size.height - 1


async def test_the_cursor_stays_in_sight_when_the_terminal_gets_smaller(path, clock):
    async with inspecting(path, (80, 40), clock) as pilot:
        listed = rows(pilot)
        await until(pilot, lambda: pilot.app.screen.is_ready)  # there is no store
        listed.window.hold([cluster(number) for number in range(1, 11)])
        listed.show(listed.context)
        await pilot.pause()
        await pilot.press("G")
        await pilot.resize_terminal(80, 22)
        await until(pilot, lambda: 18 + 2 <= listed.scroll_offset.y + listed.size.height - 1 < 10 * 2 + 1)


@pytest.fixture
def spread(full, clock):
    """The failures of the sample, and one of another cluster three hours later."""
    store, worker = full
    clock.advance(3 * 3600)
    store.record("mail.late", {})
    store.record("evil", 7)
    worker.run(until_idle=True, patience=0)
    return store


@pytest.mark.tour
async def test_a_part_of_the_histogram_is_selected_by_keys_and_lists_what_failed_in_it(spread, path, clock):
    async with inspecting(path, (100, 30), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("b")
        await shows(pilot, "14:00 to now: ", "⏎ filters")
        await pilot.press("left", "shift+left")
        await shows(pilot, "12:00 to 14:00: 0 failed attempts")
        await pilot.press("enter")
        await shows(pilot, "failed:2026-11-18T12:00Z..2026-11-18T14:00Z", "No cluster matches this filter")
        await pilot.press("b", "left", "enter")
        await shows(pilot, "failed:2026-11-18T11:00Z..2026-11-18T12:00Z")
        await loaded(pilot, 2)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen.query_one(Histogram)._selected() is None)
        await pilot.press("b", "escape")
        assert rows(pilot).has_focus


async def test_a_part_of_the_histogram_is_selected_by_the_mouse(spread, path, clock):
    async with inspecting(path, (100, 30), clock) as pilot:
        await loaded(pilot, 2)
        bars = pilot.app.screen.query_one(Histogram)
        wide = bars._bars().cells
        await pilot.mouse_down(bars, offset=(21 * wide + 1, 0))
        await pilot.hover(bars, offset=(22 * wide + 1, 1))
        await pilot.mouse_up(bars, offset=(22 * wide + 1, 1))
        await shows(pilot, "failed:2026-11-18T12:00Z..2026-11-18T14:00Z")
        await pilot.press("escape")
        await loaded(pilot, 2)
        await pilot.press("b", "b", "escape")
        await shows(pilot, "in 7 d")
        await pilot.click(bars, offset=(bars.size.width - 1, 0))
        await until(pilot, lambda: len(bars._hours) == DAY)


@pytest.mark.parametrize(
    ("hours", "width"), sized([(24, 64), (168, 84)], [(24, 144), (24, 64), (24, 10), (168, 144), (168, 84), (168, 20)])
)
def test_bars_hold_every_failure_and_fit(hours, width):
    counts = [number % 7 * (number % 5) for number in range(hours)]
    bars = Bars.of(counts, START, width)
    assert sum(bars.counts) == sum(counts)
    assert bars.width <= width
    assert bars.begin(len(bars.counts)) == (START // HOUR + 1) * HOUR
    for row in (*bars.rows(2), bars.ticks()):
        assert cells(row) == bars.width
    assert bars.ticks().strip() or width < 20


def test_the_highest_bar_is_full_and_no_failure_is_a_dot():
    upper, lower = Bars.of([0, 1, 16, 8] * 6, START, 24).rows(2)
    assert (upper[:4], lower[:4]) == ("  █ ", "·▁██")


async def test_the_preview_says_since_when_how_it_goes_and_what_to_do(full, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 2)
        view = pilot.app.screen.query_one("#detail", TextView)
        await until(pilot, lambda: any("payment" in line.text for line in view.lines))
        assert [line.text.strip() for line in view.lines] == [
            "▲  HIGH  3 of 3 events unresolved: 1 DEAD, 2 FAILED",
            "since      11:06 (21 min ago), last failure 1 min ago",
            "trend      new: 5 in the last hour, peak 5/h, 5 in 24 h; 0 % recovered",
            "next step  requeue (c) or dismiss (C) the dead event once the cause is fixed",
            "values     in the newest 5 failures",
            "<ip> 10.0.0.1 ×3, 10.0.0.2 ×1, 10.0.0.3 ×1",
            "<duration> 30 s ×5",
            "newest     attempt 1 of event 3, 1 min ago",
            "",
            "TimeoutError: gateway 10.0.0.3 timed out after 30 s",
            "Traceback (most recent call last):",
            "File /srv/shop/handlers.py:3 in payment",
            "TimeoutError: gateway 10.0.0.3 timed out after 30 s",
        ]
        clock.advance(120)
        await shows(pilot, "3 min ago")


@pytest.mark.parametrize(("size", "there"), [((80, 24), True), ((60, 18), False)])
async def test_the_preview_is_below_where_there_is_room(full, path, clock, size, there):
    async with inspecting(path, size, clock) as pilot:
        await loaded(pilot, 2)
        await until(pilot, lambda: ("since      11:06" in screen_text(pilot.app)) is there)
        await until(pilot, lambda: pilot.app.screen.query_one("#detail").display is there)


async def test_all_trends_on_one_scale(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await shows(pilot, "·······█")
        before = screen_text(pilot.app).count("·······█")
        await pilot.press("equals_sign")
        await until(pilot, lambda: screen_text(pilot.app).count("·······█") < before)


def test_a_time_in_few_cells():
    now = START + 30 * 24 * HOUR  # 2026-12-18 11:06
    assert [clock_time(now - ago * HOUR, now) for ago in (1, 24, 24 * 6, 24 * 8, 24 * 400)] == [
        "10:06", "Thu 11:06", "Sat 11:06", "10 Dec", "2025-11-13",
    ]  # fmt: skip
    assert clock_time(-62_135_596_800_000_000, now) == "0001-01-01"
    assert clock_time(-(10**18), now).startswith("-")


async def test_the_order_stays_while_one_looks_and_is_sorted_by_a_key(full, path, clock, handlers):
    store, worker = full
    async with inspecting(path, (120, 30), clock) as pilot:
        await loaded(pilot, 2)
        listed = rows(pilot)
        before = [item.event_type for item in listed.window.items]
        await pilot.press("j", "k")
        store.record_many((before[1], n) for n in range(20))
        handlers.on("bounce")(lambda event: 1 / 0)
        store.record("bounce", 1)
        worker.run(until_idle=True)
        await shows(pilot, "1 new (.)")
        assert [item.event_type for item in listed.window.items] == before
        await pilot.press("full_stop")
        await until(pilot, lambda: len(listed.window.items) == 3 and listed.window.items[0].event_type == before[1])
        assert listed.cursor == 0
        store.record_many((before[0], n) for n in range(90))
        worker.run(until_idle=True)
        await shows(pilot, f"· order of {moment(clock.now)[11:16]}, . sorts")
        assert not re.search("[▾▴]|by severity", screen_text(pilot.app))
        pilot.app._input_at -= 61  # nobody is there any more
        pilot.app.screen.tick(clock.now)
        await until(pilot, lambda: listed.window.items[0].event_type == before[0])
        await shows(pilot, "· by severity, then new or rising", "severity▾")


async def test_a_click_on_a_title_sorts_and_another_reverses(full, path, clock):
    async with inspecting(path, (120, 30), clock) as pilot:
        await loaded(pilot, 2)
        listed = rows(pilot)
        await shows(pilot, "· by severity, then new or rising", "severity▾", "1/2")
        at = listed._line(0).text.index("unresolved")
        await pilot.click(listed, offset=(at + 1, 1))
        await shows(pilot, "· by unresolved events", "unresolved▾")
        order = [item.unresolved for item in listed.window.items]
        assert order == sorted(order, reverse=True)
        await pilot.click(listed, offset=(at + 1, 1))
        await shows(pilot, "· by unresolved events, reversed", "unresolved▴")
        assert [item.unresolved for item in listed.window.items] == order[::-1]
        await pilot.press("O")
        await gone(pilot, "reversed")
