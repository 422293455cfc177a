"""What the schema of a store is, and what SQLite itself has to say of a file: for verify."""

import re
import sqlite3
from collections.abc import Iterator

from failaware.engine.base import Reader
from failaware.engine.schema import whole_schema

_MASTER = "SELECT type, name, tbl_name, sql FROM main.sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\]  # texts and quoted names, to the letter
    | --[^\n]* | /\*.*?(?:\*/|\Z) | \s+  # comments and blanks, which mean nothing
    | \w+ | .""",
    re.VERBOSE | re.DOTALL,
)
_MEANS_NOTHING = re.compile(r"--|/\*|\s")


def differences(db: Reader) -> Iterator[str]:
    """How the schema differs from what it should be, a sentence each; foreign tables are nobody's business."""
    ours = _expected()
    tables = {name for kind, name in ours if kind == "table"}
    found = {(kind, name): (table, _tokens(sql)) for kind, name, table, sql in db.query(_MASTER)}
    for (kind, name), sql in ours.items():
        if (kind, name) not in found:
            yield f"the {kind} {name} is missing"
        elif found[kind, name][1] != sql:
            yield f"the {kind} {name} is not as it was made"
    for (kind, name), (table, _) in found.items():
        if (kind, name) in ours:
            continue
        if kind == "view":
            yield f"there is a view {name} that is not ours"
        elif kind in ("trigger", "index") and table in tables:
            yield f"there is {'an' if kind == 'index' else 'a'} {kind} {name} on {table} that is not ours"


def integrity(db: Reader) -> list[str]:
    """What SQLite finds wrong with the file: its pages, its indexes, its constraints."""
    return [str(problem) for (problem,) in db.query("PRAGMA main.integrity_check(20)") if problem != "ok"]


def _expected() -> dict[tuple[str, str], tuple[str, ...]]:
    db = sqlite3.connect(":memory:")
    try:
        for statement in whole_schema():
            db.execute(statement)
        return {(kind, name): _tokens(sql) for kind, name, _, sql in db.execute(_MASTER)}
    finally:
        db.close()


def _tokens(sql: str) -> tuple[str, ...]:
    """A statement's words, texts and signs. ALTER TABLE puts blanks of its own; a comment in a text is none."""
    return tuple(token for token in _TOKEN.findall(sql) if not _MEANS_NOTHING.match(token))
