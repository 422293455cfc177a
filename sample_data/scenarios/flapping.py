"""A flapping name server: lookups fail for some minutes, then work again. Almost all events recover on retry.

A stock server that was unreachable takes a moment to start, so some errors change before the event recovers.
"""

import errno
import socket
from random import Random
from typing import Any

from failaware import Event, Retry

from ..world import HOUR, chance, world
from . import Scenario

RETRY = Retry(max_attempts=7, base=90, factor=2, cap=1800)
_SLOT = HOUR // 6
_FLAPS = 0.12
_STARTING = 0.25  # of the attempts after a failed one


def payload(rng: Random, number: int) -> dict[str, Any]:
    """Return a warehouse to sync."""
    return {
        "warehouse": f"wh-{number % 7 + 1}",
        "changed": rng.randint(1, 400),
        "cursor": f"{rng.getrandbits(64):016x}",
    }


def sync(event: Event) -> None:
    """Send the warehouse's changes to its stock server."""
    _push(f"stock-{event.payload['warehouse']}.internal", event)


def _push(host: str, event: Event) -> None:
    _connect(_resolve(host), event)
    world.spend(event.payload["changed"] / 2)


def _connect(address: str, event: Event) -> None:
    if event.attempt_no > 1 and chance("starting", event.event_id, event.attempt_no) < _STARTING:
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"Connection refused by {address}:5432")


def _resolve(host: str) -> str:
    world.spend(3)
    if chance("dns", world.passed(_SLOT)) < _FLAPS:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return f"10.30.0.{int(chance(host) * 200) + 2}"


SCENARIO = Scenario("flapping", "inventory.sync", 0.09, "erp", payload)
