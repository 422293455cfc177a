"""Who may write into a receiver."""

import socket
import subprocess
import sys

import pytest

from failaware.serve.access import Access, allowed_hosts
from tests.cli.test_commands import failaware
from tests.serve.conftest import receiver

KEY = "0123456789abcdef"
LINE = '{"type": "a"}'
ENVELOPE = '{"dsn": "%s"}\n{"type": "event"}\n{"level": "error", "message": "x"}\n'


@pytest.mark.parametrize(
    "target", ["/events", "/v1/logs", "/v1/traces", "/api/1/envelope/", "/api/1/store/", "/stream"]
)
@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:8000", "null", ""])
def test_a_web_page_cannot_write(client, target, origin):
    status, answer = client.post(target, LINE, origin=origin)
    assert status == 403
    assert "--allow-origin" in answer["detail"]
    assert client.events() == []


@pytest.mark.parametrize("target", ["/events", "/v1/logs", "/api/1/envelope/", "/health", "/metrics"])
def test_a_name_that_was_made_to_lead_here_is_refused(client, target):
    method = "GET" if target in ("/health", "/metrics") else "POST"
    for host in ("rebound.example", "rebound.example:9411", "localhost.evil.example", ""):
        assert client.ask(method, target, LINE if method == "POST" else None, host=host)[0] == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9411", "127.0.0.1", "[::1]:80"])
def test_this_machine_is_taken_by_its_names(client, host):
    assert client.post("/events", LINE, host=host)[0] == 200


def test_a_second_host_does_not_hide_the_first(client):
    head = b"POST /events HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(LINE)
    with socket.create_connection(("127.0.0.1", client.port), timeout=120) as raw:
        raw.sendall(head + LINE.encode())
        assert b" 403 " in raw.recv(1_000)


def test_a_web_page_that_is_named_may_write_and_gets_the_answer(path):
    page = "https://shop.example"
    access = Access("", allowed_hosts("127.0.0.1", [], is_loopback=True), frozenset({page}))
    with receiver(path, access) as client:
        status, headers, _ = client.ask("OPTIONS", "/api/1/envelope/", origin=page)
        assert (status, headers["access-control-allow-origin"]) == (204, page)
        assert "content-type" in headers["access-control-allow-headers"]
        status, headers, _ = client.ask("POST", "/events", LINE, origin=page)
        assert (status, headers["access-control-allow-origin"]) == (200, page)
        status, headers, _ = client.ask("POST", "/events", LINE, origin="https://other.example")
        assert (status, headers["access-control-allow-origin"]) == (403, None)


def test_a_key_is_taken_wherever_a_client_can_put_it(path):
    access = Access(KEY, frozenset(), frozenset())
    with receiver(path, access) as client:
        for target in ("/events", "/v1/logs", "/v1/traces", "/api/1/envelope/", "/api/1/store/", "/metrics"):
            method = "GET" if target == "/metrics" else "POST"
            for headers in (
                {},
                {"authorization": "Bearer wrong"},
                {"authorization": KEY},
                {"x_sentry_auth": "Sentry sentry_key=wrong"},
            ):
                body = ENVELOPE % "http://wrong@h/1" if "api" in target else LINE
                assert client.ask(method, target, body if method == "POST" else None, **headers)[0] == 401
        for number, (target, body, headers) in enumerate(
            [
                ("/events", LINE, {"authorization": f"Bearer {KEY}"}),
                ("/events", LINE, {"authorization": f"bearer  {KEY}"}),
                ("/events", LINE, {"x_failaware_key": KEY}),
                ("/api/1/envelope/", ENVELOPE % "", {"authorization": f"Sentry sentry_key={KEY}, sentry_version=7"}),
                ("/api/1/envelope/", ENVELOPE % "", {"x_sentry_auth": f"Sentry sentry_version=7, sentry_key={KEY}"}),
                (f"/api/1/envelope/?sentry_key={KEY}", ENVELOPE % "", {}),
                ("/api/1/envelope/", ENVELOPE % f"http://{KEY}@localhost/1", {}),
            ],
            start=1,
        ):
            assert client.post(target, body, **headers)[0] == 200
            assert len(client.events()) == number
        assert client.ask("GET", "/health")[0] == 200  # says nothing


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:9411", "example.com:9411"])
def test_beyond_this_machine_a_key_is_needed(tmp_path, listen):
    done = failaware("serve", "--listen", listen, cwd=tmp_path)
    assert done.returncode == 2
    assert "choose a key" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--listen", "nowhere"], "is not an address"),
        (["--listen", "127.0.0.1:99999"], "is not an address"),
        (["--listen", "192.0.2.1:9411", "--key", KEY], "cannot listen on 192.0.2.1:9411"),
        (["--key", "short"], "the key must have 8 to 200"),
        (["--key", "with a blank in it"], "the key must have 8 to 200"),
        (["--inspect"], "the inspector needs a terminal"),
        (["--inspect", "--", "true"], "--inspect needs the terminal for itself"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(tmp_path, words, says):
    done = failaware("serve", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]


def test_without_the_extra_it_says_what_to_install(tmp_path):
    program = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from failaware.__main__ import main\nsys.argv = ['failaware', 'serve']\nsys.exit(main())"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "pip install 'failaware[serve]'" in done.stderr
