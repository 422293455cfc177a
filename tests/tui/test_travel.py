"""Through time: every screen as of another moment, the strip that leads there, and what changed since one looked."""

import json
import os
import re

import pytest

from failaware import Inspector, Store
from failaware.text import moment
from tests.conftest import HOUR, MINUTE, START
from tui.last_look import keep_look, last_look
from tui.screens.diff import DiffScreen
from tui.screens.events import EventsScreen
from tui.widgets.text_view import TextView
from tui.widgets.time_strip import History, Scale, TimeStrip, _axis, bars

from .helpers import ALL_SIZES, gone, inspecting, loaded, rows, screen_text, shows, side_text, until

FULL = START // HOUR * HOUR  # 11:00; the store begins at 11:06:40


@pytest.fixture
def later(full, clock):
    """The store of the other tests, and a day later one payment more that died, and all of it dismissed but that."""
    store, worker = full
    store.dismiss([1, 2, 3, 4, 5], because="seen to")
    clock.advance(26 * 3600)
    store.record("payment.capture", {"amount": 8})
    worker.run(until_idle=True)
    for _ in range(2):
        clock.advance(600)
        worker.run(until_idle=True)
    clock.advance(300)
    return store, worker


async def past(pilot):
    await until(pilot, lambda: pilot.app.moment.at is not None and not pilot.app.moment.busy)


async def press_and_wait(pilot, key, at):
    await pilot.press(key)
    await until(pilot, lambda: pilot.app.moment.at == at and not pilot.app.moment.busy)


async def test_into_the_past_along_it_and_back_to_now(later, path, clock):
    with Inspector.open(path, clock=clock) as inspector:
        now = inspector.health()
    async with inspecting(path, (120, 36), clock) as pilot:
        await loaded(pilot, 2)
        await shows(pilot, f"DEAD {now.dead}")
        await pilot.press("a")
        await past(pilot)
        at = (clock.now - HOUR) // HOUR * HOUR
        assert pilot.app.moment.at == at
        await shows(pilot, "AS OF 2026-11-19 12:00:00Z", "◂ in the past (a)", "9 events")
        await press_and_wait(pilot, "left", at - HOUR)
        await press_and_wait(pilot, "shift+left", at - 25 * HOUR)
        await shows(pilot, "AS OF 2026-11-18 11:00:00Z", "0 events")
        await press_and_wait(pilot, "greater_than_sign", START)
        await shows(pilot, "1 event\n")
        await press_and_wait(pilot, "greater_than_sign", START + 10 * MINUTE)
        await press_and_wait(pilot, "less_than_sign", START)
        await press_and_wait(pilot, "right", FULL + HOUR)
        await shows(pilot, "DISMISSED 5", "DEAD 0")
        await pilot.press("a")
        await until(pilot, lambda: pilot.app.moment.at is None)
        await shows(pilot, f"DEAD {now.dead}", "● live")
        await gone(pilot, "AS OF")


async def test_the_preview_is_of_that_moment(later, path, clock):
    async with inspecting(path, (120, 36), clock) as pilot:
        await loaded(pilot, 2)
        while rows(pilot).current.event_type != "payment.capture":
            await pilot.press("j")
        await until(pilot, lambda: "rising: 3 in the last hour" in side_text(pilot))
        await pilot.press("a")
        await past(pilot)
        await until(pilot, lambda: "no failure in the last 24 h" in side_text(pilot), 5)
        await press_and_wait(pilot, "a", None)
        await until(pilot, lambda: "3 in the last hour" in side_text(pilot), 5)


async def test_what_happens_meanwhile_does_not_disturb(later, path, clock):
    store, _ = later
    async with inspecting(path, (120, 36), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("a")
        await shows(pilot, "9 events")
        store.record_many(("mail", n) for n in range(7))
        await pilot.pause(0.4)
        await shows(pilot, "9 events")
        await pilot.press("a")
        await shows(pilot, "17 events")


@pytest.mark.thinned
@pytest.mark.tour
async def test_every_screen_is_of_that_moment(later, path, clock):
    async with inspecting(path, (120, 36), clock) as pilot:
        app = pilot.app
        await loaded(pilot, 2)
        await pilot.press("a")
        await past(pilot)
        await press_and_wait(pilot, "shift+left", (clock.now - HOUR) // HOUR * HOUR - 24 * HOUR)
        await shows(pilot, "DISMISSED 5")
        while rows(pilot).current.event_type != "payment.capture":
            await pilot.press("j")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, EventsScreen))
        await loaded(pilot, 3)  # the fourth came later
        await shows(pilot, "AS OF 2026-11-18 12:00:00Z")
        await pilot.press("enter")
        await shows(pilot, "DISMISS by", "AS OF")
        await press_and_wait(pilot, "less_than_sign", START + 19 * MINUTE + 30 * 1_000_000 + 2 * MINUTE)
        await pilot.press("escape", "escape")
        await shows(pilot, "Clusters", "AS OF")


@pytest.mark.large
async def test_time_goes_on_by_itself_and_ends_with_now(later, path, clock):
    async with inspecting(path, (120, 36), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("a")
        await past(pilot)
        at = pilot.app.moment.at
        await pilot.press("P")
        await shows(pilot, "playing")
        await until(pilot, lambda: pilot.app.moment.at is None)
        assert at < clock.now
        assert not pilot.app.moment.playing
        await shows(pilot, "● live")


async def test_keys_of_the_strip_are_the_filters_while_it_is_typed(later, path, clock):
    async with inspecting(path, (120, 36), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("a")
        await past(pilot)
        at = pilot.app.moment.at
        await pilot.press("slash", *"evl", "left", "i", "space", "a")
        await pilot.pause(0.3)
        assert pilot.app.moment.at == at
        assert pilot.app.screen.bar.typed == "evi al"


@pytest.mark.large
async def test_a_click_on_the_strip_goes_there(later, path, clock):
    async with inspecting(path, (120, 36), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("a")
        await past(pilot)
        strip = pilot.app.screen.query_one(TimeStrip)
        await until(pilot, lambda: strip.size.height > 2)
        await pilot.click(strip, offset=(10, 1))
        await until(pilot, lambda: pilot.app.moment.at is not None and pilot.app.moment.at <= FULL + HOUR)


@pytest.mark.sqlite("its file")
@pytest.mark.large
async def test_a_store_that_is_replaced_is_shown_as_of_now(later, path, clock, tmp_path):
    later[0].close()  # it leaves no write-ahead log behind, which would be taken for the new one's
    async with inspecting(path, (120, 36), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("a")
        await past(pilot)
        with Store.open(tmp_path / "new.db", clock=clock) as store:
            store.record("other", 1)
        os.replace(tmp_path / "new.db", path)
        await until(pilot, lambda: pilot.app.moment.at is None)
        await shows(pilot, "● live", "1 event\n")


@pytest.mark.thinned
@pytest.mark.sqlite("its path is in the picture")
@pytest.mark.parametrize("size", ALL_SIZES)
@pytest.mark.large
async def test_pictures_of_the_past_and_of_what_changed(later, path, clock, picture, size, monkeypatch):
    monkeypatch.chdir(path.parent)
    keep_look(path.name, START + HOUR)

    def name(screen):
        return f"{screen}-{size[0]}x{size[1]}"

    async with inspecting(path.name, size, clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("a")
        await past(pilot)
        await press_and_wait(pilot, "less_than_sign", START + 21 * MINUTE + 30 * 1_000_000)
        await press_and_wait(pilot, "less_than_sign", START + 20 * MINUTE)
        await shows(pilot, "AS OF", "▲")
        picture(pilot.app, name("past"))
        await pilot.press("a")
        await until(pilot, lambda: pilot.app.moment.at is None)
        await pilot.press("D")
        further_down = ["1 event new"] if size[1] > 18 else []
        await shows(pilot, "since you last looked", "1 cluster back", "D: since a day ago", *further_down)
        picture(pilot.app, name("changed"))


@pytest.mark.large
async def test_what_changed_since_another_time(later, path, clock):
    async with inspecting(path, (120, 36), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("D")
        await shows(pilot, "What changed since a day ago", "1 event new")
        await pilot.press("D")
        await shows(pilot, "What changed since a week ago", "6 events new", "D: since an hour ago")
        text = screen_text(pilot.app)
        assert re.search(r"DISMISSED events +0 → +5 +\+5", text)
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, DiffScreen)


@pytest.mark.large
async def test_when_one_looked_last_is_kept_with_the_user_and_not_in_the_store(later, path, clock, engine, tmp_path):
    content = path.read_bytes() if engine == "sqlite" else None
    assert last_look(str(path)) is None
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
    assert last_look(str(path)) == clock.now
    assert content is None or path.read_bytes() == content
    kept = tmp_path / "state" / "failaware" / "looks.json"
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    for broken in ("{", "[]", '{"x": "y"}', json.dumps({str(path): "soon"})):
        kept.write_text(broken)
        assert last_look(str(path)) is None
    kept.unlink()
    kept.mkdir()  # it cannot be written
    keep_look(str(path), 1)
    assert last_look(str(path)) is None


@pytest.mark.large
async def test_why_says_since_when_and_from_which_facts(later, path, clock):
    async with inspecting(path, (120, 50), clock) as pilot:
        await loaded(pilot, 2)
        while rows(pilot).current.event_type != "payment.capture":
            await pilot.press("j")
        await pilot.press("w")
        view = pilot.app.screen.query_one(TextView)
        await until(pilot, lambda: any("behind the numbers" in line.text for line in view.lines))
        text = "\n".join(line.text for line in view.lines)
        assert "→ CRITICAL at 2026-11-19 13:" in text
        assert re.search(r"events +4\n +event 10\n", text)


def test_a_scale_has_room_for_all_of_the_history_and_ends_with_now():
    for hours in (1, 5, 99, 100, 101, 250, 5_000):
        history = History(FULL - (hours - 1) * HOUR, FULL + 5, [])
        scale = Scale.of(history, 100)
        assert scale.cell(history.now) == 99
        assert scale.cell(history.began) == 100 - hours if hours <= 100 else scale.cell(history.began) == 0
        for cell in range(100):
            assert scale.cell(scale.moment(cell) - 1) == cell or hours < 100 or scale.hours % 100
        assert bars(history, scale, ("all",)) == {}


@pytest.mark.parametrize(
    ("hours", "width", "expected"),
    [
        (72, 72, "2026-11-15 12:00                    Tue            ▲        Wed      now"),
        (240, 60, "2026-11-08 12:00     11-12 11-13 11-14 11-15 11-16    ▲  now"),
        (5, 10, "▲      now"),
    ],
)
def test_the_strip_names_the_days_at_their_midnights(hours, width, expected):
    history = History(FULL - (hours - 1) * HOUR, FULL + 5, [])
    assert _axis(Scale.of(history, width), FULL - 20 * HOUR) == " " * 10 + expected


def test_decades_take_no_longer_than_a_day_on_the_strip(monkeypatch):
    """It is arranged again each second."""
    calls = []
    monkeypatch.setattr("tui.widgets.time_strip.moment", lambda at: calls.append(at) or moment(at))
    now = FULL
    for hours in (24, 400_000):
        calls.clear()
        _axis(Scale.of(History(now - hours * HOUR, now, []), 100), now)
        assert len(calls) <= 102, hours
