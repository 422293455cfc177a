"""Parameters: `?` and `:name` become `$1`, `$2`, …; nothing else of a statement changes."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from failaware.engine.base import Parameters

_TOKEN = re.compile(
    r"""(?P<comment>/\*) | --[^\n]*
      | \b[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
      | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
      | (?P<place>\?) | (?<!:):(?P<name>[^\W\d]\w*)""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")


def numbered(sql: str, parameters: Parameters) -> tuple[bytes, Sequence[Any] | None]:
    """The statement with numbered placeholders, and the values in order; None if there are no parameters.

    Strings, quoted names and comments are left unchanged. With named parameters, `?` is an operator of PostgreSQL, and
    `:x` without a value belongs to the statement, as in an array slice.
    """
    if not parameters:
        return sql.encode(), None
    if isinstance(parameters, Mapping):
        text, names = _numbered(sql, frozenset(parameters))
        return text, [parameters[name] for name in names] or None
    return positional(sql), parameters


def positional(sql: str) -> bytes:
    """The statement with a number in place of each `?`."""
    return _numbered(sql, None)[0]


@lru_cache(maxsize=1_024)
def _numbered(sql: str, names: frozenset[str] | None) -> tuple[bytes, list[str]]:
    parts, used, places, end = [], dict[str, int](), 0, 0
    while token := _TOKEN.search(sql, end):
        parts.append(sql[end : token.start()])
        end = token.end()
        number = 0
        if token["comment"]:
            end = _comment_end(sql, end)
        elif token["place"] and names is None:
            number = places = places + 1
        elif names and token["name"] in names:
            number = used.setdefault(token["name"], len(used) + 1)
        parts.append(f"${number}" if number else sql[token.start() : end])
    return "".join((*parts, sql[end:])).encode(), list(used)


def _comment_end(sql: str, start: int) -> int:
    """Where a comment whose content begins at `start` ends; comments nest."""
    depth = 1
    for mark in _COMMENT_MARK.finditer(sql, start):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return len(sql)
