"""Search in texts, going to an id, zoom, and lines that open what they name."""

import threading

import pytest
from textual import events
from textual.widgets import Input

from failaware.text import moment
from tui.documents import Line, plain, strong
from tui.messages import Progress
from tui.routes import ToEvents
from tui.screens import asking
from tui.screens.diff import DiffScreen
from tui.screens.events import EventsScreen
from tui.screens.overview import Overview
from tui.screens.prompt import PromptScreen
from tui.store_reader import reporting
from tui.widgets.lines import TopLine
from tui.widgets.text_view import TextView, highlighted

from .helpers import gone, inspecting, loaded, rows, screen_text, shows, side_text, until


async def typed(pilot, key, text):
    """Answer the prompt that a key opens."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, PromptScreen))
    await pilot.press(*("space" if letter == " " else letter for letter in text), "enter")
    await until(pilot, lambda: not isinstance(pilot.app.screen, PromptScreen))


def selected(view):
    """The texts that are highlighted, of all rows in sight."""
    return [
        segment.text
        for y in range(view.size.height)
        for segment in view.render_line(y)
        if segment.style is not None and segment.style.reverse and segment.text.strip()
    ]


async def test_a_text_is_searched_and_a_pane_is_zoomed(full, path, clock):
    async with inspecting(path, (140, 40), clock) as pilot:
        await loaded(pilot, 2)
        await shows(pilot, "next step")
        await pilot.press("n")
        await shows(pilot, "No text is searched")
        view = pilot.app.screen.query_one("#detail", TextView)
        view.focus()
        pilot.app.screen.answered_detail = lambda lines: None  # the preview is not shown again
        text = [Line("x", plain)] * 100 + [Line("a Needle, and a needle", strong)] + [Line("y", plain)] * 100
        view.show([*text, Line("needle " + "z" * 300, plain)])
        await typed(pilot, "slash", "needle")
        await shows(pilot, "'needle' 1/3 n N", "a Needle, and a needle")
        assert selected(view) == ["Needle"]
        await pilot.press("n")
        assert selected(view) == ["needle"]
        await pilot.press("n")
        await shows(pilot, "'needle' 3/3", "needle zzz")
        await pilot.press("n", "N")
        await shows(pilot, "'needle' 3/3")
        await typed(pilot, "slash", "nowhere")
        await shows(pilot, "'nowhere' not found")
        await pilot.press("slash", "up", "up")
        await until(pilot, lambda: pilot.app.focused.value == "needle")
        await pilot.press("escape")
        await pilot.press("z")
        await gone(pilot, "Clusters")
        assert view.size.width > 130
        await pilot.press("escape")
        await shows(pilot, "Clusters")
        assert isinstance(pilot.app.screen, Overview)


async def test_any_event_and_cluster_is_reached_by_its_id(full, path, clock):
    async with inspecting(path, (120, 30), clock) as pilot:
        await loaded(pilot, 2)
        cluster = rows(pilot).window.items[1].cluster_id
        await typed(pilot, "colon", "event 2")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen) and rows(pilot).current_key == 2)
        await typed(pilot, "colon", f"cluster {str(cluster)[:7]}")
        await until(pilot, lambda: getattr(pilot.app.screen, "cluster_id", None) == cluster)
        by_prefix = pilot.app.screen
        await typed(pilot, "colon", str(cluster)[:7])
        await until(pilot, lambda: pilot.app.screen is not by_prefix and isinstance(pilot.app.screen, EventsScreen))
        assert pilot.app.screen.cluster_id == cluster
        await typed(pilot, "colon", "3")
        await until(pilot, lambda: pilot.app.screen.cluster_id is None and rows(pilot).current_key == 3)
        await typed(pilot, "colon", "4711")
        neither = "there is no event 4711, and there is no cluster 4711"
        await until(pilot, lambda: any(neither in notice.message for notice in pilot.app._notifications))
        await typed(pilot, "colon", "event 4711")
        await shows(pilot, "4711")
        assert isinstance(pilot.app.screen, EventsScreen)
        await typed(pilot, "colon", "nonsense")
        await shows(pilot, "'nonsense' is no place.")


async def test_lines_of_an_explanation_and_of_changes_open_what_they_name(full, path, clock):
    async with inspecting(path, (120, 40), clock) as pilot:
        app = pilot.app
        await loaded(pilot, 2)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, EventsScreen))
        why, view = app.screen, app.screen.query_one(TextView)
        await until(pilot, lambda: "The facts behind" in side_text(pilot) and "   event " in side_text(pilot))
        names = [line.names for line in view.lines if line.names]
        assert {kind for kind, _ in names} == {"event", "attempt"}
        await pilot.press(*["j"] * names.index(("event", 3)), "enter")
        await until(pilot, lambda: app.screen is not why and rows(pilot).current_key == 3)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, Overview))
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, DiffScreen))
        await shows(pilot, "2 clusters new", "read at")
        view = app.screen.query_one(TextView)
        number = next(number for number, line in enumerate(view.lines) if line.names and line.names[0] == "event")
        await pilot.click(view, offset=(5, view._ends[number]))
        await until(pilot, lambda: isinstance(app.screen, EventsScreen))


@pytest.mark.large
async def test_what_takes_long_says_how_far_it_is_and_is_not_asked_again(full, path, clock, monkeypatch):
    async with inspecting(path, (120, 40), clock) as pilot:
        await loaded(pilot, 2)
        asked = []
        once = pilot.app.reader.once
        monkeypatch.setattr(pilot.app.reader, "once", lambda *question: asked.append(question[1]) or once(*question))
        for _ in range(2):
            await pilot.press("D")
            await shows(pilot, "2 clusters new", "r refreshes")
            await pilot.press("escape")
        assert asked == ["list"]
        await pilot.press("D", "r")
        await until(pilot, lambda: asked == ["list", "list"])
        pilot.app.screen.post_message(Progress("list", 0.4))
        await shows(pilot, "replaying 40% …")
        for _ in range(2):
            await pilot.press("escape", "H")
            await shows(pilot, "No failed event has recovered.")
        assert asked.count("list") == 3


@pytest.mark.parametrize("key", ["D", "H"])
async def test_an_outdated_answer_says_so_and_is_read_again(full, path, clock, key):
    store, _ = full
    async with inspecting(path, (120, 40), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press(key)
        await shows(pilot, "r refreshes")
        assert "not live" not in screen_text(pilot.app)
        store.record("bounce", 1)
        await shows(pilot, "not live: r refreshes.")
        await pilot.press("escape")
        read = moment(clock.now)[11:19]
        clock.advance(20)
        release = threading.Event()
        pilot.app.reader.once(pilot.app, "wait", lambda _: release.wait(10))
        await pilot.press(key)
        await shows(pilot, f"Read at {read} (20 s ago), not live: looking for changes …")
        release.set()
        await shows(pilot, f"read at {moment(clock.now)[11:19]}")
        await gone(pilot, "not live")
        clock.advance(60)
        pilot.app._tick()
        await shows(pilot, "(1 min ago), not live: r refreshes.")
        await pilot.press("r")
        await gone(pilot, "not live")


@pytest.mark.parametrize("key", ["D", "H"])
async def test_what_is_read_on_request_is_of_the_moment_of_time_travel(full, path, clock, key):
    async with inspecting(path, (120, 40), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press(key)
        await shows(pilot, f"read at {moment(clock.now)[11:19]}")
        await pilot.press("a")
        await shows(pilot, "AS OF", "read at 10:00:00")
        await pilot.press("a")
        await shows(pilot, "● live", f"read at {moment(clock.now)[11:19]}")


def test_progress_is_a_share(monkeypatch):
    monkeypatch.setattr("tui.store_reader._PROGRESS_S", 0)
    shares = []
    report = reporting(shares.append)
    for done, total in ((0, 0), (1, 4), (5, 4)):
        report(done, total)
    assert shares == [0, 0.25, 1]


@pytest.mark.parametrize(("start", "end"), [(0, 2), (2, 6), (5, 7), (6, 6)])
def test_highlighting_keeps_the_text(start, end):
    parts = highlighted([("abc", "dim"), ("defg", "strong")], start, end, "selected")
    assert "".join(text for text, _ in parts) == "abcdefg"
    assert "".join(text for text, meaning in parts if meaning == "selected") == "abcdefg"[start:end]


@pytest.mark.large
async def test_a_click_on_any_crumb_leads_there_and_ctrl_z_suspends(full, path, clock):
    async with inspecting(path, (140, 30), clock) as pilot:
        await loaded(pilot, 2)
        assert pilot.app.screen.active_bindings["ctrl+z"].binding.action == "suspend_process"
        for word in ("event 1", "due", "event 2"):
            await typed(pilot, "colon", word)
            await pilot.pause()
        await until(pilot, lambda: len(pilot.app.screen_stack) == 5)
        top = pilot.app.screen.query_one(TopLine)
        assert not top._is_shortened
        x = 1 + len(" › ".join(top.crumbs[:2]))
        await pilot.click("#top", offset=(x - 1, 0))
        await until(pilot, lambda: len(pilot.app.screen_stack) == 3)


async def test_keys_that_come_before_a_screen_is_there_wait_for_it(full, path, clock, monkeypatch):
    monkeypatch.setattr(asking, "_PATIENCE_S", 60)
    async with inspecting(path, (100, 30), clock) as pilot:
        app = pilot.app
        await loaded(pilot, 2)
        cluster = rows(pilot).current
        app.open(ToEvents(cluster_id=cluster.cluster_id, event_type=cluster.event_type))
        assert not app.screen.is_ready
        for key in ("enter", "5"):  # all of the screen for the side, and its history
            app.post_message(events.Key(key, None))
        await shows(pilot, "What happened, oldest first")
        assert app.screen.is_zoomed
        app.push_screen(PromptScreen("where"))
        for letter in "event 1":
            app.post_message(events.Key("space" if letter == " " else letter, letter))
        await until(
            pilot, lambda: isinstance(app.screen, PromptScreen) and app.screen.query_one(Input).value == "event 1"
        )


async def test_a_list_opens_one_screen_however_often_enter_comes(full, path, clock):
    async with inspecting(path, (100, 30), clock) as pilot:
        await loaded(pilot, 2)
        listed = rows(pilot)
        for _ in range(3):
            listed.action_open()
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        await loaded(pilot, 3)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen.id == "overview")
