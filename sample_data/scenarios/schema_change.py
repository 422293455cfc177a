"""A partner changes its schema: from then on one event type always fails, and dead events accumulate."""

from random import Random
from typing import Any

from failaware import Event, Retry

from ..world import HOUR, MINUTE, chance, world
from . import Scenario, person

RETRY = Retry(max_attempts=4, base=900, factor=4, cap=14_400)
_CHANGED_AT = 0.7  # of the history: noon of its fourth day


class ValidationError(ValueError):
    """The partner refuses the request."""


def payload(rng: Random, number: int) -> dict[str, Any]:
    """Return a contact to update; the new schema requires a field that two thirds of the contacts lack."""
    contact = {"contact_id": 4_000 + number, "email": person(rng), "tags": rng.sample(["vip", "eu", "trial", "b2b"], 2)}
    if number % 3 == 0:
        contact["phone_e164"] = f"+4930{rng.randint(1_000_000, 9_999_999)}"
    return contact


def still_retrying(_began: int, ends: int) -> dict[int, int]:
    """Time two contacts to have failed once and three times at the end of the history, with a retry due later."""
    return {1: ends - 10 * MINUTE, 2: ends - 3 * HOUR}


def update(event: Event) -> None:
    """Send the contact to the CRM."""
    world.spend(30 + 50 * chance(event.event_id))
    _validate(event.payload)


def _validate(contact: dict[str, Any]) -> None:
    if world.progress() < _CHANGED_AT:
        return
    _must_have(contact, "phone_e164")


def _must_have(contact: dict[str, Any], column: str) -> None:
    if column not in contact:
        raise ValidationError(f"contact {contact['contact_id']}: column '{column}' may not be null")


SCENARIO = Scenario("schema change", "crm.contact.update", 0.05, "crm", payload, still_retrying)
