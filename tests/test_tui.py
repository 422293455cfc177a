"""The inspector: opens, follows the store, goes down and comes back, and cannot hurt it."""

import asyncio
import hashlib

import pytest
from textual.widgets import DataTable, Static

from failaware import Handlers, Permanent, Store, Worker
from tui.app import InspectorApp
from tui.screens import ClusterScreen, EventScreen


@pytest.fixture
def full(path):
    handlers = Handlers()

    @handlers.on("*")
    def fails(event):
        raise Permanent(f"no {event.event_type} \x1b[31m [bold]markup[/bold]")

    with Store.open(path) as store:
        store.record_many((name, {"n": name, "evil": "\x1b]0;x\x07[red]"}) for name in "aab")
        Worker(store, handlers).run(until_idle=True)
        yield store, Worker(store, handlers)


async def until(pilot, condition):
    for _ in range(400):
        await pilot.pause()
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen in time")


def shown(app, selector):
    return str(app.screen.query_one(selector, Static).render())


@pytest.mark.parametrize("size", [(160, 45), (100, 30), (80, 24), (40, 12)])
async def test_down_to_an_event_and_back_at_any_size(full, path, size):
    app = InspectorApp(str(path))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.screen.query_one("#clusters", DataTable).row_count == 2)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ClusterScreen) and app.screen.query(DataTable))
        await until(pilot, lambda: app.screen.query_one("#events", DataTable).row_count == 2)
        assert "2 events of a fail with" in shown(app, "#title")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, EventScreen) and app.screen.query("#text"))
        await until(pilot, lambda: "Payload" in shown(app, "#text"))
        text = shown(app, "#text")
        assert "Permanent" in text
        assert "[bold]markup[/bold]" in text
        assert "\x1b" not in text
        await pilot.press("escape")
        assert isinstance(app.screen, ClusterScreen)
        await pilot.press("escape")
        await pilot.press("q")


async def test_changes_by_others_appear_and_the_cursor_stays_on_its_cluster(full, path):
    store, worker = full
    app = InspectorApp(str(path))
    async with app.run_test(size=(120, 30)) as pilot:
        table = app.query_one("#clusters", DataTable)
        await until(pilot, lambda: table.row_count == 2)
        await pilot.press("j")
        here = table.coordinate_to_cell_key(table.cursor_coordinate).row_key
        store.record_many((name, 1) for name in "ccc")
        worker.run(until_idle=True)
        await until(pilot, lambda: table.row_count == 3)
        assert table.coordinate_to_cell_key(table.cursor_coordinate).row_key == here
        assert "DEAD 6" in shown(app, "#health")


async def test_a_missing_store_is_waited_for(path):
    app = InspectorApp(str(path))
    async with app.run_test() as pilot:
        await until(pilot, lambda: "there is no store" in shown(app, "#notice"))
        with Store.open(path) as store:
            store.record("a")
        await until(pilot, lambda: "1 event " in shown(app, "#health"))


async def test_the_tour_leaves_the_files_bytes_as_they_are(full, path):
    store, _ = full
    store.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    app = InspectorApp(str(path))
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.screen.query_one("#clusters", DataTable).row_count == 2)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ClusterScreen) and app.screen.query(DataTable))
        await pilot.press("r")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
