"""Every text has a contrast of 4.5 or more against its background, by the escape codes that a terminal gets."""

import re
from io import StringIO

import pytest
from rich.color import Color
from rich.console import Console

from tests.sizes import sized
from tui.palette import LEVELS, style
from tui.screens.events import EventsScreen

from .helpers import filtered, inspecting, loaded, rows, screen_text, shows

XTERM = [
    (0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229),
    (127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255),
    (255, 255, 255),
]  # fmt: skip
DEFAULTS = {"fg": XTERM[7], "bg": XTERM[0]}
_SGR = re.compile(r"\x1b\[([\d;]*)m|([^\x1b]+)")
ANY = "truecolor"


def painted(app, system):
    """(text, foreground, background) of all that the terminal is sent for this screen, as red, green and blue."""
    console = Console(color_system=system, force_terminal=True, file=StringIO(), width=500)
    for strip in app.screen._compositor.render_strips():
        look = {**DEFAULTS, "reverse": False}
        for codes, text in _SGR.findall(strip.render(console)):
            if text:
                pair = (look["bg"], look["fg"]) if look["reverse"] else (look["fg"], look["bg"])
                yield text, *pair
            else:
                take([int(code or 0) for code in codes.split(";")], look)


def take(codes, look):
    """Follow a sequence of codes."""
    while codes:
        code = codes.pop(0)
        if code == 0:
            look.update(DEFAULTS, reverse=False)
        elif code == 7:
            look["reverse"] = True
        elif code in (38, 48):
            kind = codes.pop(0)
            color = tuple(codes[:3]) if kind == 2 else number(codes[0])
            del codes[: 3 if kind == 2 else 1]
            look["fg" if code == 38 else "bg"] = color
        elif code in (39, 49):
            look["fg" if code == 39 else "bg"] = DEFAULTS["fg" if code == 39 else "bg"]
        elif code % 10 < 8 and code // 10 in (3, 4, 9, 10):
            look["fg" if code // 10 in (3, 9) else "bg"] = XTERM[code % 10 + (8 if code >= 90 else 0)]


def number(code):
    """A color of the 256."""
    return XTERM[code] if code < 16 else tuple(Color.from_ansi(code).get_truecolor())


def contrast(one, other):
    """As WCAG 2 defines it."""

    def luminance(color):
        parts = [part / 255 for part in color]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def faint(app, system):
    """The texts that have too little contrast."""
    return {
        (text.strip(), fg, bg, round(contrast(fg, bg), 1))
        for text, fg, bg in painted(app, system)
        if any(map(str.isalnum, text)) and contrast(fg, bg) < 4.5
    }


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("theme", "systems"),
    sized(
        [("failaware-dark", [ANY, "256"])],
        [("failaware-dark", [ANY, "256"]), ("failaware-light", [ANY, "256"]), ("ansi-dark", ["standard", "256"])],
    ),
)
async def test_every_text_can_be_read_on_its_background(full, path, clock, monkeypatch, theme, systems):
    monkeypatch.setenv("TEXTUAL_THEME", theme)
    await tour(path, clock, systems, theme)


@pytest.mark.sqlite
@pytest.mark.large
async def test_without_color_every_text_can_be_read_and_the_worst_is_bold(full, path, clock, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TEXTUAL_THEME", "ansi-dark")
    await tour(path, clock, [ANY, "256", "standard"], "failaware-dark")
    assert style("CRITICAL", "plain").bold
    assert not style("MEDIUM", "plain").bold
    assert all(style(meaning, "plain").color is None for meaning in (*LEVELS, "DEAD", "SYNCED", "dim"))


async def tour(path, clock, systems, theme):
    """Through the screens, with each kind of text."""

    def readable(app):
        for system in systems:
            assert faint(app, system) == set(), screen_text(app)

    async with inspecting(path, (140, 40), clock) as pilot:
        app = pilot.app
        assert app.theme == theme
        await loaded(pilot, 2)
        await shows(pilot, "next step", "newest")
        readable(app)
        await pilot.press("b")
        await shows(pilot, "⏎ filters")
        readable(app)
        await pilot.press("slash")
        await shows(pilot, "status:DEAD type:payment.*")
        readable(app)
        await filtered(pilot, "nosucherror")
        await shows(pilot, "No cluster matches")
        readable(app)
        await pilot.press("escape", "e")
        await loaded(pilot, 9)
        for status in ("SYNCED", "DEAD"):
            while rows(pilot).current.sync_status != status:
                await pilot.press("j")
            readable(app)
        app.push_screen(EventsScreen(where="id:1"))
        for tab, text in (("1", "3 attempts"), ("2", '"currency"'), ("w", "Rules, in order"), ("5", "What happened")):
            await pilot.press(tab)
            await shows(pilot, text)
            readable(app)
        await pilot.press("question_mark")
        await shows(pilot, "severity rose")
        readable(app)


def test_the_terminal_of_16_colors_and_the_choice_of_a_theme(path, monkeypatch, tmp_path):
    from tui.app import InspectorApp
    from tui.settings import keep, kept

    file = tmp_path / "config" / "failaware" / "inspector.toml"
    assert (kept("theme"), InspectorApp(str(path)).theme) == (None, "failaware-dark")
    keep("theme", "nord")
    assert (kept("theme"), InspectorApp(str(path)).theme) == ("nord", "nord")
    monkeypatch.setenv("TEXTUAL_THEME", "gruvbox")
    assert InspectorApp(str(path)).theme == "gruvbox"
    monkeypatch.delenv("TEXTUAL_THEME")
    file.write_text('# mine\ntheme = "nord"\nother = 1\n')
    keep("theme", "failaware-light")
    assert file.read_text() == '# mine\ntheme = "failaware-light"\nother = 1\n'
    for broken in ("theme = [", "theme = 3\n", 'theme = "no such"\n'):
        file.write_text(broken)
        assert InspectorApp(str(path)).theme == "failaware-dark"
    file.write_text("theme = [")
    keep("theme", "nord")
    assert file.read_text() == "theme = [", "a file with a mistake is left to its owner"
    monkeypatch.setattr("rich.console.Console.color_system", property(lambda _: "standard"))
    assert InspectorApp(str(path)).theme == "ansi-dark"


async def test_a_theme_that_was_chosen_is_there_the_next_time(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        pilot.app.theme = "failaware-light"
    async with inspecting(path, clock=clock) as pilot:
        assert pilot.app.theme == "failaware-light"
