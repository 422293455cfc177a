"""The filter: typed, completed, put in by keys, wrong, empty."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import Paste

from failaware.read.filter import CLUSTER_FIELDS, EVENT_FIELDS
from tui.filters import after, completions, value_of, with_value

from .helpers import filtered, gone, inspecting, loaded, rows, shows, until


async def test_typing_filters_and_escape_clears(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("slash", *"type:evil")
        await loaded(pilot, 1)
        await shows(pilot, "1 cluster")
        await pilot.press("enter")
        await until(pilot, lambda: rows(pilot).has_focus)
        await pilot.press("enter")
        await shows(pilot, "› evil")
        await pilot.press("escape")
        await shows(pilot, "type:evil")  # the filter is still there
        await pilot.press("slash", "escape")
        await loaded(pilot, 2)
        await gone(pilot, "type:evil")


async def test_a_wrong_filter_is_said_and_the_list_stays(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("slash")
        pilot.app.focused.post_message(Paste("tpye:evil"))  # at once: who rests in the middle asks for the word tpye
        await shows(pilot, "there is no field 'tpye'", "did you mean 'type'")
        assert len(rows(pilot).window.items) == 2


async def test_no_event_is_critical_and_the_empty_list_says_so(full, path, clock):
    async with inspecting(path, (100, 30), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("e")
        await loaded(pilot, 9)
        await pilot.press("s")
        await shows(pilot, "severity:CRITICAL", "No event matches this filter.", "Only clusters are CRITICAL")
        await pilot.press("s")
        await gone(pilot, "Only clusters")


async def test_a_filter_that_lets_nothing_through(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await filtered(pilot, "nosucherror")
        await shows(pilot, "No cluster matches this filter")
        await pilot.press("e")
        await loaded(pilot, 9)
        await filtered(pilot, "nosucherror")
        await shows(pilot, "No event matches this filter")


async def test_keys_put_severity_status_and_type_into_the_filter(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("e")
        await loaded(pilot, 9)
        await pilot.press("t", "t")
        await shows(pilot, "status:DEAD")
        await loaded(pilot, 3)
        await pilot.press("T")
        await shows(pilot, "status:DEAD type:evil")
        await loaded(pilot, 2)
        await pilot.press("T", "s", "s")
        await shows(pilot, "status:DEAD severity:HIGH", "3 events")
        await pilot.press("o")
        await until(pilot, lambda: rows(pilot).current_key == 1)
        await shows(pilot, "oldest first")


async def test_tab_completes_fields_and_values(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("slash", *"ty")
        await shows(pilot, "type:")
        await pilot.press("tab", *"pay")
        await shows(pilot, "type:payment.capture")
        await pilot.press("tab", "enter")
        await loaded(pilot, 1)


async def test_types_are_completed_also_when_the_filter_so_far_lets_nothing_through(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("slash", *"type:p")
        await shows(pilot, "0 clusters")
        await pilot.press("a")
        await shows(pilot, "type:payment.capture")


async def test_the_clusters_in_other_orders(full, path, clock):
    async with inspecting(path, clock=clock) as pilot:
        await loaded(pilot, 2)
        here = rows(pilot).current_key
        orders = set()
        for _ in range(7):
            await pilot.press("o")
            orders.add(tuple(cluster.cluster_id for cluster in rows(pilot).window.items))
            assert rows(pilot).current_key == here
        assert len(orders) == 2


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("st", "status:"),
        ("status:d", "status:DEAD"),
        ("x status:DEAD,f", "x status:DEAD,FAILED"),
        ("-sev", "-severity:"),
        ("type:a", "type:a.b"),
        ("nothing", None),
        ("", None),
        ("status:DEAD", None),
    ],
)
def test_completion(text, completed):
    assert next(iter(completions(text, clusters=False, types=("a.b",))), None) == completed


def test_a_key_goes_through_the_values_and_then_to_none():
    values = ("A", "B")
    assert [after(values, value) for value in (None, "A", "B", "other")] == ["A", "B", None, "A"]


words = st.lists(st.sampled_from(["status:DEAD", "type:x", '"two words"', "timeout", "-error:x", "since:2h"])).map(
    " ".join
)


@given(words, st.sampled_from(["status", "type", "severity"]), st.sampled_from(["HIGH", "a b", "x"]))
def test_a_value_put_in_is_there_once_and_taken_out_is_gone(text, field, value):
    put = with_value(text, field, value)
    assert put.count(f"{field}:") == 1
    assert value_of(put, field).strip('"') == value
    assert value_of(with_value(put, field, None), field) is None
    assert set(EVENT_FIELDS) >= {"status", "type", "severity"} <= set(CLUSTER_FIELDS)


async def test_escape_leads_out_of_a_filter_that_is_kept_and_nothing_explains_what_is_not_there(full, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 2)
        await shows(pilot, "next step")
        await filtered(pilot, "type:nothing")
        await shows(pilot, "No cluster matches this filter. Escape clears it.", "Back")
        await gone(pilot, "next step")
        await pilot.press("escape")
        await loaded(pilot, 2)
        await shows(pilot, "next step")
        await pilot.press("e")
        await loaded(pilot, 9)
        await shows(pilot, "by host:1")
        await filtered(pilot, "type:nothing")
        await shows(pilot, "No event matches this filter. Escape clears it.")
        await gone(pilot, "by host:1")
        await pilot.press("escape")
        await loaded(pilot, 9)
        await pilot.press("escape")
        await until(pilot, lambda: rows(pilot).id == "clusters")


async def test_escape_keeps_the_filter_with_which_a_list_was_opened(full, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.click(".of-DEAD")
        await loaded(pilot, 3)
        await pilot.press("T")
        await loaded(pilot, 2)
        await pilot.press("escape")
        await loaded(pilot, 3)
        await shows(pilot, "status:DEAD")
        await pilot.press("escape")
        await until(pilot, lambda: rows(pilot).id == "clusters")
