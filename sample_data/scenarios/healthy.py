"""Events that succeed: most of them."""

from random import Random
from typing import Any

from failaware import Event, Retry

from ..world import chance, world
from . import Scenario, person

RETRY = Retry()


def webhook(rng: Random, number: int) -> dict[str, Any]:
    """Return a webhook to deliver."""
    return {
        "delivery": f"{rng.getrandbits(64):016x}",
        "event": rng.choice(["order.paid", "order.sent"]),
        "order": number,
    }


def signup(rng: Random, number: int) -> dict[str, Any]:
    """Return a new user."""
    return {"user_id": 90_000 + number, "email": person(rng), "plan": rng.choice(["free", "team", "pro"])}


def invoice(rng: Random, number: int) -> dict[str, Any]:
    """Return an invoice to create."""
    return {"invoice": f"2026-{number:05d}", "customer": rng.randint(100, 999), "total_cents": rng.randint(900, 99_000)}


def succeed(event: Event) -> None:
    """Succeed."""
    world.spend(5 + 80 * chance(event.event_id))


SCENARIOS = (
    Scenario("webhooks", "webhook.deliver", 0.2, "api", webhook),
    Scenario("signups", "user.signup", 0.14, "web", signup),
    Scenario("invoices", "invoice.create", 0.12, "billing", invoice),
)
