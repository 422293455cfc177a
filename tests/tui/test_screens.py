"""The way down and back, at every size; what each screen says; the same text with and without colour."""

import shlex

import pytest

from failaware import Store
from failaware.facts import append
from failaware.model import Failure, NewAttempt
from tests.sizes import sized
from tui.screens.events import EventsScreen
from tui.screens.overview import Overview

from .helpers import ALL_SIZES, SIZES, gone, inspecting, loaded, rows, screen_text, shows, side_text, until


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.parametrize("size", sized([SIZES[0], SIZES[2], (40, 12)], [*SIZES, (60, 18), (40, 12)]))
async def test_one_enter_to_the_traceback_a_second_one_in_full_and_back_with_the_cursor_where_it_was(
    full, path, clock, size
):
    async with inspecting(path, size, clock) as pilot:
        app = pilot.app
        await loaded(pilot, 2)
        await pilot.press("j")
        cluster = rows(pilot).current_key
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, EventsScreen))
        await loaded(pilot, 2)
        if size[1] >= 18:
            await shows(pilot, "Traceback (most")
        await pilot.press("down")
        event = rows(pilot).current_key
        await pilot.press("enter")
        await shows(pilot, f"event {event}")
        if size[1] < 18:
            await pilot.press("pagedown")
        await shows(pilot, "Traceback (most")
        assert not app.screen.listed.display
        await pilot.press("escape")
        await until(pilot, lambda: rows(pilot).has_focus and rows(pilot).current_key == event)
        await pilot.press("backspace")
        await until(pilot, lambda: isinstance(app.screen, Overview) and rows(pilot).current_key == cluster)
        await pilot.press("escape")
        assert isinstance(app.screen, Overview)


@pytest.mark.thinned
@pytest.mark.sqlite("its path is in the picture")
@pytest.mark.parametrize("size", ALL_SIZES)
async def test_pictures_of_the_main_screens(full, path, clock, picture, size, monkeypatch):
    monkeypatch.chdir(path.parent)

    def name(screen):
        return f"{screen}-{size[0]}x{size[1]}"

    async with inspecting(path.name, size, clock) as pilot:
        await loaded(pilot, 2)
        await shows(pilot, "▲", "payment.ca")
        if size[1] >= 20:
            await shows(pilot, "next step")
        picture(pilot.app, name("overview"))
        while rows(pilot).current.event_type != "payment.capture":
            await pilot.press("j")
        await pilot.press("enter")
        await loaded(pilot, 3)
        await pilot.press("G")
        await shows(pilot, "10.0.0.3", "3/3", "event 1 · attempt 3 of 3, the newest failed one")
        picture(pilot.app, name("cluster"))
        for key, tab, text in (
            ("enter", "event", "in payment"),
            ("2", "payload", '"currency"'),
            ("w", "why", "The facts behind"),
            ("5", "history", "attempt 1 FAILED"),
        ):
            await pilot.press(key)
            await until(pilot, lambda text=text: text in side_text(pilot))
            picture(pilot.app, name(tab))
        await pilot.press("1", "escape", "escape", "e")
        await loaded(pilot, 9)
        await shows(pilot, "mail", "event 9")
        picture(pilot.app, name("events"))


@pytest.mark.parametrize("size", sized(SIZES[1:2], SIZES))
@pytest.mark.large
async def test_nothing_is_said_by_colour_alone(full, path, clock, monkeypatch, size):
    async with inspecting(path, size, clock) as pilot:
        await loaded(pilot, 2)
        await shows(pilot, "HIGH")
        coloured = screen_text(pilot.app)
    monkeypatch.setenv("NO_COLOR", "1")
    async with inspecting(path, size, clock) as pilot:
        await loaded(pilot, 2)
        await until(pilot, lambda: screen_text(pilot.app) == coloured)


async def test_light_and_dark_themes_have_styles_of_their_own(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        dark = [segment.style for segment in rows(pilot).render_line(1)]
        text = screen_text(pilot.app)
        pilot.app.theme = "failaware-light"
        await pilot.pause()
        assert [segment.style for segment in rows(pilot).render_line(1)] != dark
        assert screen_text(pilot.app) == text


@pytest.mark.large
async def test_every_level_is_reached_by_mouse(full, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        app = pilot.app
        await loaded(pilot, 2)
        await pilot.click("#clusters", offset=(20, 4))
        await until(pilot, lambda: rows(pilot).cursor == 1)
        await pilot.click("#clusters", offset=(20, 5))  # its second line
        await until(pilot, lambda: isinstance(app.screen, EventsScreen))
        await loaded(pilot, 2)
        await shows(pilot, "attempt 1 of 1")
        await pilot.click("#side", offset=(18, 0))
        await shows(pilot, r'"\u001b]0;owned')
        await pilot.click("#events", offset=(20, 2))
        await until(pilot, lambda: app.screen.is_zoomed)
        await pilot.click("#top", offset=(3, 0))
        await until(pilot, lambda: isinstance(app.screen, Overview))


async def test_other_attempts_and_other_events_from_the_text_in_full(full, path, clock):
    async with inspecting(path, (100, 30), clock) as pilot:
        await loaded(pilot, 2)
        pilot.app.push_screen(EventsScreen(where="id:1,2"))
        await loaded(pilot, 2)
        await pilot.press("G", "enter")
        await shows(pilot, "attempt 3 of 3, the newest failed one", "no further attempt", "gateway 10.0.0.1 timed out")
        await pilot.press("K")
        await shows(pilot, "attempt 2 of 3", "next attempt")
        await pilot.press("K")
        await shows(pilot, "attempt 1 of 3")
        await pilot.press("K", "J")
        await shows(pilot, "attempt 2 of 3")
        await pilot.press("left_square_bracket")
        await shows(pilot, "› event 2", "gateway 10.0.0.2 timed out", "attempt 1 of 1")
        await pilot.press("right_square_bracket")
        await shows(pilot, "› event 1", "attempt 3 of 3, the newest failed one")
        await pilot.press("left_square_bracket", "escape")
        await until(pilot, lambda: rows(pilot).has_focus and rows(pilot).current_key == 2)


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.large
async def test_why_from_every_level(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("w")
        await shows(pilot, "Rules, in order; the first match decides", "› why")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Overview))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        await until(pilot, lambda: rows(pilot).current_key is not None)
        for key in ("w", "enter"):  # of the list, and in full
            await pilot.press(key)
            await shows(pilot, "Rules, in order; the first match decides")
        assert "   cluster " in side_text(pilot)
        assert f"   event {rows(pilot).current_key}" in side_text(pilot)
        await pilot.press("w")
        await shows(pilot, "Traceback")


@pytest.mark.large
async def test_the_keys_that_apply_here_and_the_palette(full, path, clock):
    async with inspecting(path, (100, 45), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("question_mark")
        await shows(pilot, "→ ⏎ l open", "next change", "retries due", "copy requeue", "severity rose")
        await pilot.press("escape")
        await gone(pilot, "severity rose")
        await pilot.press("ctrl+p")
        await shows(pilot, "Search for commands")
        titles = [command.title for command in pilot.app.get_system_commands(pilot.app.screen_stack[-2])]
        assert len(titles) == len(set(titles))
        await pilot.press(*"events")
        await shows(pilot, "key e")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))


async def test_the_last_line_has_help_and_quit_at_any_width_and_a_click_presses_a_key(full, path, clock):
    async with inspecting(path, (60, 18), clock) as pilot:
        await loaded(pilot, 2)
        for width in (60, 24):
            await pilot.resize_terminal(width, 18)
            await until(pilot, lambda: len(screen_text(pilot.app).splitlines()[-1]) <= pilot.app.size.width)
            assert screen_text(pilot.app).splitlines()[-1].endswith("? Help  q Quit")
        await pilot.resize_terminal(60, 18)
        await shows(pilot, "⏎ Open  / Filter  e Events")
        await pilot.click("#key-line", offset=(22, 0))
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.large
async def test_text_can_be_copied_and_commands_are_never_run(full, path, clock):
    store, _ = full
    before = store.session.read(lambda db: db.query("SELECT count(*) FROM decision_log"))
    async with inspecting(path, clock=clock) as pilot:
        app = pilot.app
        await loaded(pilot, 2)
        cluster = rows(pilot).current_key
        await pilot.press("c")
        assert app.clipboard == f"failaware --db {shlex.quote(str(path))} requeue --cluster {cluster} --because ''"
        await pilot.press("C")
        assert app.clipboard == f"failaware --db {shlex.quote(str(path))} dismiss --cluster {cluster} --because ''"
        await pilot.press("y", "i")
        assert app.clipboard == str(cluster)
        app.push_screen(EventsScreen(where="id:1"))
        await shows(pilot, "attempt 3 of 3")
        await pilot.press("c")
        assert app.clipboard == f"failaware --db {shlex.quote(str(path))} requeue 1 --because ''"
        await pilot.press("y", "p")
        assert app.clipboard == '{"amount":5,"currency":"EUR","ok":true}'
        await pilot.press("y", "t")
        assert "Traceback" in app.clipboard
        assert "TimeoutError: gateway 10.0.0.1" in app.clipboard
        await pilot.press("y", "j")
        assert '"event_type": "payment.capture"' in app.clipboard
        await pilot.press("y", "escape")
    assert store.session.read(lambda db: db.query("SELECT count(*) FROM decision_log")) == before


async def test_the_pane_beside_a_list_is_hidden_and_shown(full, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 2)
        detail = pilot.app.screen.query_one("#detail")
        await until(pilot, lambda: detail.display)
        await pilot.press("v")
        await until(pilot, lambda: not detail.display)
        await pilot.press("v")
        await until(pilot, lambda: detail.display)


async def test_frames_of_libraries_are_folded_by_a_key(path, clock):
    trace = (
        'Traceback (most recent call last):\n  File "/srv/app.py", line 1, in f\n    read()\n'
        '  File "/usr/lib/python3.11/ssl.py", line 5, in read\n    x()\n'
    )
    with Store.open(path, clock=clock) as store:
        store.record("tls", 1)
        failed = NewAttempt(1, Failure("OSError", "gone", trace), "w:1", clock(), clock(), None, "gave up")
        store.session.write(lambda db: append.attempts(db, [failed], store.session.policy))
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 1)
        pilot.app.push_screen(EventsScreen(where="id:1"))
        await shows(pilot, "1 library frame folded")
        await pilot.press("f")
        await shows(pilot, "/usr/lib/python3.11/ssl.py", "line 5, in read")
        await pilot.press("f")
        await shows(pilot, "1 library frame folded")
