"""How this store derives: its policy, kept with it so that every writer derives the same."""

from functools import lru_cache

from failaware.derive.rules import Policy, default_policy
from failaware.engine import Reader, Writer


def load_policy(db: Reader) -> Policy:
    """The store's own policy, or the one that comes with failaware."""
    rows = db.query("SELECT value FROM setting WHERE name = 'policy'")
    return _parsed(rows[0][0]) if rows else default_policy()


@lru_cache(maxsize=8)
def _parsed(text: str) -> Policy:
    return Policy.from_toml(text, origin="this store's policy")


def save_policy(db: Writer, policy: Policy) -> None:
    """Keep a policy with the store. What was derived before must be rebuilt in the same transaction."""
    db.execute(
        "INSERT INTO setting (name, value) VALUES ('policy', ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (policy.to_toml(),),
    )
