"""The help: every key of a screen by what one wants to do, readable in a small terminal."""

from tests.sizes import sized
from tui import key_help
from tui.screens.events import EventsScreen
from tui.screens.modal import KeysScreen

from .helpers import gone, inspecting, loaded, rows, screen_text, shows, until


def shown(pilot):
    """The groups of the help that is open."""
    return pilot.app.screen._groups


async def asked(pilot):
    """The groups of the screen's help."""
    await pilot.press("question_mark")
    await until(pilot, lambda: isinstance(pilot.app.screen, KeysScreen))
    groups = shown(pilot)
    await pilot.press("escape")
    return groups


async def test_every_key_of_every_screen_is_under_what_one_wants_to_do(full, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 2)
        seen = {"overview": await asked(pilot)}
        await pilot.press("b")
        seen["histogram"] = await asked(pilot)
        await pilot.press("escape", "tab")
        seen["a text"] = await asked(pilot)
        await pilot.press("shift+tab", "a")
        await shows(pilot, "AS OF")
        seen["the past"] = await asked(pilot)
        await pilot.press("a", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        seen["events"] = await asked(pilot)
        await pilot.press("enter")
        seen["in full"] = await asked(pilot)
        await pilot.press("escape", "escape")
        for key, words in (("d", "Retries due"), ("H", "Recovered"), ("D", "What changed since")):
            await pilot.press(key)
            await shows(pilot, words)
            seen[words] = await asked(pilot)
            await pilot.press("escape")
        for screen, groups in seen.items():
            assert "More" not in [group.title for group in groups], (screen, groups)
            keys = [key for group in groups for key, _ in group.keys]
            assert len(keys) == len(set(keys)), screen
            does = [text for group in groups for _, text in group.keys]
            assert len(does) == len(set(does)), screen


async def test_the_help_is_readable_in_a_small_terminal(full, path, clock):
    for size in sized([(80, 24)], [(80, 24), (60, 18), (30, 10)]):
        async with inspecting(path, size, clock) as pilot:
            await loaded(pilot, 2)
            for key in (None, "enter"):
                if key:
                    await pilot.press(key)
                    await until(pilot, lambda pilot=pilot: isinstance(pilot.app.screen, EventsScreen))
                await pilot.press("question_mark")
                await shows(pilot, "Go through")
                if size == (80, 24):
                    text = screen_text(pilot.app)
                    for group in shown(pilot):
                        assert group.title in text
                        assert all(f"{keys} {does}" in text for keys, does in group.keys)
                    assert "The inspector only reads" in text
                await pilot.press("escape")


async def test_the_help_scrolls_by_the_keys_of_texts_and_says_that_there_is_more(full, path, clock):
    async with inspecting(path, (80, 24), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("question_mark")
        await shows(pilot, "Go through", "more below (j)")
        pane = pilot.app.screen.query_one("#keys")
        for down, up in (("j", "k"), ("ctrl+f", "ctrl+b"), ("ctrl+d", "ctrl+u"), ("G", "g")):
            await pilot.press(down)
            await until(pilot, lambda: pane.scroll_y > 0, 3)
            if down == "G":
                await shows(pilot, "says why.")
                await gone(pilot, "more below")
            await pilot.press(up)
            await until(pilot, lambda: pane.scroll_y == 0, 3)
        await shows(pilot, "more below (j)")
    async with inspecting(path, (160, 60), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("question_mark")
        await shows(pilot, "Go through", "says why.")
        assert "more below" not in screen_text(pilot.app)


def test_columns_keep_each_group_together_and_lose_no_key():
    groups = [key_help.Group(f"group {n}", tuple((f"{n}.{at}", "does") for at in range(n))) for n in range(1, 9)]
    for number in range(1, 9):
        filled = key_help.columns(groups, number)
        assert len(filled) <= number
        titles = [text for column in filled for key, text in column if text and not key]
        assert titles == [group.title for group in groups]
        assert [key for column in filled for key, _ in column if key] == [key for g in groups for key, _ in g.keys]
    assert max(map(len, key_help.columns(groups, 3))) < max(map(len, key_help.columns(groups, 2)))


def test_as_many_keys_as_fit_and_one_for_each_direction():
    keys = [
        ("pgdn", "page(1)", "Down"),
        ("^f", "page(1)", "Down"),
        ("pgup", "page(-1)", "Up"),
        ("^b", "page(-1)", "Up"),
    ]
    assert key_help.groups(keys) == [key_help.Group("Go through a list or text", (("^f ^b", "page"),))]
    assert key_help.groups([("x", "other", "Something else")]) == [key_help.Group("More", (("x", "Something else"),))]


async def test_a_key_leads_to_the_same_place_from_every_screen(full, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 2)
        for key, words in (("d", "Retries due"), ("H", "Recovered"), ("e", "Events"), ("d", "Retries due")):
            await pilot.press(key)
            await shows(pilot, words)
        depth = len(pilot.app.screen_stack)
        await pilot.press("d")  # one is there
        assert len(pilot.app.screen_stack) == depth
        await pilot.press("H", "escape", "escape", "escape", "escape", "escape")
        await until(pilot, lambda: pilot.app.screen.id == "overview")
        assert rows(pilot).has_focus
