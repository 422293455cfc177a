"""What is answered with 200 is on disk, also if the store is locked or the receiver is killed."""

import http.client
import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from failaware import Inspector, Store
from failaware.serve import inbox
from tests import processes
from tests.conftest import plain
from tests.sizes import sized

LONG = 30


def connected(port):
    return closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LONG))


def body(n):
    return json.dumps({"type": "a", "key": f"k{n}", "error": {"message": f"failure {n}"}})


def keys(path):
    with plain(path) as db:
        return [key for (key,) in db.execute("SELECT key FROM event_key").fetchall()]


@pytest.mark.sqlite("its lock")
def test_while_the_store_is_locked_requests_wait_and_are_answered_then(client, path):
    def post(n):
        with connected(client.port) as connection:
            connection.request("POST", "/events", body(n))
            return connection.getresponse().status

    with plain(path) as db, ThreadPoolExecutor(20) as threads:
        db.execute("BEGIN IMMEDIATE")
        answers = [threads.submit(post, n) for n in range(20)]
        time.sleep(0.3)
        assert not any(answer.done() for answer in answers)
        assert client.ask("GET", "/health")[0] == 200
        db.execute("ROLLBACK")
        assert {answer.result() for answer in answers} == {200}
    assert len(keys(path)) == 20


@pytest.mark.sqlite("its lock")
def test_what_waits_is_bounded_and_the_rest_is_told_to_come_again(client, path, monkeypatch):
    monkeypatch.setattr(inbox, "_MAX_WAITING_BYTES", 200)
    monkeypatch.setattr(inbox, "_WRITTEN_WITHIN_S", 0.5)
    with plain(path) as db:
        db.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(4) as threads:
            first = threads.submit(client.post, "/events", body(1))
            time.sleep(0.1)
            with connected(client.port) as connection:
                connection.request("POST", "/events", " " * 200 + body(2))
                response = connection.getresponse()
                assert (response.status, response.headers["retry-after"]) == (503, "5")
                assert "too much waits" in json.loads(response.read())["detail"]
            status, answer = first.result()
            assert (status, "locked" in answer["detail"]) == (503, True)
        db.execute("ROLLBACK")
    assert client.post("/events", body(3))[0] == 200
    assert "k3" in keys(path)


@pytest.mark.tour
def test_an_event_that_the_store_refuses_does_not_affect_others_of_its_transaction(client):
    client.post("/events", {"type": "a", "key": "same"})
    lines = '{"type": "b", "key": "same"}\n{"type": "b", "key": "other"}\n'
    status, answer = client.post("/events", lines)
    assert (status, answer["recorded"], answer["rejected"]) == (200, 1, 1)
    assert "same" in answer["reasons"][0]


class Program:
    """`failaware serve` as a process of its own, on one port again and again."""

    def __init__(self, path, port=0):
        command = [
            sys.executable,
            "-m",
            "failaware",
            "--db",
            str(path),
            "serve",
            "--quiet",
            "--listen",
            f"127.0.0.1:{port}",
        ]
        self.process = processes.Popen(command, stderr=subprocess.PIPE, text=True)
        self.port = int(re.search(r"http://127.0.0.1:(\d+)", self.process.stderr.readline())[1])

    def end(self, number):
        self.process.send_signal(number)
        self.process.communicate(timeout=LONG)
        return self.process.returncode


def request(n):
    """Path, body and key of a request: lines with a key, or an envelope with an id."""
    if n % 2:
        return "/events", body(n), f"k{n}"
    header, event = {"event_id": f"{n:032x}"}, {"event_id": f"{n:032x}", "level": "error", "message": f"failure {n}"}
    return "/api/1/envelope/", f'{json.dumps(header)}\n{{"type":"event"}}\n{json.dumps(event)}\n', f"sentry:{n:032x}"


class Burst:
    """Clients that send, each on one connection, and send again what was not acknowledged."""

    def __init__(self, port, clients, count):
        self.acknowledged, self._port, self._is_over = set(), port, threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(range(client * count, (client + 1) * count),))
            for client in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def _send(self, numbers):
        with connected(self._port) as connection:
            for n in numbers:
                while not self._is_over.is_set() and not self._is_acknowledged(connection, *request(n)):
                    connection.close()
                    time.sleep(0.02)

    def _is_acknowledged(self, connection, path, content, key):
        try:
            connection.request("POST", path, content)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        if response.status == 200:
            self.acknowledged.add(key)
        return response.status == 200

    def join(self):
        for thread in self._threads:
            thread.join(120)

    def end(self):
        self._is_over.set()
        self.join()


def locked(path, seconds):
    """A thread that holds the store's lock for a while."""

    def hold():
        with Store.open(path) as store:
            store.session.write(lambda _db: time.sleep(seconds), alone=True)

    thread = threading.Thread(target=hold)
    thread.start()
    return thread


@pytest.mark.large
def test_in_a_burst_nothing_acknowledged_is_lost_and_nothing_recorded_twice(path):
    """The store is locked for a while, and the receiver is killed and started again, then and later."""
    clients, count, rng = sized(6, 20), sized(60, 500), random.Random(5)
    program = Program(path)
    port = program.port
    burst = Burst(port, clients, count)
    try:
        for seconds in (sized(0.5, 5), *[0] * sized(2, 7)):
            lock = locked(path, seconds)
            time.sleep(rng.uniform(0.1, 0.5))
            program.end(rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]) if not seconds else signal.SIGKILL)
            program = Program(path, port)
            lock.join()
        burst.join()
    finally:
        burst.end()
        program.end(signal.SIGTERM)
    stored = keys(path)
    assert sorted(stored) == sorted(request(n)[2] for n in range(clients * count))
    assert burst.acknowledged == set(stored)
    with Inspector.open(path) as inspector:
        assert inspector.health().total_events == len(stored)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.thinned
def test_it_stops_cleanly_and_requests_under_way_are_answered(path, number):
    program = Program(path)
    answers = []

    def send(client):
        with connected(program.port) as connection:
            for n in range(client * 10_000, (client + 1) * 10_000):
                try:
                    connection.request("POST", "/events", body(n))
                    connection.getresponse().read()
                except (OSError, http.client.HTTPException):
                    return
                answers.append(n)

    clients = [threading.Thread(target=send, args=(client,)) for client in range(3)]
    for client in clients:
        client.start()
    while not answers and any(client.is_alive() for client in clients):
        time.sleep(0.01)
    assert program.end(number) == 0
    for client in clients:
        client.join(LONG)
    assert answers
    assert {f"k{n}" for n in answers} <= set(keys(path))
    with Inspector.open(path) as inspector:
        assert inspector.health().total_events >= len(answers)
