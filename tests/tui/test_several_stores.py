"""The inspector over several stores: rows, ids, a store that does not answer, decisions, time travel."""

from contextlib import suppress

import pytest

from failaware import Store
from failaware.cli.main import main
from failaware.federation import StorePlace
from tests.conftest import query
from tui.screens.events import EventsScreen

from .helpers import filtered, inspecting, loaded, rows, shows, until


@pytest.fixture
def stores(tmp_path, clock):
    places = [StorePlace(name, str(tmp_path / f"{name}.db")) for name in ("one", "two", "gone")]
    for place in places[:2]:
        with Store.open(place.place, synchronous="NORMAL", clock=clock) as store:
            for kind in ("pay", "pay", place.name):
                clock.advance(1)
                with suppress(ValueError), store.attempt(kind):
                    raise ValueError(f"{kind} is broken")
    return places


async def test_several_stores_are_one_list_and_what_does_not_answer_is_a_line(stores, clock):
    async with inspecting("one, two, gone", (160, 45), clock=clock, stores=stores) as pilot:
        await loaded(pilot, 3)
        await shows(pilot, "pay is broken", "one, two", "DEAD 6", "● live 2 of 3 stores")
        await shows(pilot, "gone does not answer: there is no store at", "it is left out")
        with Store.open(stores[2].place, clock=clock) as store, suppress(ValueError), store.attempt("pay"):
            raise ValueError("pay is broken")
        await shows(pilot, "DEAD 7", "● live 3 stores", "3 stores")
        await pilot.press("e")
        await loaded(pilot, 7)
        await shows(pilot, "1@gone", "3@two", "1@one")
        await filtered(pilot, "store:one,two type:pay")
        await loaded(pilot, 4)
        assert [str(event.event_id) for event in rows(pilot).window.items] == ["2@two", "1@two", "2@one", "1@one"]
        await pilot.press("enter")
        await shows(pilot, "2@two", "ValueError")
        await pilot.press("colon", *"1", "at", *"one", "enter")
        await shows(pilot, "id:1@one")
        await loaded(pilot, 1)


async def typed(pilot, text):
    await pilot.press("colon", *({" ": "space", "@": "at"}.get(key, key) for key in text), "enter")


async def test_one_goes_to_events_and_clusters_by_ids_of_a_store(stores, clock):
    with Store.open(stores[1].place) as store:
        ((own,),) = query(store, "SELECT cluster_id FROM failure_cluster WHERE event_type = 'two'")
    async with inspecting("one, two", (160, 45), clock=clock, stores=stores[:2]) as pilot:
        await loaded(pilot, 3)
        await pilot.press("colon")
        await shows(pilot, "event 42@one · cluster 4195")
        await pilot.press("escape")
        await typed(pilot, "event 3@two")
        await shows(pilot, "id:3@two", "two is broken")
        await pilot.press("escape", "escape")
        await typed(pilot, f"cluster {str(own)[:9]}@two")
        await until(pilot, lambda: getattr(pilot.app.screen, "cluster_id", None) == own)
        await pilot.press("escape")
        for words, says in (
            ("event 3@three", "STORE is one of one, two"),
            ("event 3", "'3' names no store"),
            ("event 9@two", "there is no event 9"),
            ("cluster 4@three", "there is no cluster 4@three; write DIGITS@STORE"),
        ):
            await typed(pilot, words)
            await until(pilot, lambda says=says: any(says in note.message for note in pilot.app._notifications))


async def test_the_filter_completes_the_names_of_stores(stores, clock):
    async with inspecting("one, two", (160, 45), clock=clock, stores=stores[:2]) as pilot:
        await loaded(pilot, 3)
        await pilot.press("slash", *"sto", "tab")
        bar = pilot.app.screen.bar
        assert bar.typed == "store:"
        assert bar.completions("store:") == ["store:one", "store:two"]
        assert bar.completions("x -store:one,t") == ["x -store:one,two"]
        await pilot.press("tab")
        await shows(pilot, "one is broken")
        await loaded(pilot, 2)


async def test_new_events_of_any_store_wait_above(stores, clock):
    async with inspecting("one, two", (160, 45), clock=clock, stores=stores[:2]) as pilot:
        await loaded(pilot, 3)
        await pilot.press("e")
        await loaded(pilot, 6)
        clock.advance(1)
        with Store.open(stores[0].place, clock=clock) as store:
            store.record("new")
        await shows(pilot, "1 new above")
        assert len(rows(pilot).window.items) == 6
        await pilot.press("full_stop")
        await loaded(pilot, 7)
        assert str(rows(pilot).window.items[0].event_id) == "4@one"


@pytest.mark.large
async def test_a_copied_decision_names_the_store_of_its_event_and_all_of_a_cluster(stores, clock):
    async with inspecting("one, two", (160, 45), clock=clock, stores=stores[:2]) as pilot:
        await loaded(pilot, 3)
        await filtered(pilot, "type:pay")
        await loaded(pilot, 1)
        await pilot.press("c")
        one, two = pilot.app.clipboard.split(" && ")
        assert one.startswith(f"failaware --db {stores[0].place} requeue --cluster ")
        assert two.startswith(f"failaware --db {stores[1].place} requeue --cluster ")
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        await loaded(pilot, 6)
        await pilot.press("c")
        assert pilot.app.clipboard == f"failaware --db {stores[1].place} requeue 3 --because ''"
        await pilot.press("y", "i")
        assert pilot.app.clipboard == "3@two"
    assert main(["--db", stores[1].place, "requeue", "3", "--because", "repaired"]) == 0
    with Store.open(stores[1].place) as store:
        assert query(store, "SELECT event_id FROM decision_log") == [(3,)]


@pytest.mark.large
async def test_time_travel_moves_all_stores(stores, clock):
    clock.advance(7_200)
    async with inspecting("one, two", (160, 45), clock=clock, stores=stores[:2]) as pilot:
        await loaded(pilot, 3)
        await pilot.press("a")
        await until(pilot, lambda: pilot.app.moment.at is not None and not pilot.app.moment.busy)
        await pilot.press("less_than_sign")
        await until(pilot, lambda: not pilot.app.moment.busy)
        await shows(pilot, "AS OF")
        await pilot.press("a")
        await until(pilot, lambda: pilot.app.moment.at is None)
        await shows(pilot, "● live", "DEAD 6")
