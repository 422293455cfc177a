"""Events with a side: masked values as columns, the newest failed attempt, tabs, the head of a cluster."""

import re

import pytest

from failaware import Handlers, Inspector, Permanent, Retry, Store, Worker
from failaware.model import Attempt, EventSummary
from failaware.model.patterns import MaskedEvent
from failaware.text import cells
from tests.conftest import START
from tests.sizes import sized
from tui.columns import Context, cluster_event_columns
from tui.details import TABS
from tui.event_texts import chosen, failure
from tui.masked_values import MaskedColumns, named
from tui.routes import ToEvents
from tui.screens.events import EventsScreen
from tui.widgets.cluster_head import ClusterHead

from .helpers import gone, inspecting, loaded, rows, screen_text, shows, side_text, until

LONG = "caused by\n" + "\n".join(f"line {n} of a long message, such as those of Java and SQL" for n in range(40))


@pytest.fixture
def recovering(path, clock):
    """Seven events of one cluster: 1 to 6 recovered on the second attempt, each from a host; 7 has not been tried."""
    handlers = Handlers()

    @handlers.on("pay", retry=Retry(max_attempts=5, base=60, jitter=0))
    def pay(event):
        if event.attempt_no == 1 or event.payload.get("fails"):
            raise ConnectionError(f"10.0.0.{event.event_id} refused after 5 s ({LONG})")

    with Store.open(path, clock=clock) as store:
        worker = Worker(store, handlers)
        store.record_many(("pay", {"n": n}) for n in range(6))
        for _ in range(2):
            worker.run(until_idle=True, patience=0)
            clock.advance(90)
        store.record("pay", {"fails": True})
        yield store, worker


async def open_cluster(pilot, count):
    await loaded(pilot, 1)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
    await loaded(pilot, count)


@pytest.mark.parametrize("size", sized([(160, 45)], [(160, 45), (80, 24), (60, 18)]))
async def test_in_a_cluster_that_recovers_the_newest_failed_attempt_is_shown(recovering, path, clock, size):
    async with inspecting(path, size, clock) as pilot:
        await open_cluster(pilot, 6)
        await shows(pilot, "ConnectionError: 10.0.0.6 refused", "attempt 1 of 2, the newest failed one")
        assert "attempt 2 succeeded  (1 min ago)" in side_text(pilot)
        assert "Traceback (most recent call last):" in side_text(pilot)
        await pilot.press("J")
        await shows(pilot, "It succeeded.", "attempt 2 of 2")
        await pilot.press("j")
        await shows(pilot, "ConnectionError: 10.0.0.5 refused")


@pytest.mark.parametrize("differs", [True, False])
async def test_no_control_of_a_message_is_in_a_title_or_the_head(path, clock, differs):
    handlers = Handlers()

    @handlers.on("pay")
    def pay(event):
        number = event.event_id if differs else 17
        raise Permanent(f"order {number}\n\t\x1b[2Jof {event.event_id} s \x1b]0;x\x07")

    with Store.open(path, clock=clock) as store:
        store.record_many(("pay", n) for n in range(3))
        Worker(store, handlers).run(until_idle=True, patience=0)
    async with inspecting(path, (160, 45), clock) as pilot:
        await open_cluster(pilot, 3)
        head = pilot.app.screen.query_one(ClusterHead)
        titles = [column.title for column in rows(pilot).columns]
        await until(pilot, lambda: "order" in str(head.parts))
        shown = "".join([*titles, *(text for text, _ in head.parts if text != "\n")])
        assert "<" in shown
        assert [char for char in shown if not char.isprintable()] == []


async def test_a_long_message_leaves_the_counts_and_the_traceback_in_sight(recovering, path, clock):
    async with inspecting(path, (160, 30), clock) as pilot:
        await open_cluster(pilot, 6)
        await shows(pilot, "Resolved: 0 of 6 events unresolved", "100 % recovered", "6 in the last hour, peak 6/h")
        await shows(pilot, "the whole message is at the end of the traceback", "in pay")
        assert pilot.app.screen.query_one(ClusterHead).size.height == 4
        assert "line 39 of a long message" in side_text(pilot)


async def test_masked_values_that_differ_are_columns_and_others_are_in_the_head(recovering, path, clock):
    _, worker = recovering
    async with inspecting(path, (160, 45), clock) as pilot:
        await open_cluster(pilot, 6)
        await shows(pilot, "<ip>", "<duration> 5 s")
        assert [column.title for column, _ in rows(pilot).fitting][-1] == "<ip>"
        assert [pilot.app.screen._masked.values[number]["<ip>"] for number in (6, 1)] == ["10.0.0.6", "10.0.0.1"]
        await pilot.press("G")
        here = rows(pilot).current_key
        worker.run(until_idle=True, patience=0)  # event 7 fails
        await shows(pilot, "1 new above (.)", "6/6")
        assert rows(pilot).current_key == here
        await pilot.press("full_stop")
        await until(pilot, lambda: "10.0.0.7" in rows(pilot).render_line(1).text)
        clock.advance(300)
        await shows(pilot, "overdue 4 min")


async def test_the_tabs_are_chosen_by_keys_and_the_mouse_and_only_one_is_read(full, path, clock):
    async with inspecting(path, (160, 45), clock) as pilot:
        await loaded(pilot, 2)
        pilot.app.push_screen(EventsScreen(where="id:1"))
        await shows(pilot, "attempt 3 of 3")
        screen, asked = pilot.app.screen, []
        read = pilot.app.reader.follow
        pilot.app.reader.follow = lambda listener, name, ask, **how: (
            asked.append(name),
            read(listener, name, ask, **how),
        )
        texts = ("Traceback", '"currency": "EUR"', "Rules, in order", "events failed with it", "What happened")
        for number, text in enumerate(texts, 1):
            await pilot.press(str(number))
            await shows(pilot, text)
            assert screen.tab == TABS[number - 1]
        assert asked == ["detail"] * 4, "a payload never changes"
        for x, tab in ((4, "failure"), (20, "payload"), (30, "why"), (38, "impact"), (48, "history")):
            await pilot.click("#side", offset=(x, 0))
            await until(pilot, lambda tab=tab: screen.tab == tab)
        await pilot.press("5")  # the same key again leads back
        await shows(pilot, "Traceback")


@pytest.mark.large
async def test_an_event_leads_to_its_cluster(full, path, clock):
    async with inspecting(path, (100, 30), clock) as pilot:
        await loaded(pilot, 2)
        await pilot.press("e")
        await loaded(pilot, 9)
        await pilot.press("u")
        await shows(pilot, "This event has no other cluster.")
        await pilot.press("G", "u")
        await shows(pilot, "› payment.capture #", "3 of 3 events unresolved")
        await pilot.press("u")
        await shows(pilot, "This event has no other cluster.")


async def test_the_place_of_a_match_is_in_the_border_and_escape_leads_back_by_steps(full, path, clock):
    async with inspecting(path, (100, 30), clock) as pilot:
        await loaded(pilot, 2)
        pilot.app.push_screen(EventsScreen(where="id:1"))
        await shows(pilot, "attempt 3 of 3")
        await pilot.press("tab", "slash", *"gateway", "enter")
        await shows(pilot, "'gateway' 1/2 n N")
        await pilot.press("z")
        await until(pilot, lambda: pilot.app.screen.is_zoomed)
        await pilot.press("escape")
        await until(pilot, lambda: rows(pilot).has_focus and rows(pilot).display)
        await pilot.press("v")
        await until(pilot, lambda: "1 Failure" not in screen_text(pilot.app))
        await pilot.press("w")
        await shows(pilot, "Rules, in order")


def event(number=12_345, **others):
    fields = dict.fromkeys(EventSummary._fields, 0) | {"event_type": "payment.webhook.adyen.notify", "severity": None}
    fields |= {"sync_status": "FAILED", "event_id": number, "last_error_type": "a.b.E", "last_error": "x" * 300}
    return EventSummary(**fields | {"last_failed_at": START, "due_at": START} | others)


async def test_the_last_error_and_the_event_type_are_readable_at_every_width(path):
    async with inspecting(path, (60, 30)) as pilot:
        pilot.app.push_screen(EventsScreen())
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen) and rows(pilot).size.width > 0)
        listed = rows(pilot)
        for width in sized([60, 80, 140, 160], [60, 80, 96, 100, 139, 140, 160, 200, 300]):
            await pilot.resize_terminal(width, 30)
            await until(pilot, lambda width=width: pilot.app.screen.size.width == width)
            listed.window.hold([event(n) for n in (1, 12_345)])
            listed.show(Context(START, {}))
            line = listed.render_line(1).text
            assert cells(line) == listed.size.width
            assert line.count("x") >= (28 if listed.size.width > 100 else 20 if width >= 80 else 10), line
            assert "payment.webhook.adyen.notify" in line or listed.size.width < 70


def test_of_many_masked_values_those_that_fit_are_columns():
    columns = cluster_event_columns(["<a>", "<b>", "<c>", "<d>"])
    assert [column.title for column in columns][-4:] == ["<a>", "<b>", "<c>", "last error"]
    assert cluster_event_columns(())[-1].drop == 0


def test_masked_values_are_known_by_event_until_it_fails_again():
    masked = MaskedColumns()
    events = [event(1), event(2)]
    assert masked.missing(events) == events
    parts = [[("<n>", str(n)), ("<n>", "9"), ("", "left out")] for n in (1, 2)]
    masked.take(events, [MaskedEvent(n, tuple(map(Part, own))) for n, own in enumerate(parts, 1)])
    assert masked.missing([*events, event(3), event(1, last_failed_at=START + 1)])[0].event_id == 3
    assert masked.values == {1: {"<n>": "1", "<n> 2": "9"}, 2: {"<n>": "2", "<n> 2": "9"}}
    assert (masked.varying(), masked.constant()) == (["<n>"], {"<n> 2": "9"})


class Part:
    def __init__(self, pair):
        self.placeholder, self.text = pair


def test_parts_are_named_by_their_placeholders():
    assert named(tuple(map(Part, [("<n>", "1"), ("<ip>", "a"), ("<n>", "2")]))) == {
        "<n>": "1",
        "<ip>": "a",
        "<n> 2": "2",
    }


def attempt(number, cluster, **others):
    failed = None if cluster is None else "E"
    fields = dict.fromkeys(Attempt._fields) | {"attempt_no": number, "cluster_id": cluster, "error_type": failed}
    return Attempt(**fields | {"finished_at": START, "started_at": START, "outcome": "FAILED", "worker": "w"} | others)


@pytest.mark.parametrize(
    ("clusters", "of", "number", "expected"),
    [
        ((1, 1, 2, None), 1, None, 2),
        ((1, 1, 2, None), None, None, 3),
        ((1, 1, 2, None), 9, None, 3),
        ((1, 1, 2, None), 1, 4, 4),
        ((None, None), 1, None, 2),
        ((), 1, None, None),
    ],
)
def test_the_attempt_that_is_shown(clusters, of, number, expected):
    attempts = tuple(attempt(at, cluster) for at, cluster in enumerate(clusters, 1))
    shown = chosen(attempts, of, number)
    assert (shown and shown.attempt_no) == expected


def test_of_very_many_attempts_the_newest_are_listed(full, path):
    with Inspector.open(path) as inspector:
        one = inspector.event(1)
    many = one._replace(attempts=tuple(attempt(number, 1, error_message="m") for number in range(1, 101)))
    texts = [line.text for line in failure(many, many.attempts[-1], START, fold=True)]
    assert "  … 70 earlier attempts" in texts
    assert texts[-1].startswith("▸ 100")


async def test_where_nothing_has_a_severity_no_key_explains_one(full, path, clock):
    async with inspecting(path, (100, 30), clock) as pilot:
        await loaded(pilot, 2)
        await shows(pilot, "w Why")
        for key, text in (("d", "Retries due"), ("D", "What changed")):
            await pilot.press(key)
            await shows(pilot, text)
            await gone(pilot, "w Why")
            await pilot.press("w", "escape")
            await shows(pilot, "w Why")


async def test_the_history_of_a_cluster_has_its_corrections(path, clock):
    failures = {"disk": "disk is full", "space": "no space left here", "hosts": "lost 5 hosts of ours"}
    handlers = Handlers()

    @handlers.on("pay", retry=Retry(max_attempts=1))
    def pay(event):
        raise OSError(failures[event.payload])

    with Store.open(path, clock=clock) as store:
        store.record_many(("pay", name) for name in failures)
        Worker(store, handlers).run(until_idle=True)
        with Inspector.open(path) as inspector:
            ids = {cluster.template: cluster.cluster_id for cluster in inspector.clusters()}
        disk, space, hosts = (ids[name] for name in ("disk is full", "no space left here", "lost <n> hosts of ours"))
        (merge,) = store.merge_clusters([disk, space], because="both are the disk", by="ada")
        store.split_cluster(hosts, split_by="<n>", because="each number is another", by="ada")
        async with inspecting(path, (160, 45), clock) as pilot:
            await loaded(pilot, 2)
            pilot.app.open(ToEvents(cluster_id=disk, event_type="pay", tab="history"))
            merged = f"MERGE of #{str(space)[:7]} into #{str(disk)[:7]}"
            await shows(pilot, f"{merged} by ada: both are the disk")
            store.undo_correction(merge, because="they are not", by="bob")
            await shows(pilot, f"{merged} (undone) by ada", f"UNDO of correction {merge} by bob: they are not")
            split = f"SPLIT of #{str(hosts)[:7]} by <n> by ada: each number is another"
            with Inspector.open(path) as inspector:
                other = next(cluster for cluster in inspector.clusters() if "[<n>=5]" in cluster.template)
            pilot.app.open(ToEvents(cluster_id=other.cluster_id, event_type="pay", tab="history"))
            await shows(pilot, split)
            pilot.app.open(ToEvents(cluster_id=other.cluster_id, event_type="pay", tab="why"))
            await shows(pilot, "Grouped by the message, split by <n>")


def test_the_next_attempt_of_an_earlier_one_is_in_the_past(full, path):
    with Inspector.open(path) as inspector:
        one = inspector.event(1)
    waits = attempt(1, 1, error_message="m", retry_at=START + 60, retry_reason="attempt 1 of 3")
    for now, words in ((START, "next attempt 20"), (START + 61, "next attempt was due 20")):
        texts = [line.text for line in failure(one._replace(attempts=(waits,)), waits, now, fold=True)]
        assert [text for text in texts if text.startswith(words)], texts


@pytest.mark.parametrize("width", [80, 100])
async def test_what_to_do_next_is_wrapped_and_not_cut(full, path, clock, width):
    def words():
        return " ".join(re.sub("[┃│]", " ", screen_text(pilot.app)).split())

    async with inspecting(path, (width, 24), clock) as pilot:
        await loaded(pilot, 2)
        step = "next step requeue (c) or dismiss (C) the dead event once the cause is fixed"
        await until(pilot, lambda: step in words(), 5)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
        step = "next step: requeue or dismiss the dead event (c, C in the list of clusters) once the cause is fixed"
        await until(pilot, lambda: step in words(), 5)
