"""Every report and every screen over a hot standby and through PgBouncer: the same answers as of the primary.

A hot standby refuses every write, also to temporary tables. Behind a pooler in transaction mode each transaction may be
in another session.
"""

import asyncio
import contextlib
import json
import re

import pytest

from failaware import Inspector, Store
from failaware.cli.commands import COMMANDS
from failaware.cli.main import main
from failaware.clock import now_us
from tests.conftest import HOUR, Clock, query
from tests.servers import PGBOUNCER, a_server, a_standby_of, pgbouncer

from .helpers import filtered, inspecting, loaded, rows, screen_text, shows, until

pytestmark = [
    pytest.mark.large,
    pytest.mark.postgres,
    pytest.mark.skipif(PGBOUNCER is None, reason="needs PgBouncer"),
]
REPORTS = {
    "health": [""],
    "severity": ["", "--policy {policy}", "--exit-code HIGH"],
    "clusters": ["", "status:UNRESOLVED severity:LOW+", "failed:3h.. events:>1 -type:mail", "cluster:{cluster}"],
    "cluster": ["{cluster}"],
    "events": [
        "",
        "--limit 3 --before 9",
        "cluster:{cluster}",
        "last:{cluster} -key:k1",
        "status:DISMISSED",
        "since:2h",
    ],
    "event": ["1", "2", "9"],
    "attempt": ["1", "3"],
    "explain": ["event/2", "cluster/{cluster}"],
    "timeline": [""],
    "recovered": ["", "type:pay"],
    "due": [""],
    "diff": ["2h", "3h 1h"],
    "rejects": [""],
    "corrections": [""],
    "policy": [""],
}
OTHERS = ["export", "verify --facts-only"]  # they read, and are no reports
DIFFER = re.compile(r"as postgres,.*")  # how the store is read: first lines only
KEYS = [
    *("j", "w", "i", "d", "escape", "H", "escape", "D", "escape"),
    *("e", "j", "enter", "2", "3", "4", "5", "1", "escape", "escape"),
    *("s", "s", "escape", "a", "<", ">", "a"),
]


@pytest.fixture(scope="module")
def now():
    """The clock of all readers, who would read the server's."""
    clock = Clock()
    clock.now = now_us() - 5 * HOUR
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("failaware.federation.inspector.now_us", clock)
        opened = Inspector.open.__func__
        patch.setattr(
            Inspector, "open", classmethod(lambda of, path, **named: opened(of, path, **{**named, "clock": clock}))
        )
        yield clock


@pytest.fixture(scope="module")
def places(now, tmp_path_factory):
    """The URLs of a store on its primary, on a standby, and behind a pooler, and the words of arguments."""
    folder = tmp_path_factory.mktemp("servers")
    with a_server() as server:
        with Store.open(server.url("s"), clock=now) as store:
            words = live(store, now, folder)
        (folder / "bad.jsonl").write_text('{"type": "mail", "error": "ValueError: no"}\n{"type": 5\n')
        main(["--db", server.url("s"), "ingest", str(folder / "bad.jsonl")])
        now.now = now_us()
        with a_standby_of(server) as standby, pgbouncer(server, "transaction") as pooled:
            urls = {
                "primary": server.url("s"),
                "standby": standby.url("s"),
                "pooler": server.url("s").replace(f"host={server.folder}", pooled),
            }
            yield urls, words


def live(store, clock, folder):
    """Something of everything: retries, recoveries, a merge, a split, decisions, an erasure; the words that name it."""
    for number in range(24):
        clock.advance(600)
        error = f"ValueError: order {number} is odd" if number % 3 else "OSError: the disk is full"
        retry_at = clock.now + HOUR if number % 4 == 0 else None
        store.report_attempt(
            "pay" if number % 2 else "mail", {"n": number}, key=f"k{number}", error=error, retry_at=retry_at
        )
        if number % 5 == 0:
            store.report_attempt("pay" if number % 2 else "mail", {}, key=f"k{number}")
    store.record("waiting")
    store.dismiss([2], because="seen")
    store.requeue([4], because="repaired")
    ids = query(store, "SELECT cluster_id FROM failure_cluster WHERE event_type = 'pay' ORDER BY failures DESC")
    store.merge_clusters([cluster_id for (cluster_id,) in ids], because="one", by="ada")
    store.erase([6], because="private", by="ada")
    clock.advance(60)
    (folder / "policy.toml").write_text("multiple_events = 1\n")
    return {"cluster": str(ids[0][0]), "policy": str(folder / "policy.toml")}


def test_the_table_of_reports_is_that_of_the_command_line():
    assert REPORTS.keys() == {name for name, command in COMMANDS.items() if hasattr(command.load(), "ask")}


def printed(capsys, place, *words):
    status = main(["--db", place, *words])
    shown = capsys.readouterr()
    return status, DIFFER.sub("", shown.out).replace(place, "PLACE"), shown.err.replace(place, "PLACE")


@pytest.mark.parametrize("other", ["standby", "pooler"])
@pytest.mark.parametrize("words", [f"{name} {args}".strip() for name, all_args in REPORTS.items() for args in all_args])
def test_every_report_is_the_same(places, other, words, capsys):
    urls, named = places
    plain = words.format(**named).split()
    forms = [[], ["--json"]]
    if "as_of" in getattr(COMMANDS[plain[0]].load(), "OPTIONS", ("as_of",)):
        forms += [["--as-of", "1h"], ["--as-of", "1h", "--json"]]
    for form in forms:
        expected = printed(capsys, urls["primary"], *plain, *form)
        assert expected[0] in (0, 1), expected
        assert printed(capsys, urls[other], *plain, *form) == expected


@pytest.mark.parametrize("other", ["standby", "pooler"])
@pytest.mark.parametrize("words", OTHERS)
def test_what_else_reads_is_the_same(places, other, words, capsys):
    urls, _ = places
    expected, answer = (printed(capsys, urls[place], *words.split()) for place in ("primary", other))
    if words.startswith("verify"):  # it cannot look at the tables' definitions there, and says so
        assert (expected[0], answer[0]) == (0, 1)
        assert "could not be verified" in answer[1]
        expected, answer = ([line for line in out.splitlines() if " facts" in line] for _, out, _ in (expected, answer))
    assert answer == expected


@pytest.mark.parametrize("other", ["standby", "pooler"])
def test_several_stores_are_the_same(places, other, capsys):
    urls, named = places
    for words in ("health", "clusters", "events", f"cluster {named['cluster']}", "diff 2h", "events --as-of 1h"):
        both = [["--db", urls[place], "--db", "nowhere.db", *words.split(), "--json"] for place in ("primary", other)]
        answers = []
        for line in both:
            assert main(line) == 4
            answers.append(json.loads(capsys.readouterr().out))
        assert answers[0] == answers[1]


async def tour(place):
    """The text of each screen on a way through the inspector."""
    screens = []
    async with inspecting(place, (160, 45)) as pilot:
        await loaded(pilot, 4)
        for key in KEYS:
            await pilot.press(key)
            await settled(pilot)
            screens.append(DIFFER.sub("", "\n".join(screen_text(pilot.app).splitlines()[1:])))
    return screens


async def settled(pilot):
    """Wait until all questions are answered and all is shown."""
    reader, quiet, before = pilot.app.reader, 0, ""
    while quiet < 5:
        await pilot.pause()
        text = screen_text(pilot.app)
        is_quiet = text == before and not reader._waiting and reader._asked is None and not pilot.app.moment.busy
        quiet, before = quiet + 1 if is_quiet else 0, text
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("other", ["standby", "pooler"])
async def test_every_screen_is_the_same(places, other):
    urls, _ = places
    expected, screens = await tour(urls["primary"]), await tour(urls[other])
    for key, one, another in zip(KEYS, expected, screens, strict=True):
        assert another == one, key


async def test_the_inspector_follows_what_the_primary_writes(now):
    with a_server() as server, Store.open(server.url("s"), clock=now) as store:
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
                await until(pilot, lambda: len(rows(pilot).window.items) > 0)
                await pilot.press("escape", "escape")
                await shows(pilot, "DISMISSED 1")
