"""How this store derives: its policy, kept with it so that every writer derives the same."""

from functools import lru_cache
from typing import TYPE_CHECKING

from failaware.derive import FINGERPRINT_VERSION
from failaware.derive.rules import Policy, default_policy
from failaware.engine import Deriver, Reader

if TYPE_CHECKING:
    from failaware.derive.grouping import GroupingRules  # loaded where it is used: its patterns take time to compile


def load_policy(db: Reader) -> Policy:
    """The store's own policy, or the one that comes with failaware."""
    text = _setting(db, "policy")
    return default_policy() if text is None else _parsed(text)


@lru_cache(maxsize=8)
def _parsed(text: str) -> Policy:
    return Policy.from_toml(text, origin="this store's policy")


def save_policy(db: Deriver, policy: Policy) -> None:
    """Keep a policy with the store. What was derived before must be rebuilt in the same transaction."""
    _save(db, "policy", policy.to_toml())


def load_grouping(db: Reader) -> "GroupingRules":
    """The user's rules for what belongs together; none, when none were given."""
    return _parsed_grouping(_setting(db, "grouping") or "")


@lru_cache(maxsize=8)
def _parsed_grouping(text: str) -> "GroupingRules":
    from failaware.derive.grouping import GroupingRules

    return GroupingRules.from_toml(text, origin="this store's grouping rules")


def save_grouping(db: Deriver, rules: "GroupingRules") -> None:
    """Keep grouping rules with the store. As with a policy, a rebuild must follow."""
    _save(db, "grouping", rules.toml)


def note_fingerprint_version(db: Deriver) -> None:
    """Note that the clusters come from this version, where none is noted yet."""
    if _setting(db, "fingerprint") is None:
        _save(db, "fingerprint", str(FINGERPRINT_VERSION))


def forget_fingerprint_version(db: Deriver) -> None:
    """All clusters are about to be derived anew."""
    db.execute("DELETE FROM setting WHERE name = 'fingerprint'")


def _setting(db: Reader, name: str) -> str | None:
    rows = db.query("SELECT value FROM setting WHERE name = ?", (name,))
    return rows[0][0] if rows else None


def _save(db: Deriver, name: str, value: str) -> None:
    db.execute(
        "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
