"""Reports over several stores on the command line: ids, a store that does not answer, and one on another host."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from failaware import Inspector, Store
from failaware.cli.main import main
from failaware.errors import FailawareError, FilterError, NotFound, StoreError
from failaware.federation import open_stores, ssh
from failaware.federation.inspector import Federation, FederationAsOf
from failaware.federation.part import Part
from failaware.federation.patterns import FederatedPatterns
from failaware.federation.places import StorePlace
from failaware.federation.questions import ANSWERS, Questions
from failaware.federation.wire import decoded, line, parsed
from failaware.model.stores import StoreId
from failaware.read.inspector import AsOfInspector
from failaware.read.patterns import Patterns
from tests import processes
from tests.conftest import HOUR, Clock
from tests.sizes import sized
from tests.worker.helpers import eventually

WORDS = ("amber", "birch", "cedar", "dahlia", "elder", "fern", "ginkgo", "hazel", "iris", "juniper")


@pytest.fixture
def stores(tmp_path):
    """Three files: one event fails alike in each, and each has one of its own."""
    places = [StorePlace(name, str(tmp_path / f"{name}.db")) for name in ("one", "two", "three")]
    clock = Clock()
    for place in places:
        with Store.open(place.place, synchronous="NORMAL", clock=clock) as store:
            for kind, error in (("pay", "no route to the bank"), (place.name, f"{place.name} is broken")):
                clock.advance(1)
                with suppress(ValueError), store.attempt(kind):
                    raise ValueError(error)
    return places


@pytest.fixture
def away(tmp_path, monkeypatch):
    """A stand-in for ssh, which runs the command on this host."""
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f"#!/bin/sh\nfor last; do :; done\nPATH={Path(sys.executable).parent}:$PATH\n"
        'echo "Welcome to $0"\nexec sh -c "$last"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    return lambda place: f"ssh://web1{place}"


def several(places):
    return [word for place in places for word in ("--db", place.place)]


def printed(capsys, *words):
    status = main(list(words))
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def test_the_same_failure_in_three_stores_is_one_row_with_its_stores(stores, capsys):
    status, out, _ = printed(capsys, *several(stores), "clusters", "--json")
    pay = next(cluster for cluster in json.loads(out) if cluster["event_type"] == "pay")
    assert (status, pay["events"], pay["severity"]) == (0, 3, "HIGH")
    assert [part["store"] for part in pay["stores"]] == ["one", "three", "two"]
    assert {part["episodes"] for part in pay["stores"]} == {1}
    assert "one, three, two" in printed(capsys, *several(stores), "clusters")[1]
    assert "In each store" in printed(capsys, *several(stores), "cluster", str(pay["cluster_id"]))[1]


def test_ids_name_their_store(stores, capsys):
    status, out, _ = printed(capsys, *several(stores), "events", "--json", "store:one,two")
    assert (status, [event["event_id"] for event in json.loads(out)]) == (0, ["2@two", "1@two", "2@one", "1@one"])
    assert printed(capsys, *several(stores), "event", "2@two")[1].startswith("event 2@two  two")
    assert json.loads(printed(capsys, *several(stores), "events", "id:1@one", "--json")[1])[0]["event_id"] == "1@one"
    assert (
        json.loads(printed(capsys, *several(stores), "events", "-id:1@one", "!store:t*", "--json")[1])[0]["event_id"]
        == "2@one"
    )
    assert printed(capsys, *several(stores), "explain", "event/2@two")[1].startswith("event 2@two  HIGH")
    for words, says in (
        (["event", "2"], "'2' names no store; write NUMBER@STORE"),
        (["event", "2@four"], "STORE is one of one, two, three"),
        (["event", "9@one"], "there is no event 9"),
        (["events", "store:four"], "there is no store 'four'; there are one, two, three"),
        (["events", "id:1@four"], "there is no store 'four'; there are one, two, three"),
        (["clusters", "cluster:1@four"], "there is no store 'four'"),
        (["events", "last:7@one"], "there is no cluster 7@one; write DIGITS@STORE"),
        (["cluster", "7@four"], "there is no cluster 7@four"),
        (["explain", "cluster/7@one"], "there is no cluster 7@one"),
        (["attempt", "1@four"], "STORE is one of one, two, three"),
        (["events", "--before", "1@four"], "STORE is one of one, two, three"),
        (["dismiss", "1", "--because", "seen"], "dismiss works on one store, not on 3"),
    ):
        status, _, err = printed(capsys, *several(stores), *words)
        assert (status, says in err) == (2, True), err
    status, _, err = printed(capsys, "--db", stores[0].place, "event", "2@one")
    assert (status, "there is one store" in err) == (2, True)


def test_a_cluster_is_named_by_its_id_in_a_store(stores, capsys):
    with Inspector.open(stores[0].place) as inspector:
        own = str(inspector.clusters("type:pay")[0].cluster_id)
    for words in (
        ("cluster", f"{own[:9]}@one", "--json"),
        ("clusters", f"cluster:{own}@one", "--json"),
        ("explain", f"cluster/{own}@one", "--json"),
    ):
        status, out, _ = printed(capsys, *several(stores), *words)
        assert (status, own in out) == (0, True)
    assert (
        json.loads(printed(capsys, *several(stores), "clusters", f"cluster:{own}@one", "--json")[1])[0]["events"] == 3
    )
    for field in ("cluster", "last"):
        events = json.loads(printed(capsys, *several(stores), "events", f"{field}:{own[:9]}@two", "--json")[1])
        assert [event["event_id"] for event in events] == ["1@three", "1@two", "1@one"]


def test_what_does_not_answer_is_a_line_and_an_exit_status(stores, capsys):
    missing = ["--db", stores[0].place + "x"]
    status, out, _ = printed(capsys, *several(stores), *missing, "health")
    assert status == 4
    assert out.startswith("one, two, three, one-2  6 events  3 of 4 stores")
    assert "one-2 does not answer: there is no store at" in out
    status, out, err = printed(capsys, *several(stores), *missing, "severity", "--json")
    assert (status, json.loads(out)["events"]["HIGH"], "does not answer" in err) == (4, 6, True)
    status, _, err = printed(capsys, *missing, "--db", "other.db", "health")
    assert (status, err.count("\n"), "none of the stores answers" in err) == (2, 1, True)


def test_a_store_that_hangs_delays_the_others_once_and_is_back_when_it_answers(stores, monkeypatch):
    answers = threading.Event()
    opened = Part._open

    def slow(part):
        if part.name == "two":
            answers.wait(30)
        return opened(part)

    monkeypatch.setattr(Part, "_open", slow)
    began = time.monotonic()
    with closing(open_stores(stores, patience_s=0.2)) as federation:
        assert federation.health().total_events == 4
        assert time.monotonic() - began < 5
        (note,) = federation.connections.notes()
        assert note.startswith("two has not answered for ")
        token = federation.connections.change_token()
        answers.set()
        until = time.monotonic() + 20
        while federation.health().total_events < 6:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert federation.connections.notes() == []
        assert federation.connections.change_token() != token


def test_stores_that_all_take_long_to_open_are_waited_for(stores, monkeypatch):
    opened = Part._open

    def slow(part):
        time.sleep(0.3 + 0.1 * part.number)
        return opened(part)

    monkeypatch.setattr(Part, "_open", slow)
    with closing(open_stores(stores, patience_s=0.8)) as federation:
        assert (federation.health().total_events, federation.connections.notes()) == (6, [])
    with closing(open_stores(stores[:1] * 2, patience_s=0.01)) as federation:
        assert federation.health().total_events >= 2
    with pytest.raises(StoreError, match="none of the stores answers"):
        open_stores(stores, patience_s=0.01, first_s=0.02)


def test_a_number_that_is_the_same_in_all_stores_asks_each_once_more(tmp_path):
    """Many stores have the same longest number of retries: that of the policy."""
    places = [StorePlace(f"s{number}", str(tmp_path / f"{number}.db")) for number in range(8)]
    clock = Clock()
    for place in places:
        with Store.open(place.place, synchronous="NORMAL", clock=clock) as store:
            for _ in range(2):
                store.report_attempt("pay", {}, key="k", error="ValueError: no", retry_at=clock.now + HOUR)
    asked = []
    submit = Part.submit
    with closing(open_stores(places, clock=clock)) as federation, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Part, "submit", lambda part, *args, **named: (asked.append(args[1]), submit(part, *args, **named))[1]
        )
        assert str(federation.health().most_retried.event_id) == "1@s7"
    assert (asked.count("health"), asked.count("events")) == (8, 24)


def test_a_store_that_answers_slowly_still_shows_its_changes(stores, monkeypatch):
    slow = Questions._token

    def token(questions, handle):
        time.sleep(0.15)
        return slow(questions, handle)

    monkeypatch.setattr(Questions, "_token", token)
    with closing(open_stores(stores)) as federation, Store.open(stores[1].place) as store:
        connections = federation.connections
        eventually(lambda: all(token is not None for _, token, _ in connections.change_token()))
        before = connections.change_token()
        store.record("new")
        eventually(lambda: connections.change_token() != before)
        assert connections.notes() == []


def test_words_that_only_all_stores_together_show_to_vary_are_one_cluster(tmp_path):
    places = [StorePlace(name, str(tmp_path / f"{name}.db")) for name in ("one", "two")]
    for number, place in enumerate(places):
        with Store.open(place.place, synchronous="NORMAL") as store:
            for word in WORDS[number::2]:
                store.report_attempt("pay", {}, error=f"ValueError: no route to {word} from here")
    with Inspector.open(places[0].place) as inspector:
        assert len(inspector.clusters()) == 5
    with closing(open_stores(places)) as federation:
        (cluster,) = federation.clusters()
        assert (cluster.template, cluster.events) == ("no route to <*> from here", 10)
        assert {event.cluster_id for event in federation.events(f"cluster:{cluster.cluster_id}")} == {
            cluster.cluster_id
        }
        assert len(federation.events(f"last:{str(cluster.cluster_id)[:9]}")) == 10
        own = cluster.stores[0].cluster_id
        assert federation.cluster(own).cluster_id == cluster.cluster_id  # the id in its store leads there


def test_a_store_on_another_host_answers_as_if_it_were_here(stores, away, capsys):
    mixed = [stores[0], StorePlace("web1", away(stores[1].place))]
    with closing(open_stores(stores[:2])) as here, closing(open_stores(mixed)) as there:
        for ask in (
            lambda i: i.health()._replace(oldest_unresolved=None, most_retried=None),
            lambda i: [cluster[:-1] for cluster in i.clusters()],
            lambda i: [(int(event.event_id), *event[1:]) for event in i.events(order="oldest")],
            lambda i: i.event(StoreId(1, 2, "web1"))[1:-2],
            lambda i: i.patterns.timeline(),
            lambda i: i.explain(f"cluster/{i.clusters()[0].cluster_id}").checks,
            lambda i: i.as_of(i.now()).health().total_events,
        ):
            assert ask(here) == ask(there)
        with pytest.raises(NotFound, match="there is no event 9"):
            there.event(StoreId(9, 2, "web1"))
        with pytest.raises(FilterError, match="there is no field 'sttus'"):
            there.events("sttus:DEAD")
    status, out, _ = printed(capsys, "--db", away(stores[1].place), "events", "--json")
    assert (status, json.loads(out)[0]["event_id"]) == (0, "2@web1")


HOSTILE = (0, -1, 2**53, 2**63 - 1, 2**63, 2**70, -(2**70), None, True, 1.5, "", "\ud800", "\x00", "1", [], {})


def falsified(answer, rng):
    """The answer with some of its values replaced."""
    if isinstance(answer, list):
        return [falsified(item, rng) for item in answer]
    if isinstance(answer, dict):
        return {name: falsified(item, rng) for name, item in answer.items()}
    return rng.choice(HOSTILE) if rng.random() < 0.05 else answer


@pytest.mark.parametrize("seed", range(sized(2, 80)))
def test_whatever_another_host_answers_the_stores_here_are_shown(stores, away, monkeypatch, seed):
    rng = random.Random(seed)
    parsed = ssh.parsed

    def hostile(text):
        message = parsed(text)
        kind = next((name for name in ("answer", "progress") if name in message), None)
        return message if kind is None else message | {kind: falsified(message[kind], rng)}

    monkeypatch.setattr(ssh, "parsed", hostile)
    mixed = [stores[0], StorePlace("web1", away(stores[1].place))]
    with closing(open_stores(mixed)) as federation, Inspector.open(stores[0].place) as here:
        for ask in QUESTIONS:
            ask(federation)
        with suppress(FailawareError):  # of a cluster that the other host has invented, or does not explain
            federation.explain(f"cluster/{federation.clusters()[0].cluster_id}")
        shown = {cluster.cluster_id: cluster.events for cluster in federation.clusters()}
        for cluster in here.clusters():
            assert shown[federation.cluster(cluster.cluster_id).cluster_id] >= cluster.events
        assert {str(event.event_id) for event in federation.events("store:one")} == {
            f"{event.event_id}@one" for event in here.events()
        }


QUESTIONS = (
    lambda i: i.health(),
    lambda i: i.severity(),
    lambda i: i.clusters("failed:24h.."),
    lambda i: i.events(),
    lambda i: i.events("status:DEAD", order="oldest"),
    lambda i: i.count_events(),
    lambda i: i.patterns.timeline(),
    lambda i: i.patterns.trends(),
    lambda i: i.patterns.corrections(),
    lambda i: i.connections.notes(),
    lambda i: i.connections.change_token(),
)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'ssh: connect to host web1: Connection refused' >&2; exit 255", "status 255: ssh: connect to host web1"),
        ("exit 127", "web1 has no failaware on the PATH"),
        ('echo \'{"failaware": "9.0", "protocol": 99}\'; cat', "failaware 9.0 on web1 and .* here cannot talk"),
        ("yes", "web1 sends no greeting of failaware; its shell must not print so much"),
        ('echo \'{"failaware": "0.0", "protocol": 0}\'; cat', "failaware 0.0 on web1 and .* upgrade the older one"),
        ('echo \'{"failaware": "0.0"\'; cat', "what arrived is not an answer"),
        ("echo 'argument COMMAND: there is no command answer' >&2; exit 2", "status 2: argument COMMAND: there is no"),
        ('echo \'{"failaware":"1","protocol":1}\'; echo \'{"answer":"x"}\'; cat', "not as the protocol declares"),
    ],
)
def test_another_host_that_does_not_answer_is_one_sentence(away, tmp_path, script, says):
    (tmp_path / "bin" / "ssh").write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(StoreError, match=says):
        open_stores([StorePlace("web1", away("/srv/x.db"))])


def test_every_answer_survives_the_wire(stores):
    questions = Questions(stores[0].place, None)
    with closing(questions):
        (cluster_id,) = {cluster.cluster_id for cluster in Inspector.open(stores[0].place).clusters("type:pay")}
        arguments = {
            **{question: [1] for question in ("runs", "event", "attempt")},
            **{question: [cluster_id] for question in ("transitions", "impact", "newest")},
            "explain": ["event/1"],
            "masked": [cluster_id, [1]],
            "aggregates": [-1],
            "boundary": ["event_log", 0, False],
            "overlaps": [[[cluster_id]]],
            "what_if_toml": ["multiple_events = 1", 10],
            "as_of": [2**60],
        }
        for question, kind in ANSWERS.items():
            if question not in {"leave", "move", "neighbour", "diff"}:
                named = {"facts": True} if question == "explain" else {}
                answer = questions.ask(0, question, arguments.get(question, []), named, lambda *_: None)
                assert decoded(parsed(line({"answer": answer}))["answer"], kind) == answer, question
        diff = questions.ask(1, "diff", [2**61], {}, lambda *_: None)
        assert decoded(parsed(line({"answer": diff}))["answer"], ANSWERS["diff"]) == diff


def test_no_question_is_left_to_a_single_store():
    """A method that Federation lacks would read a connection that it does not have."""
    own = {name for kind in Federation.__mro__ if "federation" in kind.__module__ for name in vars(kind)}
    for kind, answered, inherited in (
        (Inspector, own, {"open"}),
        (Patterns, set(vars(FederatedPatterns)), set()),
        (AsOfInspector, {*own, *vars(FederationAsOf)}, {"open"}),
    ):
        asked = {name for each in kind.__mro__[:-1] for name in vars(each) if not name.startswith("_")}
        assert asked - answered - inherited == set()


@pytest.mark.parametrize("value", [["x"], [1, 2], {"event_id": 1}, None, [[1, None, 3]], "42"])
def test_a_value_of_another_type_is_refused(value):
    with pytest.raises(StoreError, match="not as the protocol declares"):
        decoded(value, ANSWERS["health"])
    with pytest.raises(StoreError, match="not as the protocol declares"):
        decoded(value, ANSWERS["impact"])


def test_the_same_store_twice_is_a_note(stores, away, capsys):
    status, out, _ = printed(capsys, *several(stores[:1]), "--db", away(stores[0].place), "clusters")
    assert status == 0
    assert "one and web1 have the same failures; name one of them, unless they are different stores." in out
    assert "same failures" not in printed(capsys, *several(stores), "clusters")[1]


def test_a_single_store_says_what_is_for_several(stores, capsys):
    for words, says in (
        (["events", "store:one"], "'store:' chooses among several stores, and there is one"),
        (["requeue", "1@one", "--because", "seen"], "'1@one' names one of several stores; name its store with --db"),
    ):
        status, _, err = printed(capsys, "--db", stores[0].place, *words)
        assert (status, says in err) == (2, True), err


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty, not yet a failaware store"), (b"no database " * 500, "is not a SQLite database")],
)
def test_a_file_that_is_no_store_is_left_out_with_a_line(stores, tmp_path, capsys, content, says):
    (tmp_path / "odd.db").write_bytes(content)
    status, out, _ = printed(capsys, *several(stores), "--db", str(tmp_path / "odd.db"), "health")
    assert (status, f"odd does not answer: {tmp_path}/odd.db {says}" in out) == (4, True)


def test_fifty_stores_are_one(stores, tmp_path, capsys):
    places = []
    for number in range(50):
        places += ["--db", str(tmp_path / f"h{number}.db")]
        shutil.copy(stores[0].place, places[-1])
    status, out, _ = printed(capsys, *places, "clusters", "type:pay")
    assert (status, "50 stores" in out) == (0, True)


def test_ctrl_c_ends_a_report_while_a_store_does_not_answer(stores):
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        place = f"postgresql://x@127.0.0.1:{hangs.getsockname()[1]}/x"
        words = [sys.executable, "-m", "failaware", *several(stores), "--db", place, "health"]
        process = processes.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        connection, _ = hangs.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=30) == (b"", b"")
        assert process.returncode == 130


def test_verify_goes_through_the_stores(stores, capsys):
    status, out, _ = printed(capsys, *several(stores), "verify")
    assert (status, out.count("ok      facts")) == (0, 3)
    assert [line for line in out.splitlines() if line in {"one", "two", "three"}] == ["one", "two", "three"]
