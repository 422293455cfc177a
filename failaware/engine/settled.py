"""Up to which id every event is visible, on a server where an event may become visible after one with a higher id.

A recorder takes an id while it holds the lock that recorders share, and releases the lock when its event is visible. So
all ids up to the newest visible one are settled as soon as those who held the lock at that moment have released it:
nobody has to be stopped. Example: A and B record at the same time.

  A takes id 5; B takes id 6; B commits: 6 is the newest; A holds the lock; A commits; A holds it no more: 6 is settled
"""

import time

from failaware.engine.base import Reader
from failaware.errors import StoreBusy

_LOOKS_S = 0.001  # between two looks at who records; most commits take as long
_NEWEST = "SELECT coalesce(max(event_id), 0) FROM event_log"


def settled_event(db: Reader, *, patience_s: float = 30.0) -> int:
    """The id of an event up to which every other one is visible in the next snapshot, or never will be.

    Raises:
        StoreBusy: a record has been under way for `patience_s`.
    """
    ((newest,),) = db.query(_NEWEST)
    until = time.monotonic() + patience_s
    under_way = _recorders(db)
    while under_way:
        if time.monotonic() > until:
            raise StoreBusy("another program has been recording an event for a long time; try again when it is done")
        time.sleep(_LOOKS_S)
        under_way &= _recorders(db)
    return int(newest)


def _recorders(db: Reader) -> set[str]:
    return {number for (number,) in db.query(db.dialect.recorders)} if db.dialect.recorders else set()
