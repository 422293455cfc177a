"""The inspector on a hot standby of PostgreSQL, which refuses every write, also to temporary tables."""

import contextlib

import pytest

from failaware import Store
from tests.engine.test_postgres_surroundings import a_standby_of
from tests.servers import a_server
from tui.screens.events import EventsScreen

from .helpers import filtered, inspecting, loaded, rows, shows, until


@pytest.mark.large
@pytest.mark.postgres
async def test_every_level_now_and_in_the_past_and_what_the_primary_writes_on_a_standby():
    with a_server() as server, Store.open(server.url("s")) as store:
        for number in range(3):
            with contextlib.suppress(ValueError), store.attempt("job", number):
                raise ValueError(f"order {number} is odd")
        with a_standby_of(server) as standby:
            async with inspecting(standby.url("s"), (160, 45)) as pilot:
                await loaded(pilot, 1)
                await shows(pilot, "● live as postgres, on a standby", "DEAD 3", "order <n> is")
                await pilot.press("enter")
                await loaded(pilot, 3)
                await filtered(pilot, "status:DEAD")
                await loaded(pilot, 3)
                store.dismiss([2], because="seen")  # on the primary; the standby follows
                await loaded(pilot, 3)
                await pilot.press("enter")
                await shows(pilot, "ValueError: order 2 is odd", "Payload")
                await pilot.press("escape", "escape", "escape")
                await shows(pilot, "DISMISSED 1")
                await pilot.press("a")
                await until(pilot, lambda: pilot.app.moment.at is not None and not pilot.app.moment.busy)
                await shows(pilot, "AS OF")
                await pilot.press("greater_than_sign")
                await until(pilot, lambda: not pilot.app.moment.busy)
                await pilot.press("e")
                await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
                await shows(pilot, "AS OF", "Events")
                await until(pilot, lambda: len(rows(pilot).window.items) > 0)
                await pilot.press("enter")
                await shows(pilot, "AS OF", "events › event 1", "No attempt yet")
                await pilot.press("a")
                await until(pilot, lambda: pilot.app.moment.at is None)
                await shows(pilot, "● live")
                for key, title in (("d", "Retries due"), ("H", "Recovered"), ("i", "Impact")):
                    await pilot.press("escape", "escape", "escape", key)
                    await shows(pilot, title)
