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

from failaware import Inspector
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


def test_killed_and_restarted_in_a_burst_it_loses_nothing_that_it_acknowledged(path):
    acknowledged, rng = set(), random.Random(5)
    program = Program(path)
    port, count = program.port, sized(60, 500)
    over = threading.Event()

    def send(client):
        with connected(port) as connection:
            for key in range(client * count, (client + 1) * count):
                while not over.is_set() and not is_acknowledged(connection, key):  # a client that tries again
                    connection.close()
                    time.sleep(0.02)

    def is_acknowledged(connection, key):
        try:
            connection.request("POST", "/events", body(key))
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        if response.status == 200:
            acknowledged.add(f"k{key}")
        return response.status == 200

    clients = [threading.Thread(target=send, args=(client,)) for client in range(sized(6, 20))]
    for client in clients:
        client.start()
    try:
        for _ in range(sized(3, 8)):
            time.sleep(rng.uniform(0.1, 0.5))
            program.end(rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            program = Program(path, port)
        for client in clients:
            client.join(120)
    finally:
        over.set()
        program.end(signal.SIGTERM)
    stored = keys(path)
    assert acknowledged <= set(stored)
    assert len(acknowledged) == len(stored) == len(clients) * count


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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
    time.sleep(0.3)
    assert program.end(number) == 0
    for client in clients:
        client.join(LONG)
    assert answers
    assert {f"k{n}" for n in answers} <= set(keys(path))
    with Inspector.open(path) as inspector:
        assert inspector.health().total_events >= len(answers)
