"""A payment gateway that is down every night from 02:00 to 03:30."""

from random import Random
from typing import Any

from failaware import Event, Retry

from ..world import DAY, HOUR, chance, world
from . import Scenario

RETRY = Retry(max_attempts=5, base=60, factor=2, cap=900)
_DOWN = (2.0, 3.5)
_NIGHTS = 3  # at least: the outage must recur


class GatewayTimeout(Exception):
    """The gateway did not answer in time."""


def payload(rng: Random, number: int) -> dict[str, Any]:
    """Return a payment."""
    return {
        "payment_id": f"pay_{rng.getrandbits(40):010x}",
        "order_id": 70_000 + number,
        "amount": {"cents": rng.randint(190, 49_900), "currency": rng.choice(["EUR", "USD", "GBP"])},
    }


def nights(_began: int, ends: int) -> dict[int, int]:
    """Time one payment in each of the last outages, early enough to use up its attempts."""
    middle = int((_DOWN[0] + 0.4) * HOUR)
    last = (ends - middle - HOUR) // DAY * DAY + middle
    return {number: last - (number - 1) * DAY for number in range(1, _NIGHTS + 1)}


def capture(event: Event) -> None:
    """Capture the payment at the gateway."""
    _post(f"/v2/payments/{event.payload['payment_id']}/capture", event)


def _post(path: str, event: Event) -> None:
    host = f"10.20.{int(chance(path) * 4)}.{int(chance(path, 1) * 250) + 2}"
    _connect(host, 8443, event)


def _connect(host: str, port: int, event: Event) -> None:
    if _DOWN[0] <= world.hour_of_day() < _DOWN[1]:
        world.spend(5_000 + 400 * chance(event.event_id, event.attempt_no))
        raise GatewayTimeout(
            f"connect to {host}:{port} timed out after {5 + 0.4 * chance(host, event.attempt_no):.2f} s"
        )
    world.spend(60 + 300 * chance(event.event_id))


SCENARIO = Scenario("outage", "payment.capture", 0.18, "checkout", payload, nights)
