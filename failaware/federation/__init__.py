"""Several stores, asked as one: questions go to all of them at the same time, and their answers are merged.

May touch: `read`, whose questions it asks, and ssh for stores on other hosts. The only entry point is `open_stores`,
which opens a single store as `Inspector.open` does. docs/federation.md describes what adds up.
"""

from collections.abc import Callable, Sequence

from failaware.federation.places import StorePlace, named_places
from failaware.read.inspector import Inspector

__all__ = ["StorePlace", "named_places", "open_stores"]


def open_stores(
    places: Sequence[StorePlace],
    *,
    clock: Callable[[], int] | None = None,
    busy_timeout_s: float = 30.0,
    patience_s: float = 5.0,
    first_s: float = 12.0,
) -> Inspector:
    """Open one or more stores for reading.

    Args:
        places: from `named_places`.
        clock: as for `Inspector.open`.
        busy_timeout_s: as for `Inspector.open`.
        patience_s: how many seconds to wait for one of several stores to be opened. Later it is left out, and is back
            once it answers.
        first_s: how many seconds to wait at least while none of several has answered, as there is nothing to show yet.

    Raises:
        StoreError: the store, or every one of several stores, cannot be read.
    """
    if len(places) == 1 and not places[0].is_remote:
        return Inspector.open(places[0].place, clock=clock, busy_timeout_s=busy_timeout_s)
    from failaware.federation.inspector import Federation

    return Federation.of(places, clock=clock, patience_s=patience_s, first_s=first_s)
