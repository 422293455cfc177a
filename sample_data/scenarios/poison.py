"""A poison message: an order file that was truncated in transfer. Retrying cannot help."""

import json
from random import Random
from typing import Any

from failaware import Event, Permanent, Retry

from ..world import DAY, world
from . import Scenario

RETRY = Retry(max_attempts=5, base=30)
_POISON = 3  # the number of the poisoned order


def payload(rng: Random, number: int) -> dict[str, Any]:
    """Return an order as the partner's text; one of them is truncated."""
    lines = [{"sku": f"SKU-{rng.randint(1000, 9999)}", "quantity": rng.randint(1, 9)} for _ in range(rng.randint(1, 4))]
    body = json.dumps({"order": 510_000 + number, "lines": lines})
    return {
        "partner": "northwind",
        "file": f"orders-{number:05d}.json",
        "body": body[:-9] if number == _POISON else body,
    }


def second_day(began: int, _ends: int) -> dict[int, int]:
    """Time the poisoned order early, so it has been dead for days."""
    return {_POISON: began + DAY}


def import_order(event: Event) -> None:
    """Read the order and book its lines."""
    world.spend(20)
    for line in _read(event.payload["file"], event.payload["body"])["lines"]:
        world.spend(line["quantity"])


def _read(file: str, body: str) -> Any:
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise Permanent(f"{file} is not a whole JSON document") from error


SCENARIO = Scenario("poison", "order.import", 0.03, "sftp", payload, second_day)
