"""A mail provider that answers 429 with a delay: RetryAfter, and every event recovers."""

from random import Random
from typing import Any, NoReturn

from failaware import Event, Retry, RetryAfter

from ..world import chance, world
from . import Scenario, person

RETRY = Retry(max_attempts=6, base=20)


def payload(rng: Random, number: int) -> dict[str, Any]:
    """Return a mail."""
    template = rng.choice(["welcome", "receipt", "reset", "newsletter"])
    return {"to": person(rng), "template": template, "message_id": f"m-{number:06d}"}


def send(event: Event) -> None:
    """Hand the mail to the provider."""
    world.spend(40 + 60 * chance(event.event_id))
    _deliver(event)


def _deliver(event: Event) -> None:
    if event.attempt_no == 1 and chance("mail", event.key) < 0.14:
        _refuse(30 + int(90 * chance("wait", event.key)), event.payload["message_id"])


def _refuse(seconds: int, request: str) -> NoReturn:
    raise RetryAfter(seconds, f"429 Too Many Requests: retry after {seconds} s (request {request})")


SCENARIO = Scenario("rate limit", "email.send", 0.12, "mailer", payload)
