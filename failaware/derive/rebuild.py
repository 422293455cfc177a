"""Derive a whole store again on request, including an archive and a store that a newer failaware derived."""

from pathlib import Path

from failaware.derive.fold import derive_again
from failaware.derive.grouping.groups import GroupingRules
from failaware.derive.version import our_derivation
from failaware.engine import Projection, ProjectionWriter, open_writer
from failaware.rules import Policy


def rebuild_store(place: str | Path, policy: Policy | None, grouping: GroupingRules | None) -> None:
    """Derive everything from the facts again with this version of failaware, by a new policy or new rules if given.

    Raises:
        StoreError: it cannot be opened for writing.
    """
    done = False

    def derive(db: ProjectionWriter) -> None:
        nonlocal done
        derive_again(db, policy, grouping)
        done = True

    db = open_writer(place, synchronous="FULL", projection=Projection(our_derivation(), derive), go_back=True)
    try:
        if not done:  # when it was opened
            db.run(lambda: derive(db))
    finally:
        db.close()
