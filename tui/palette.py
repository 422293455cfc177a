"""Styles by meaning, for dark and light themes. Severity and status are words first; colour only repeats them.

The colours keep a contrast of 5.9 or more against their background and stay apart under simulated protan, deutan and
tritan sight; every distinction is also a word, a shape or a place, and nothing is lost under NO_COLOR.
"""

from functools import cache

from rich.style import Style

_DARK = {
    "CRITICAL": "bold #ff6d3f",
    "HIGH": "bold #f0b429",
    "MEDIUM": "#56b4e9",
    "LOW": "#a8b0b8",
    "PENDING": "#56b4e9",
    "FAILED": "#f0b429",
    "DEAD": "bold #ff6d3f",
    "SYNCED": "#2bc79b",
    "DISMISSED": "#8a929a",
    "dim": "#8a929a",
    "strong": "bold",
    "mark": "bold #f0b429",
    "selected": "bold reverse",
    "key": "#56b4e9",
    "string": "#2bc79b",
    "number": "#f0b429",
    "code": "#d8dee4",
    "": "",
}
_LIGHT = _DARK | {
    "CRITICAL": "bold #b23a00",
    "HIGH": "bold #8a5a00",
    "MEDIUM": "#005c99",
    "LOW": "#5a6168",
    "PENDING": "#005c99",
    "FAILED": "#8a5a00",
    "DEAD": "bold #b23a00",
    "SYNCED": "#00694d",
    "DISMISSED": "#5a6168",
    "dim": "#5a6168",
    "mark": "bold #8a5a00",
    "key": "#005c99",
    "string": "#00694d",
    "number": "#8a5a00",
    "code": "#2a2f36",
}
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


@cache
def style(meaning: str, dark: bool) -> Style:
    """The style of a meaning; several, separated by blanks, add up."""
    table = _DARK if dark else _LIGHT
    return Style.combine(Style.parse(table.get(word, "")) for word in meaning.split()) if meaning else Style.null()


def short_symbol(level: str | None) -> str:
    """Shape and short word of a severity."""
    return symbol(level).replace("CRITICAL", "CRIT").replace("MEDIUM", "MED")


def symbol(name: str | None) -> str:
    """Shape and word."""
    return SYMBOLS.get(name or "", "—")
