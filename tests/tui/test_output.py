"""What is shown goes into a file, or an editor; settings, keys and filters are kept between runs."""

import contextlib
import csv
import json

import pytest

from tui.filter_history import kept_filters
from tui.keymap import Keymap
from tui.output import Shown, edit, export
from tui.screens.events import EventsScreen
from tui.settings import keep, kept
from tui.widgets.histogram import WEEK
from tui.widgets.text_view import TextView

from .helpers import filtered, gone, inspecting, loaded, rows, screen_text, shows, until


@pytest.mark.large
async def test_rows_and_texts_are_written_to_new_files_and_opened_in_the_editor(
    full, path, clock, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    async with inspecting(path, (140, 40), clock) as pilot:
        app = pilot.app
        await loaded(pilot, 2)
        await shows(pilot, "next step")
        await pilot.press("S", "enter")
        await shows(pilot, "Wrote 2 rows to")
        (file,) = tmp_path.glob("failaware-*.csv")
        with file.open(newline="") as lines:
            read = list(csv.DictReader(lines))
        assert [row["cluster_id"] for row in read] == [str(item.cluster_id) for item in rows(pilot).window.items]
        await pilot.press("S", "enter")
        await shows(pilot, "Nothing was written: there is a file of this name.")
        view = app.screen.query_one("#detail", TextView)
        view.focus()
        await pilot.press("S", *["backspace"] * 60, *"here", "enter")
        await shows(pilot, "Wrote the text to")
        assert (tmp_path / "here").read_text().splitlines() == [line.text for line in view.lines]
        await pilot.press("E")
        await shows(pilot, "No editor: this terminal")
        monkeypatch.setattr(app, "suspend", contextlib.nullcontext)
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"cp -t {tmp_path}")
        await pilot.press("E")
        await until(pilot, (tmp_path / "shown.txt").exists)
        assert (tmp_path / "shown.txt").read_text() == (tmp_path / "here").read_text()


def test_what_cannot_be_written_or_edited_is_said(tmp_path, monkeypatch):
    shown = Shown(items=[], size=0)
    with pytest.raises(ValueError, match="end the name in"):
        export(shown, str(tmp_path / "x.doc"))
    assert json.loads(export(shown, str(tmp_path / "x.json")).read_text()) == []
    with pytest.raises(OSError, match="No such file"):
        export(shown, str(tmp_path / "no" / "x.csv"))
    monkeypatch.setenv("VISUAL", "no-such-editor")
    assert "no-such-editor" in edit("text")
    monkeypatch.setenv("VISUAL", "false")
    assert edit("text") == "false ended with status 1"


async def test_period_scale_filters_and_keys_are_kept(full, path, clock, tmp_path):
    file = tmp_path / "config" / "failaware" / "inspector.toml"
    async with inspecting(path, (120, 40), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("b", "b", "escape", "equals_sign")
        await until(pilot, lambda: pilot.app.screen.period == WEEK)
        await filtered(pilot, "type:evil")
        await loaded(pilot, 1)
    assert (kept("period"), kept("common_scale"), kept_filters()) == ("7d", True, ["type:evil"])
    file.write_text(file.read_text() + '[keys]\ne = "x"\n"/" = "f"\nq = 7\n')
    async with inspecting(path, (120, 40), clock) as pilot:
        await shows(pilot, "in 7 d", "f Filter", "x Events")
        await pilot.press("e")
        assert not isinstance(pilot.app.screen, EventsScreen)
        await pilot.press("f", "up")
        await until(pilot, lambda: getattr(pilot.app.focused, "value", "") == "type:evil")
        await pilot.press("down", *"xe")  # while one types, keys are letters
        assert pilot.app.focused.value == "xe"
        await pilot.press("escape", "x")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))


def test_a_key_does_what_another_one_does_by_default_and_that_one_nothing():
    keys = Keymap({"/": "f", "space": "m", 1: "x"})
    assert (keys.default("f"), keys.default("slash"), keys.default("m"), keys.default("x")) == (
        "slash",
        "",
        "space",
        "x",
    )
    assert (keys.shown("slash"), keys.shown("x")) == ("f", None)
    assert Keymap("nonsense").default("f") == "f"


def test_a_setting_is_one_line_and_the_rest_of_the_file_stays(tmp_path):
    file = tmp_path / "config" / "failaware" / "inspector.toml"
    keep("common_scale", True)
    file.write_text("# mine\n" + file.read_text() + "[keys]\ne = 'x'\n")
    keep("period", "7d")
    keep("common_scale", False)
    assert file.read_text() == "period = \"7d\"\n# mine\ncommon_scale = false\n[keys]\ne = 'x'\n"


@pytest.mark.large
async def test_a_field_half_typed_searches_nothing_and_tab_goes_through_what_fits(full, path, clock):
    async with inspecting(path, (120, 40), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("slash", *"sta")
        await shows(pilot, "status:")
        await pilot.pause(0.3)
        assert len(rows(pilot).window.items) == 2
        await pilot.press("tab", *"d")
        await shows(pilot, "status:DEAD")
        await pilot.press("tab")
        await until(pilot, lambda: getattr(pilot.app.focused, "value", "").startswith("status:D"))
        await pilot.press(*["backspace"] * 20, "s")
        await shows(pilot, "severity:", "since:")
        seen = set()
        for _ in range(3):
            await pilot.press("tab")
            seen.add(pilot.app.focused.value)
        assert len(seen) == 3
        assert "severity:" in screen_text(pilot.app)
        await pilot.press("escape")
        await gone(pilot, "since:")
