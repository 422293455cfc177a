"""A receiver in this process, on a free port."""

import http.client
import json
from contextlib import contextmanager

import pytest

from failaware import Inspector, Store
from failaware.serve.access import Access, allowed_hosts
from failaware.serve.server import Address, listen, receiving

LOOPBACK = Access("", allowed_hosts("127.0.0.1", [], is_loopback=True), frozenset())


class Client:
    """Asks a receiver; keeps its connection."""

    def __init__(self, port, path, arrivals, counters):
        self.port, self.path, self.arrivals, self.counters = port, path, arrivals, counters
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, target, body=None, **headers):
        """Returns status, headers, and the body, decoded if it is JSON."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, target, body, names, encode_chunked=not isinstance(body, bytes | str | None))
        response = self.connection.getresponse()
        content = response.read()
        is_json = response.headers.get_content_type() == "application/json"
        return response.status, response.headers, json.loads(content) if is_json and content else content

    def post(self, target, body, **headers):
        if isinstance(body, dict | list):
            body = json.dumps(body)
        status, _, content = self.ask("POST", target, body, **headers)
        return status, content

    def events(self):
        """Type, key, payload, error type and error of each event, oldest first."""
        with Inspector.open(self.path) as inspector:
            return [inspector.event(event.event_id) for event in inspector.events(limit=1_000_000)][::-1]

    def errors(self):
        return [
            (
                event.event_type,
                *((last.error_type, last.error_message) if (last := event.attempts[-1:]) and (last := last[0]) else ()),
            )
            for event in self.events()
        ]


@contextmanager
def receiver(path, access=LOOPBACK, **how):
    """A receiver into the store at this path."""
    arrivals = []
    with Store.open(path, **how) as store, listen(Address("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with receiving(store.session, listening, access, arrivals.append) as counters:
            client = Client(port, path, arrivals, counters.counters)
            try:
                yield client
            finally:
                client.connection.close()


@pytest.fixture
def client(path):
    with receiver(path) as client:
        yield client
