"""The frames of a traceback that are the user's own code: function and file, without line numbers.

Tracebacks of Python, JavaScript, Java and Kotlin, Ruby and Go are read. A new line number, another directory or another
version of a library does not change a frame, so the same failure stays in one cluster.
"""

import re
from functools import lru_cache
from typing import NamedTuple

_LONGEST = 65_536  # characters that are searched
_MOST = 10  # frames of a place
_LIBRARY = re.compile(
    r"site-packages|dist-packages|[/\\]lib[/\\]python\d|^<frozen |[/\\]importlib[/\\]"
    r"|node_modules|^node:|^internal[/\\]|^<anonymous>|^native$"
    r"|^(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|kotlinx|scala|android|androidx|io\.netty|reactor|com\.fasterxml"
    r"|com\.zaxxer|org\.(?:apache|springframework|hibernate|junit|eclipse|jboss))\."
    r"|[/\\]gems[/\\]|[/\\]lib[/\\]ruby[/\\]|[/\\]pkg[/\\]mod[/\\]|[/\\]go[/\\]src[/\\]|^runtime[./]"
)


class _Language(NamedTuple):
    """How a language prints a frame; `last`: whether the innermost one comes last."""

    frame: re.Pattern[str]
    last: bool = False


_FILE = r"(?P<file>[^\n\"()]{1,500}?)"
_SOURCE = r"(?:[\w$]{1,200}\.\w{1,10}(?::\d+)?|Unknown Source|Native Method|<generated>)"
_LANGUAGES = (
    _Language(  # Python
        re.compile(r'^ {0,20}File "(?P<file>[^"\n]{1,500})", line \d+, in (?P<function>[^\n]{1,200})$', re.MULTILINE),
        last=True,
    ),
    _Language(  # Java, Kotlin: the class takes the place of the file
        re.compile(
            rf"^[ \t]{{0,20}}at (?P<file>[\w$./]{{1,300}})\.(?P<function>[\w$<>]{{1,200}})\({_SOURCE}\)", re.MULTILINE
        )
    ),
    _Language(  # JavaScript
        re.compile(rf"^ {{0,20}}at (?:async )?(?:(?P<function>[^\n()]{{1,200}}) \()?{_FILE}:\d+:\d+\)?$", re.MULTILINE)
    ),
    _Language(  # Ruby
        re.compile(rf"^[ \t]{{0,20}}(?:from )?{_FILE}:\d+:in [`'](?P<function>[^'\n]{{1,200}})'", re.MULTILINE)
    ),
    _Language(  # Go
        re.compile(rf"^(?P<function>[\w./*()-]{{1,200}})\([^\n]{{0,500}}\)\n\t{_FILE}:\d+", re.MULTILINE)
    ),
)
_GENERATED = re.compile(r"\$\$?(?:Lambda|\d|\w*CGLIB|EnhancerBy)[\w$]*|\.func\d[\w.]*")  # names that a compiler made up


def innermost(traceback: str) -> str | None:
    """`function (file)` of the innermost frame outside libraries, or of the innermost frame if there is none."""
    frames = _frames(traceback)
    return frames[0] if frames else None


def chain(traceback: str) -> str | None:
    """The frames outside libraries, innermost first: `charge (billing.py) < checkout (cart.py)`; None without any."""
    return " < ".join(_frames(traceback)[:_MOST]) or None


@lru_cache(maxsize=1_024)
def _frames(traceback: str) -> tuple[str, ...]:
    """The frames outside libraries, innermost first, without repetitions; if all are in libraries, the innermost."""
    half = _LONGEST // 2
    text = traceback if len(traceback) <= _LONGEST else f"{traceback[:half]}\n{traceback[-half:]}"
    for language in _LANGUAGES:
        frames = [*language.frame.finditer(text)]
        if frames:
            frames = frames[::-1] if language.last else frames
            own = [_name(frame) for frame in frames if not _LIBRARY.search(frame["file"])] or [_name(frames[0])]
            return tuple(dict.fromkeys(own))
    return ()


def _name(frame: re.Match[str]) -> str:
    function, file = frame["function"] or "<anonymous>", re.split(r"[/\\]", frame["file"])[-1]
    return _GENERATED.sub("", f"{function} ({file})")
