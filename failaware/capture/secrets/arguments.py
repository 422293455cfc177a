"""Splits the arguments of a command in a text: in a shell's notation, in lists of Python and of Java, and in JSON."""

import re
from collections.abc import Iterator

_NO_SECRET = re.compile(r"\$(?:[A-Za-z_{(]|\d+$)|\[|[<*=\\-]")
_ARGUMENT = re.compile(
    r"[ \t,]*(?:\$?\\{0,7}\"(?P<double>(?:[^\"\\\n]|\\(?!\\{0,6}\"))*+)\\{0,7}\""
    r"|\$?\\{0,7}'(?P<single>(?:[^'\\\n]|\\(?!\\{0,6}'))*+)\\{0,7}'"
    r"|(?P<attached>-{1,2}\w[\w-]{0,40}=?(?:'[^'\s][^'\n]{0,200}'|\"[^\"\s][^\"\n]{0,200}\"))"  # -p'X Y'
    r"|(?P<bare>(?:[^\s,\"'\\|;\])]++|,(?=[^\s,\"'\\-])|\\(?!\\{0,6}[\"']|[nrt]))++))"
)
MAX_ARGUMENTS = 64


def split_arguments(text: str, begin: int, end: int, *, most: int = MAX_ARGUMENTS) -> Iterator[tuple[int, int]]:
    """Yield where arguments begin and end, without quotation marks, up to the end of the line or command."""
    position = begin
    for _ in range(most):
        match = _ARGUMENT.match(text, position, end)
        if match is None:
            return
        yield match.span(match.lastgroup or 0)
        position = match.end()


def is_secret(value: str) -> bool:
    """Whether an argument may be a secret: not a variable, an option, a placeholder, or already masked."""
    return len(value) >= 3 and _NO_SECRET.match(value) is None
