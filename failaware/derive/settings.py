"""The settings kept in a store: policy, grouping rules, key, whether sealing is suspended, whether it is an archive."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from failaware.derive.corrections import load_corrections
from failaware.derive.version import our_derivation
from failaware.engine import PrivateCopy, ProjectionWriter, Reader, Row, derivation
from failaware.errors import StoreCorrupt, UsageError
from failaware.rules import Policy, default_policy

if TYPE_CHECKING:
    from failaware.derive.grouping.groups import (
        GroupingRules,  # loaded where it is used: its patterns take time to compile
    )


_POLICY, _GROUPING, _SEALS, _ARCHIVE = "policy", "grouping", "seals", "archive"
GAPS = ("gaps", "event_log")
"""The setting of a store whose event ids have gaps, because they came from a server."""

_KEY = "key"
_CARRIED = (_GROUPING, _KEY, _POLICY)
_RULES = (_GROUPING, _POLICY)
_HEX_KEY = re.compile(r"[0-9a-f]{64}")


def load_policy(db: Reader) -> Policy:
    """The store's policy, or the default policy."""
    text = _setting(db, _POLICY)
    return default_policy() if text is None else _parsed(text)


@lru_cache(maxsize=8)
def _parsed(text: str) -> Policy:
    return Policy.from_toml(text, origin="this store's policy")


def save_policy(db: ProjectionWriter, policy: Policy) -> None:
    """Save a policy; the caller must rebuild in the same transaction."""
    _save(db, _POLICY, policy.to_toml())


def load_grouping(db: Reader) -> "GroupingRules":
    """The store's grouping rules, with the splits that a person decided."""
    return _parsed_grouping(_setting(db, _GROUPING) or "")._replace(splits=load_corrections(db).splits)


@lru_cache(maxsize=8)
def _parsed_grouping(text: str) -> "GroupingRules":
    from failaware.derive.grouping.groups import GroupingRules

    return GroupingRules.from_toml(text, origin="this store's grouping rules", stored=True)


def save_grouping(db: ProjectionWriter, rules: "GroupingRules") -> None:
    """Save grouping rules; the caller must rebuild in the same transaction."""
    _save(db, _GROUPING, rules.toml)


def load_rules(db: Reader) -> list[tuple[str, str]]:
    """The settings that a copy takes over: policy, grouping rules and key, by name."""
    return db.query("SELECT name, value FROM setting WHERE name IN (?, ?, ?) ORDER BY name", _CARRIED)


def stored_rules(db: Reader) -> list[Row]:
    """The stored policy and grouping rules, by name."""
    return db.query(f"SELECT name, value FROM {db.dialect.store}setting WHERE name IN (?, ?) ORDER BY name", _RULES)


def copy_rules(db: PrivateCopy) -> None:
    """Copy the store's policy and grouping rules into a private copy."""
    replace_rules(db, stored_rules(db.store))


def replace_rules(db: ProjectionWriter, rules: Iterable[Sequence[object]]) -> None:
    """Replace all settings of private tables by these rules, from `stored_rules`."""
    db.clear("setting")
    db.execute_many("INSERT INTO setting (name, value) VALUES (?, ?)", rules)


def load_key(db: Reader) -> bytes | None:
    """The key of the store's digests; None if the store was created before keys were introduced.

    Raises:
        StoreCorrupt: the key is malformed.
    """
    rows = db.query(f"SELECT value FROM {db.dialect.store}setting WHERE name = ?", (_KEY,))
    if not rows:
        return None
    if not isinstance(rows[0][0], str) or not _HEX_KEY.fullmatch(rows[0][0]):
        raise StoreCorrupt("the store's key is damaged, without which no seal can be proved; restore a backup")
    return bytes.fromhex(rows[0][0])


def save_rule(db: ProjectionWriter, name: str, text: str) -> None:
    """Save a setting from an export unchanged; the caller must rebuild.

    Raises:
        UsageError: an unknown setting or an invalid value.
    """
    if name == _POLICY:
        Policy.from_toml(text, origin="the policy of the export")
    elif name == _GROUPING:
        from failaware.derive.grouping.groups import GroupingRules

        GroupingRules.from_toml(text, origin="the grouping rules of the export")
    elif name == _ARCHIVE:
        if not re.fullmatch(r"[1-9][0-9]{0,15}", text):
            raise UsageError("the number of the archive in the export is not a positive whole number")
    elif name != _KEY:
        raise UsageError(f"the export has a setting '{name:.40}', which is none of {', '.join((_ARCHIVE, *_CARRIED))}")
    elif not _HEX_KEY.fullmatch(text):
        raise UsageError("the key of the export is not 64 hexadecimal digits")
    _save(db, name, text)


def drop_rules(db: ProjectionWriter) -> None:
    """Delete the policy, grouping rules and key of a store without facts, before another store's replace them."""
    for name in _CARRIED:
        _delete(db, name)


def note_derivation(db: ProjectionWriter) -> None:
    """Record that this version of failaware derived the store, in the transaction that derives it."""
    _save(db, derivation.NAME, str(our_derivation()))
    _delete(db, "fingerprint")  # the mark of older versions


def hold_seals(db: ProjectionWriter) -> None:
    """Suspend sealing until `release_seals`: facts copied from another store come with their own seals."""
    if not seals_are_held(db):
        _save(db, _SEALS, "held")


def release_seals(db: ProjectionWriter) -> None:
    """Resume sealing."""
    _delete(db, _SEALS)


def seals_are_held(db: Reader) -> bool:
    """Return whether sealing is suspended."""
    return _setting(db, _SEALS) is not None


def mark_as_archive(db: ProjectionWriter, archive_id: int) -> None:
    """Mark the store as an archive, to which nothing can be added."""
    _save(db, _ARCHIVE, str(archive_id))


def archive_of(db: Reader) -> int | None:
    """The archive's id if this store is an archive, else None."""
    rows = db.query(f"SELECT value FROM {db.dialect.store}setting WHERE name = ?", (_ARCHIVE,))
    return int(rows[0][0]) if rows else None


def has_gaps(db: Reader) -> bool:
    """Whether ids of events may be missing without a trace: they come from a server's sequence, or once did."""
    name = f"SELECT 1 FROM {db.dialect.store}setting WHERE name = ?"
    return bool(db.dialect.recorders or db.query(name, GAPS[:1]))


def allow_gaps(db: ProjectionWriter) -> None:
    """Note that events of this store have ids from a server's sequence."""
    _save(db, *GAPS)


def load_copied(db: Reader) -> list[tuple[str, str]]:
    """What a copy carries: the rules, and whether the ids of events have gaps."""
    return load_rules(db) + ([GAPS] if has_gaps(db) else [])


def load_exported(db: Reader) -> list[tuple[str, str]]:
    """The settings in an export: those of a copy, and an archive's id."""
    archive = archive_of(db)
    return load_copied(db) + ([] if archive is None else [(_ARCHIVE, str(archive))])


def _setting(db: Reader, name: str) -> str | None:
    rows = db.query("SELECT value FROM setting WHERE name = ?", (name,))
    return rows[0][0] if rows else None


def _save(db: ProjectionWriter, name: str, value: str) -> None:
    db.execute(
        "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def _delete(db: ProjectionWriter, name: str) -> None:
    db.execute("DELETE FROM setting WHERE name = ?", (name,))
