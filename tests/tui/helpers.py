"""Driving the inspector in tests: wait for what must come, read the screen as text, and never see a raw control."""

import asyncio
import re
from contextlib import asynccontextmanager

from textual.events import Paste

from tui.app import InspectorApp
from tui.screens.base import BaseScreen
from tui.widgets.rows import Rows
from tui.widgets.text_view import TextView

SIZES = [(160, 45), (100, 30), (80, 24)]
ALL_SIZES = [(200, 50), *SIZES, (60, 18)]
_RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ud800-\udfff]")


def screen_text(app):
    """The text of the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


async def until(pilot, condition, seconds=15):
    """Wait until it is so; every screen on the way must be harmless."""
    await _until_screen(pilot, lambda _text: condition(), seconds)


async def shows(pilot, *texts):
    """Wait until all of these texts are on the screen."""
    await _until_screen(pilot, lambda screen: all(text in screen for text in texts))


async def gone(pilot, text):
    """Wait until this is no longer on the screen."""
    await _until_screen(pilot, lambda screen: text not in screen)


async def _until_screen(pilot, condition, seconds=15):
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        await pilot.pause()
        text = screen_text(pilot.app)
        assert not _RAW.search(text), repr(_RAW.search(text))
        if condition(text):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it did not happen in time:\n{screen_text(pilot.app)}")


async def filtered(pilot, text):
    """Put a filter in at once: a key a letter takes ten times as long."""
    await pilot.press("slash")
    pilot.app.focused.post_message(Paste(text))
    await pilot.press("enter")


@asynccontextmanager
async def inspecting(path, size=(100, 30), clock=None, stores=()):
    """The app on a store, with its first screen there."""
    app = InspectorApp(str(path), stores=stores, **({"clock": clock} if clock else {}))
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, BaseScreen))
        yield pilot


def rows(pilot):
    """The list on the screen."""
    return pilot.app.screen.query_one(Rows)


def side_text(pilot):
    """The text of the side, as it is shown and further down."""
    return "\n".join(line.text for line in pilot.app.screen.query_one(TextView).lines)


def numbers(pilot):
    """The numbers of an impact."""
    return pilot.app.screen.query_one("#drill-downs", Rows)


async def loaded(pilot, count):
    """Wait until the list holds this many."""
    await until(pilot, lambda: bool(pilot.app.screen.query(Rows)) and len(rows(pilot).window.items) == count)
