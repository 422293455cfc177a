"""Facts taken back from an export, with the ids that they had. Runs inside one transaction of a Writer."""

from collections.abc import Sequence
from typing import Any

from failaware.derive.exported import EVENT, Kind
from failaware.derive.fold import fold, just_appended
from failaware.derive.rules import Policy
from failaware.derive.settings import load_policy
from failaware.engine import Reader, Writer
from failaware.errors import UsageError

Fact = tuple[Any, ...]

_FOLDED = {"event": "events", "attempt": "attempts", "decision": "decisions"}


def restore(db: Writer, kind: Kind, facts: Sequence[Fact]) -> int:
    """Append facts of one kind, in the order of their ids; returns how many were there already.

    Raises:
        UsageError: one of these ids is another fact here, or an id is not behind all that are here.
    """
    if kind.name == "setting":
        return _settings(db, facts)
    key = kind.columns[0].name
    here = {row[0]: row for row in read(db, kind, facts[0][0], facts[-1][0])}
    new = [fact for fact in facts if fact[0] not in here]
    for fact in facts:
        if here.get(fact[0], fact) != fact:
            raise UsageError(
                f"{kind.name} {fact[0]} of the export is another one in this store; take it into a new file"
            )
    if new:
        ((last,),) = db.query(f"SELECT coalesce(max({key}), 0) FROM {kind.table}")
        if new[0][0] <= last:
            raise UsageError(
                f"this store has facts of its own beyond {kind.name} {new[0][0]}; take the export into a new file"
            )
        _insert(db, kind, new)
        if kind.name in _FOLDED:
            fold(db, just_appended(**{_FOLDED[kind.name]: (new[0][0], new[-1][0])}), load_policy(db))
    return len(facts) - len(new)


def read(db: Reader, kind: Kind, first: int, last: int) -> list[Fact]:
    """The facts of one kind whose ids lie in a range, in their order."""
    names = [f"k.{column.name}" if column.name == "key" else f"f.{column.name}" for column in kind.columns]
    keys, key = "LEFT JOIN event_key k ON k.event_id = f.event_id" if kind is EVENT else "", kind.columns[0].name
    return db.query(
        f"SELECT {', '.join(names)} FROM {kind.table} f {keys} WHERE f.{key} BETWEEN ? AND ? ORDER BY f.{key}",
        (first, last),
    )


def _settings(db: Writer, facts: Sequence[Fact]) -> int:
    """The policy and the grouping rules that the facts are derived by."""
    here: dict[str, str] = dict(db.query("SELECT name, value FROM setting"))
    new = [fact for fact in facts if here.get(fact[0]) != fact[1]]
    if new and db.query("SELECT 1 FROM event_log LIMIT 1"):
        raise UsageError(f"this store derives by another {new[0][0]} than the export; take it into a new file")
    for name, value in new:
        if name == "policy":
            Policy.from_toml(value, origin="the policy of the export")
        db.execute("INSERT INTO setting (name, value) VALUES (?, ?)", (name, value))
    return len(facts) - len(new)


def _insert(db: Writer, kind: Kind, facts: list[Fact]) -> None:
    names = [column.name for column in kind.columns]
    if kind is EVENT:  # its key stands last, and in a table of its own
        keys = [(fact[-1], fact[0]) for fact in facts if fact[-1] is not None]
        facts, names = [fact[:-1] for fact in facts], names[:-1]
        db.append("event_key", ("key", "event_id"), keys)
    db.append(kind.table, names, facts)
