"""Whether a store's derived rows come from this version of failaware, and the sentence that says so where not."""

from failaware.derive.version import our_derivation
from failaware.engine import Reader
from failaware.engine.derivation import CURRENT, OLDER, stored_mark


def derivation(db: Reader, *, private: bool = True) -> tuple[str, str | None]:
    """Current, older or newer, and the version of failaware that derived it, if that is known.

    With private tables in front of the store's, it is about these, unless not `private`.
    """
    stored = stored_mark(db, private=private)
    return our_derivation().compared(stored), None if stored is None else stored.failaware


def outdated(state: str, derived_by: str | None) -> str:
    """The sentence, without a full stop; "" where the store is current."""
    if state == CURRENT:
        return ""
    by = f" ({derived_by})" if derived_by else ""
    if state == OLDER:
        return f"Derived by an older version of failaware{by}; run 'failaware rebuild'"
    return f"Derived by a newer version of failaware{by}; upgrade failaware"
