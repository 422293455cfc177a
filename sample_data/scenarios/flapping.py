"""A name server that flaps: lookups fail for some minutes, then work again. Retries heal almost all of it."""

import socket
from random import Random
from typing import Any

from failaware import Event, Retry

from ..world import HOUR, chance, world
from . import Scenario

RETRY = Retry(max_attempts=7, base=90, factor=2, cap=1800)
_SLOT = HOUR // 6
_FLAPS = 0.12


def payload(rng: Random, number: int) -> dict[str, Any]:
    """A warehouse to be synced."""
    return {
        "warehouse": f"wh-{number % 7 + 1}",
        "changed": rng.randint(1, 400),
        "cursor": f"{rng.getrandbits(64):016x}",
    }


def sync(event: Event) -> None:
    """Send the warehouse's changes to its stock server."""
    _push(f"stock-{event.payload['warehouse']}.internal", event.payload["changed"])


def _push(host: str, changed: int) -> None:
    _resolve(host)
    world.spend(changed / 2)


def _resolve(host: str) -> str:
    world.spend(3)
    if chance("dns", world.passed(_SLOT)) < _FLAPS:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return f"10.30.0.{int(chance(host) * 200) + 2}"


SCENARIO = Scenario("flapping", "inventory.sync", 0.09, "erp", payload)
