"""SQL files of `-- name:` blocks, loaded as named statements; digests of SQL; what differs by engine."""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_TOKEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|\w+|[^\s\w]")
_DIGITS = 24  # hexadecimal digits of a digest that only distinguishes versions
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)  # removed, because the database would parse it on each execution


def load(module_file: str, name: str) -> dict[str, str]:
    """Read the named statements of the file `name` in the directory of `module_file`.

    Raises:
        ValueError: a name is used twice; a programming error, detected at import.
    """
    text = (Path(module_file).parent / name).read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    names, bodies = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"{name}: a statement's name is used twice")
    return {key: _COMMENT.sub("", body).strip().rstrip(";") for key, body in zip(names, bodies, strict=True)}


def digest_of(texts: Iterable[str]) -> str:
    """A digest of statements or other texts that ignores comments and white space between tokens."""
    return sha256("\0".join(map(_normalized, texts)).encode()).hexdigest()[:_DIGITS]


def _normalized(text: str) -> str:
    return " ".join(token for token in _TOKEN.findall(text) if not token.startswith("--"))


class Dialect:
    """The fragments of our statements that differ by engine, here for SQLite. All other SQL is common to both."""

    store = "main."
    """The prefix of the store's own tables, which private tables may shadow."""

    not_assigned = "false"
    """SQL: an id of an event that was not assigned yet, where this does not follow from a gap."""

    recorded = ""
    """A query for how many events the store must have, where gaps in their ids do not show it; otherwise ""."""

    count_recorded = ""
    """A statement that adds to that number, or subtracts if its parameter is negative."""

    recorders = ""
    """A query for the transactions that are recording events, which leave gaps in their ids; "" if only one may."""

    follow = ""
    """On a server: a statement that makes the next event id follow the newest one, from another store."""

    last_change = ""
    """On a server: a query whose result differs if another connection has committed."""

    def json_array(self, values: Sequence[str]) -> str:
        """The JSON array of these values, compact."""
        return f"json_array({', '.join(values)})"

    def json_object(self, members: Mapping[str, str]) -> str:
        """The JSON object with these names and values, compact and in this order."""
        pairs = (f"'{name}', {value}" for name, value in members.items())
        return f"json_object({', '.join(pairs)})"

    def bytes_of(self, text: str) -> str:
        """The UTF-8 bytes of a text."""
        return f"CAST({text} AS BLOB)"

    def merged(self, selects: Sequence[str], order: str, most: str) -> str:  # noqa: ARG002 - it reads only what it needs
        """The first `most` rows of several SELECTs in this order, in which an index of each has its rows."""
        return f"{' UNION ALL '.join(selects)} ORDER BY {order}"

    def indexed_by(self, table: str, index: str) -> str:
        """A table read through an index, for rows that may be damaged."""
        return f"{table} INDEXED BY {index}"
