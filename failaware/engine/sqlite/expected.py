"""What the schema of a store is, and what SQLite itself has to say of a file: for verify."""

import re
import sqlite3
from collections.abc import Iterator

from failaware.engine.base import Reader
from failaware.engine.schema import whole_schema

_MASTER = "SELECT type, name, tbl_name, sql FROM main.sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
_COMMENT, _BLANKS, _BESIDE = re.compile(r"--[^\n]*"), re.compile(r"\s+"), re.compile(r" ?([(),]) ?")


def differences(db: Reader) -> Iterator[str]:
    """How the schema differs from what it should be, a sentence each; foreign tables are nobody's business."""
    ours = _expected()
    tables = {name for kind, name in ours if kind == "table"}
    found = {(kind, name): (table, _plain(sql)) for kind, name, table, sql in db.query(_MASTER)}
    for (kind, name), sql in ours.items():
        if (kind, name) not in found:
            yield f"the {kind} {name} is missing"
        elif found[kind, name][1] != sql:
            yield f"the {kind} {name} is not as it was made"
    for (kind, name), (table, _) in found.items():
        if kind == "trigger" and table in tables and (kind, name) not in ours:
            yield f"there is a trigger {name} on {table} that is not ours"


def integrity(db: Reader) -> list[str]:
    """What SQLite finds wrong with the file: its pages, its indexes, its constraints."""
    return [str(problem) for (problem,) in db.query("PRAGMA main.integrity_check(20)") if problem != "ok"]


def _expected() -> dict[tuple[str, str], str]:
    db = sqlite3.connect(":memory:")
    try:
        for statement in whole_schema():
            db.execute(statement)
        return {(kind, name): _plain(sql) for kind, name, _, sql in db.execute(_MASTER)}
    finally:
        db.close()


def _plain(sql: str) -> str:
    """A statement without its comments, and with as few blanks as it can have: ALTER TABLE puts its own."""
    return _BESIDE.sub(r"\1", _BLANKS.sub(" ", _COMMENT.sub("", sql)).strip())
