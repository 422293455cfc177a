"""Bodies: every encoding that clients send, and what is too long, damaged or slow."""

import gzip
import http.client
import json
import socket
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import brotli
import pytest
import zstandard

from failaware.serve import bodies, connection, protocols
from failaware.serve.server import Address, listen

LINE = json.dumps({"type": "backup", "error": {"type": "Full", "message": "no space left"}}).encode()
RAW = zlib.compressobj(wbits=-15)
RAW_DEFLATE = RAW.compress(LINE) + RAW.flush()
ENCODINGS = {
    "identity": LINE,
    "gzip": gzip.compress(LINE),
    "x-gzip": gzip.compress(LINE + b"\n") + gzip.compress(LINE),
    "deflate": zlib.compress(LINE),
    "Deflate": RAW_DEFLATE,
    "br": brotli.compress(LINE),
    "zstd": zstandard.compress(LINE),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_is_read(client, encoding):
    status, answer = client.post("/events", ENCODINGS[encoding], content_encoding=encoding)
    assert (status, answer["rejected"]) == (200, 0)
    assert {event.event_type for event in client.events()} == {"backup"}
    assert len(client.events()) == (2 if encoding == "x-gzip" else 1)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_what_is_cut_off_or_is_something_else_is_refused_with_a_reason(client, encoding):
    for body in (ENCODINGS[encoding][:-6], b"\x00\x01\x02 no such thing", LINE):
        status, answer = client.post("/events", body, content_encoding=encoding)
        assert status == 400, (encoding, body)
        assert f"the body is not valid {encoding}" in answer["detail"]
    assert client.events() == []


@pytest.mark.large
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_refused_before_it_goes_off(client, encoding):
    compress = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}
    bomb = compress[encoding](bytes(2 * bodies.MAX_BODY))
    assert len(bomb) < 100_000
    status, answer = client.post("/events", bomb, content_encoding=encoding)
    assert status == 413
    assert "after decompression" in answer["detail"]


def test_what_is_too_long_is_refused_while_it_arrives(client, monkeypatch):
    monkeypatch.setattr(bodies, "MAX_BODY", 10_000)
    status, answer = client.post("/events", b"x" * 10_001)
    assert (status, answer["detail"][:27]) == (413, "the body has more than 10,0")
    assert client.post("/events", LINE)[0] == 200


def test_an_unknown_encoding_is_refused(client):
    status, answer = client.post("/events", LINE, content_encoding="snappy")
    assert status == 415
    assert "'snappy'" in answer["detail"]


def test_a_chunked_body_without_a_type_is_read(client):
    parts = (part for part in (LINE[:10], LINE[10:]))
    status, _, answer = client.ask("POST", "/events", parts, transfer_encoding="chunked")
    assert (status, answer["recorded"]) == (200, 1)


def test_a_body_that_never_comes_is_refused_and_holds_up_nobody(client, monkeypatch):
    monkeypatch.setattr(bodies, "_ARRIVES_WITHIN_S", 0.2)
    with socket.create_connection(("127.0.0.1", client.port), timeout=120) as slow:
        slow.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
        assert client.ask("GET", "/health")[0] == 200
        assert b" 408 " in slow.recv(100)
    monkeypatch.undo()
    with socket.create_connection(("127.0.0.1", client.port), timeout=120) as gone:
        gone.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
    assert client.post("/events", LINE)[0] == 200
    assert len(client.events()) == 1


def test_answers_are_not_held_back_for_an_acknowledgment():
    """asyncio sends small parts at once only on sockets with this protocol number."""
    with listen(Address("127.0.0.1", 0)) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_while_a_large_body_is_read_others_are_answered(client, monkeypatch):
    over, arrived = threading.Event(), threading.Event()

    def read(*_arguments):
        arrived.set()
        assert over.wait(30)

    monkeypatch.setattr(protocols, "collect_lines", read)
    with ThreadPoolExecutor(1) as threads:
        large = threads.submit(client.post, "/events", " " * 70_000)
        assert arrived.wait(30)
        with closing(http.client.HTTPConnection("127.0.0.1", client.port, timeout=120)) as other:
            other.request("GET", "/health")
            assert other.getresponse().status == 200
        assert not large.done()
        over.set()
        assert large.result()[0] == 200


def answered(port, parts):
    """What is answered before the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as raw:
        try:
            for part in parts:
                raw.sendall(part)
        except OSError:
            pass
        received = b""
        try:
            while data := raw.recv(65_536):
                received += data
        except ConnectionResetError:
            pass
        return received


def test_the_head_and_the_body_of_an_answer_are_sent_together(client):
    with socket.create_connection(("127.0.0.1", client.port)) as raw:
        for method, body in ((b"GET", b'{"status": "ok"}'), (b"HEAD", b""), (b"GET", b'{"status": "ok"}')):
            raw.sendall(method + b" /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, _, rest = raw.recv(65_536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert rest == body


@pytest.mark.parametrize("begin", [b"GET /", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_head_that_does_not_end_is_bounded(client, begin):
    assert answered(client.port, [begin, *[b"a" * 10_000] * 100]) in (
        b"",
        b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    )
    assert client.ask("GET", "/health")[0] == 200


WHOLE, PART = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: "


@pytest.mark.parametrize("sent", [b"", PART])
def test_a_head_that_comes_too_slowly_ends_the_connection(client, sent, monkeypatch):
    monkeypatch.setattr(connection, "_HEAD_WITHIN_S", 0.1)
    assert answered(client.port, [sent]) == b""


def test_a_second_head_that_comes_too_slowly_ends_the_connection(client, monkeypatch):
    with socket.create_connection(("127.0.0.1", client.port), timeout=120) as raw:
        raw.sendall(WHOLE)
        while not raw.recv(1_000).endswith(b"}"):
            pass
        monkeypatch.setattr(connection, "_HEAD_WITHIN_S", 0.1)
        raw.sendall(PART)
        assert raw.recv(1_000) == b""


TRAILED = b"POST /events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0"


@pytest.mark.parametrize("more", [b"\r\nX-More: " + b"a" * 1_000, b";" + b"a" * 1_000], ids=["trailers", "extension"])
def test_what_follows_a_body_is_bounded(client, more):
    assert b" 431 " in answered(client.port, [TRAILED, *[more] * 200])
    assert client.post("/events", LINE)[0] == 200


def test_a_client_that_sends_nothing_more_is_answered(client):
    head = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(LINE)
    with socket.create_connection(("127.0.0.1", client.port), timeout=120) as raw:
        raw.sendall(head + LINE)
        raw.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: raw.recv(1_000), b"")).count(b"200 OK") == 1


@pytest.mark.parametrize(("members", "status"), [(100, 200), (200_000, 400)])
def test_members_of_gzip_are_bounded_and_hold_up_nobody(client, members, status):
    body = gzip.compress(b"") * (members - 1) + gzip.compress(LINE)
    assert client.post("/events", body, content_encoding="gzip")[0] == status


def test_a_request_with_too_many_events_is_refused_and_none_is_recorded(client, monkeypatch):
    monkeypatch.setattr(protocols, "_MAX_ENTRIES", 3)
    assert client.post("/events", [{"type": "a"}] * 3)[0] == 200
    for line in (b'{"type": "a"}\n', b"nonsense\n"):
        status, answer = client.post("/events", line * 4)
        assert (status, answer) == (413, {"detail": "the request has more than 3 events; send fewer at once"})
    assert len(client.events()) == 3


def test_a_bug_of_ours_is_an_answer_and_is_told(client, monkeypatch):
    def read(*_arguments):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(protocols, "collect_lines", read)
    status, answer = client.post("/events", LINE)
    assert (status, answer["detail"]) == (500, "this may be a bug in failaware: ZeroDivisionError: a bug")
    assert client.arrivals[-1].refusal == answer["detail"]
    assert client.counters.counts["refused", "lines"] == 1
    assert client.ask("GET", "/health")[0] == 200
