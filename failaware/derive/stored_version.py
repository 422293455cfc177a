"""Compare the version that derived a store with this one, and describe the difference."""

from failaware.derive.version import our_derivation
from failaware.engine import Reader
from failaware.engine.derivation import CURRENT, OLDER, stored_mark


def derivation(db: Reader, *, private: bool = True) -> tuple[str, str | None]:
    """Whether a store's derivation is current, older or newer, and the version of failaware that derived it, if known.

    On a private copy, `private` selects its derived tables rather than the store's own.
    """
    stored = stored_mark(db, private=private)
    return our_derivation().compared(stored), None if stored is None else stored.failaware


def outdated(state: str, derived_by: str | None) -> str:
    """A sentence about an outdated derivation, without a full stop; "" if it is current."""
    if state == CURRENT:
        return ""
    by = f" ({derived_by})" if derived_by else ""
    if state == OLDER:
        return f"Derived by an older version of failaware{by}; run 'failaware rebuild'"
    return f"Derived by a newer version of failaware{by}; upgrade failaware"
