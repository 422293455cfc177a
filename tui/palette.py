"""Styles by meaning. Severity and status are words first; color only repeats them.

The colors of the dark and the light theme are colors of the 256-color palette, so that they look the same with fewer
colors than true color. Each has a contrast of 4.5 or more against every background that it can have, including that of
the cursor row; a test reads the escape codes. With the terminal's own colors only names of its palette are used; with
NO_COLOR the weight of the text alone differs.
"""

from functools import cache
from typing import Any, Literal

from rich.style import Style
from textual.theme import Theme

Shade = Literal["dark", "light", "ansi", "ansi-light", "plain"]
"""Which table of styles is used."""

_DARK = {
    "CRITICAL": "bold #ff875f",
    "HIGH": "bold #ffaf00",
    "MEDIUM": "#5fafff",
    "LOW": "#b2b2b2",
    "PENDING": "#5fafff",
    "FAILED": "#ffaf00",
    "DEAD": "bold #ff875f",
    "SYNCED": "#5fd7af",
    "DISMISSED": "#9e9e9e",
    "dim": "#9e9e9e",
    "strong": "bold",
    "mark": "bold #ffaf00",
    "selected": "bold reverse",
    "key": "#5fafff",
    "string": "#5fd7af",
    "number": "#ffaf00",
    "code": "#dadada",
}
_LIGHT = _DARK | {
    "CRITICAL": "bold #af0000",
    "HIGH": "bold #5f5f00",
    "MEDIUM": "#005faf",
    "LOW": "#4e4e4e",
    "PENDING": "#005faf",
    "FAILED": "#5f5f00",
    "DEAD": "bold #af0000",
    "SYNCED": "#005f5f",
    "DISMISSED": "#585858",
    "dim": "#585858",
    "mark": "bold #5f5f00",
    "key": "#005faf",
    "string": "#005f5f",
    "number": "#5f5f00",
    "code": "#303030",
}
_ANSI = {
    "CRITICAL": "bold bright_red",
    "HIGH": "bold yellow",
    "MEDIUM": "cyan",
    "PENDING": "cyan",
    "FAILED": "yellow",
    "DEAD": "bold bright_red",
    "SYNCED": "green",
    "strong": "bold",
    "mark": "bold yellow",
    "selected": "bold reverse",
    "key": "cyan",
    "string": "green",
    "number": "yellow",
}
_ANSI_LIGHT = dict.fromkeys(("CRITICAL", "DEAD"), "bold red") | {
    "HIGH": "bold magenta",
    "MEDIUM": "blue",
    "PENDING": "blue",
    "FAILED": "magenta",
    "strong": "bold",
    "mark": "bold magenta",
    "selected": "bold reverse",
    "key": "blue",
    "number": "magenta",
}
_PLAIN = dict.fromkeys(("CRITICAL", "DEAD", "mark", "strong"), "bold") | {"selected": "bold reverse"}
_TABLES: dict[Shade, dict[str, str]] = {
    "dark": _DARK,
    "light": _LIGHT,
    "ansi": _ANSI,
    "ansi-light": _ANSI_LIGHT,
    "plain": _PLAIN,
}

THEMES = (
    Theme(
        name="failaware-dark",
        primary="#5fafff",
        secondary="#5fd7af",
        accent="#ffaf00",
        warning="#ffaf00",
        error="#ff875f",
        success="#5fd7af",
        foreground="#e4e4e4",
        background="#121212",
        surface="#1c1c1c",
        panel="#262626",
        variables={
            "block-hover-background": "#303030",
            "text-muted": "#9e9e9e",
            "border-blurred": "#6c6c6c",
            "scrollbar": "#6c6c6c",
            "scrollbar-background": "#1c1c1c",
            "footer-background": "#262626",
            "footer-key-foreground": "#ffaf00",
            "footer-description-foreground": "#e4e4e4",
        },
    ),
    Theme(
        name="failaware-light",
        primary="#005faf",
        secondary="#005f5f",
        accent="#5f5f00",
        warning="#5f5f00",
        error="#af0000",
        success="#005f5f",
        foreground="#262626",
        background="#ffffff",
        surface="#eeeeee",
        panel="#e4e4e4",
        dark=False,
        variables={
            "block-hover-background": "#dadada",
            "text-muted": "#585858",
            "border-blurred": "#8a8a8a",
            "scrollbar": "#8a8a8a",
            "scrollbar-background": "#eeeeee",
            "footer-background": "#e4e4e4",
            "footer-key-foreground": "#005faf",
            "footer-description-foreground": "#262626",
        },
    ),
)
SYMBOLS = {
    "CRITICAL": "▲▲ CRITICAL",
    "HIGH": "▲  HIGH",
    "MEDIUM": "◆  MEDIUM",
    "LOW": "·  LOW",
    "PENDING": "○ PENDING",
    "FAILED": "✗ FAILED",
    "DEAD": "■ DEAD",
    "SYNCED": "✓ SYNCED",
    "DISMISSED": "– DISMISSED",
}
LEVELS = ("CRITICAL", "HIGH", "MEDIUM", "LOW")


_SHADES: dict[str, Shade] = {}  # by theme: looking up the theme itself is slow, and done for every line that is painted
_OWN_SHADES: tuple[Shade, Shade] = ("dark", "light")
_ANSI_SHADES: tuple[Shade, Shade] = ("ansi", "ansi-light")


def shade(app: Any) -> Shade:
    """The styles that an app's theme and terminal need."""
    if app.no_color:
        return "plain"
    if (known := _SHADES.get(app.theme)) is None:
        theme: Theme = app.current_theme
        dark, light = _ANSI_SHADES if theme.ansi else _OWN_SHADES
        known = _SHADES[app.theme] = dark if theme.dark else light
    return known


@cache
def style(meaning: str, shade: Shade) -> Style:
    """The style of a meaning; several, separated by blanks, add up."""
    table = _TABLES[shade]
    return Style.combine(Style.parse(table.get(word, "")) for word in meaning.split()) if meaning else Style.null()


def short_symbol(level: str | None) -> str:
    """Shape and short word of a severity."""
    return short_word(symbol(level))


def short_word(text: str) -> str:
    """With the short words of severities."""
    return text.replace("CRITICAL", "CRIT").replace("MEDIUM", "MED")


def symbol(name: str | None) -> str:
    """Shape and word."""
    return SYMBOLS.get(name or "", "—")
