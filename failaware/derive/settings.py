"""How this store derives: its policy, kept with it so that all derive the same; whether it seals and grows."""

from functools import lru_cache
from typing import TYPE_CHECKING

from failaware.derive import FINGERPRINT_VERSION
from failaware.derive.rules import Policy, default_policy
from failaware.engine import Deriver, Reader
from failaware.errors import UsageError

if TYPE_CHECKING:
    from failaware.derive.grouping import GroupingRules  # loaded where it is used: its patterns take time to compile


_POLICY, _GROUPING, _FINGERPRINT, _SEALS, _ARCHIVE = "policy", "grouping", "fingerprint", "seals", "archive"


def load_policy(db: Reader) -> Policy:
    """The store's own policy, or the one that comes with failaware."""
    text = _setting(db, _POLICY)
    return default_policy() if text is None else _parsed(text)


@lru_cache(maxsize=8)
def _parsed(text: str) -> Policy:
    return Policy.from_toml(text, origin="this store's policy")


def save_policy(db: Deriver, policy: Policy) -> None:
    """Keep a policy with the store. What was derived before must be rebuilt in the same transaction."""
    _save(db, _POLICY, policy.to_toml())


def load_grouping(db: Reader) -> "GroupingRules":
    """The user's rules for what belongs together; none, when none were given."""
    return _parsed_grouping(_setting(db, _GROUPING) or "")


@lru_cache(maxsize=8)
def _parsed_grouping(text: str) -> "GroupingRules":
    from failaware.derive.grouping import GroupingRules

    return GroupingRules.from_toml(text, origin="this store's grouping rules")


def save_grouping(db: Deriver, rules: "GroupingRules") -> None:
    """Keep grouping rules with the store. As with a policy, a rebuild must follow."""
    _save(db, _GROUPING, rules.toml)


def load_rules(db: Reader) -> list[tuple[str, str]]:
    """The policy and the grouping rules as they are kept, by name: what goes along with the facts to another store."""
    return db.query("SELECT name, value FROM setting WHERE name IN (?, ?) ORDER BY name", (_GROUPING, _POLICY))


def save_rule(db: Deriver, name: str, text: str) -> None:
    """Keep the policy or the grouping rules of another store, to the letter. As with a policy, a rebuild must follow.

    Raises:
        UsageError: it is neither of them, or makes no sense.
    """
    if name == _POLICY:
        Policy.from_toml(text, origin="the policy of the export")
    elif name == _GROUPING:
        from failaware.derive.grouping import GroupingRules

        GroupingRules.from_toml(text, origin="the grouping rules of the export")
    else:
        raise UsageError(f"the export has a setting '{name:.40}', which is none of {_GROUPING}, {_POLICY}")
    _save(db, name, text)


def note_fingerprint_version(db: Deriver) -> None:
    """Note that the clusters come from this version, where none is noted yet."""
    if _setting(db, _FINGERPRINT) is None:
        _save(db, _FINGERPRINT, str(FINGERPRINT_VERSION))


def forget_fingerprint_version(db: Deriver) -> None:
    """All clusters are about to be derived anew."""
    _delete(db, _FINGERPRINT)


def hold_seals(db: Deriver) -> None:
    """Seal nothing until `release_seals`: facts that are taken over from another store come with their own seals."""
    if not seals_are_held(db):
        _save(db, _SEALS, "held")


def release_seals(db: Deriver) -> None:
    """Seal again."""
    _delete(db, _SEALS)


def seals_are_held(db: Reader) -> bool:
    """Whether facts are being taken over, so that nothing may be sealed."""
    return _setting(db, _SEALS) is not None


def mark_as_archive(db: Deriver, archive_id: int) -> None:
    """This store is an archive, to which nothing is added."""
    _save(db, _ARCHIVE, str(archive_id))


def archive_of(db: Reader) -> int | None:
    """The archive that this store is; None: it is a store that is lived in."""
    rows = db.query("SELECT value FROM main.setting WHERE name = ?", (_ARCHIVE,))  # also beside it
    return int(rows[0][0]) if rows else None


def _setting(db: Reader, name: str) -> str | None:
    rows = db.query("SELECT value FROM setting WHERE name = ?", (name,))
    return rows[0][0] if rows else None


def _save(db: Deriver, name: str, value: str) -> None:
    db.execute(
        "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def _delete(db: Deriver, name: str) -> None:
    db.execute("DELETE FROM setting WHERE name = ?", (name,))
