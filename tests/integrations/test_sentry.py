"""Programs instrumented with the Sentry SDK, run for real: their errors are in the store, field by field."""

import gzip
import json
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import brotli
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentry_sdk.envelope import Envelope

from failaware import Store
from failaware.errors import StoreError
from failaware.integrations.sentry import Transport
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.sizes import sized

BEGIN = """
import sys
import sentry_sdk
from failaware import Store
from failaware.integrations.sentry import Transport
store = Store.open(sys.argv[1])
def init(**options):
    sentry_sdk.init(transport=Transport(store), release="shop@1.4.2", environment="staging", **options)
"""
CHAIN = """
init(send_default_pii=True)
sentry_sdk.set_user({"id": 17, "email": "jane@example.com", "username": "jane", "ip_address": "10.1.2.3"})
sentry_sdk.set_tag("region", "eu")
sentry_sdk.set_context("cart", {"items": 3})
sentry_sdk.add_breadcrumb(category="cart", message="added A-1")
def charge(order, card_password):
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError(f"order {order} is not charged") from error
for order in (17, 18):
    try:
        charge(order, "tr0ub" + "4dor")
    except RuntimeError:
        sentry_sdk.capture_exception()
"""
FLASK = """
init(traces_sample_rate=1.0)
import flask
app = flask.Flask("shop")
@app.post("/checkout/<order>")
def checkout(order):
    raise ValueError(f"order {order} has no address")
answer = app.test_client().post("/checkout/17?token=abcdef123456", headers={"Authorization": "Bearer abcdef123456"})
assert answer.status_code == 500
"""
FASTAPI = """
init(traces_sample_rate=1.0)
import asyncio, fastapi
app = fastapi.FastAPI()
@app.get("/checkout/{order}")
async def checkout(order: int):
    raise ValueError(f"order {order} has no address")
async def get(path):
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        assert message.get("status", 500) == 500
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
             "raw_path": path.encode(), "query_string": b"", "headers": [], "scheme": "http", "root_path": "",
             "server": ("testserver", 80), "client": ("127.0.0.1", 5)}
    await app(scope, receive, send)
try:
    asyncio.run(get("/checkout/17"))
except ValueError:
    pass
"""
CELERY = """
init(traces_sample_rate=1.0)
import celery
app = celery.Celery("shop", broker="memory://", backend="cache+memory://")
app.conf.task_always_eager = True
@app.task(name="shop.checkout")
def checkout(order):
    raise ValueError(f"order {order} has no address")
checkout.delay(17)
"""
LOGGING = """
init(enable_logs=True)
import logging
logger = logging.getLogger("shop.checkout")
logger.warning("not this one")
for order in (17, 18):
    logger.error("order %s has no address", order, extra={"order": order})
"""


@pytest.fixture
def run(path, tmp_path):
    return partial(_run, tmp_path, path)


def _run(tmp_path, path, program):
    script = tmp_path / "shop.py"
    script.write_text(BEGIN + program)
    done = processes.run(
        [sys.executable, str(script), str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.thinned
@pytest.mark.tour
def test_an_exception_is_kept_with_its_chain_frames_tags_contexts_and_a_masked_user(inspector, store, run):
    run(CHAIN)
    event = inspector.event(1)
    (attempt,) = event.attempts
    assert (event.sync_status, event.source) == ("DEAD", "sentry:staging shop@1.4.2")
    assert event.key.startswith("sentry:")
    assert (attempt.error_type, attempt.error_message) == ("RuntimeError", "order 17 is not charged")
    assert attempt.cause == "ConnectionError: connection reset"
    assert attempt.traceback.startswith("Traceback (most recent call last):\n  File ")
    assert ", in charge\n    raise ConnectionError(" in attempt.traceback
    assert attempt.traceback.endswith("\nRuntimeError: order 17 is not charged\n")
    payload = json.loads(event.event_payload)
    assert payload["user"] == {"id": 17, "email": "[masked]", "username": "[masked]", "ip_address": "[masked]"}
    assert payload["tags"] == {"region": "eu"}
    assert payload["contexts"]["cart"] == {"items": 3}
    assert payload["breadcrumbs"][-1]["message"] == "added A-1"
    assert (payload["release"], payload["environment"]) == ("shop@1.4.2", "staging")
    assert payload["locals"]["order"] == "17"
    everything = query(store, "SELECT event_payload FROM event_log UNION ALL SELECT text FROM traceback_log")
    assert not any(secret in repr(everything) for secret in ("tr0ub4dor", "jane", "10.1.2.3"))
    assert query(store, "SELECT count(*) FROM traceback_log") == [(1,)]  # of both orders
    assert query(store, "SELECT events, error_type FROM failure_cluster") == [(2, "ConnectionError")]
    assert_rebuild_changes_nothing(store)


@pytest.mark.thinned
@pytest.mark.parametrize(
    ("program", "where"),
    [(FLASK, "checkout"), (FASTAPI, "/checkout/{order}"), (CELERY, "shop.checkout")],
    ids=["flask", "fastapi", "celery"],
)
@pytest.mark.large
def test_what_the_frameworks_report_is_kept_once_by_endpoint_or_task(inspector, store, program, where, run):
    run(program)
    (event,) = inspector.events()
    assert event.event_type.endswith(where)
    detail = inspector.event(event.event_id)
    (attempt,) = detail.attempts
    assert (attempt.error_type, attempt.error_message) == ("ValueError", "order 17 has no address")
    assert ", in checkout\n" in attempt.traceback
    payload = json.loads(detail.event_payload)
    assert payload["mechanism"]["handled"] is False
    assert "abcdef123456" not in detail.event_payload
    if program is not CELERY:
        assert payload["request"]["url"].endswith("/checkout/17")
    else:
        assert payload["extra"]["celery-job"]["task_name"] == "shop.checkout"


@pytest.mark.large
def test_what_is_logged_is_kept_and_gathered_by_its_format(inspector, store, run):
    run(LOGGING)
    assert query(store, "SELECT event_type FROM event_log") == [("shop.checkout",)] * 2
    assert query(store, "SELECT error_type, error_message, fingerprint FROM attempt_log WHERE event_id = 1") == [
        ("ERROR", "order 17 has no address", "order %s has no address")
    ]
    assert query(store, "SELECT events FROM failure_cluster") == [(2,)]
    assert json.loads(inspector.event(1).event_payload)["extra"]["order"] == 17


@pytest.mark.tour
@pytest.mark.large
def test_what_is_no_failure_is_left_out(store, run):
    run(
        "init(traces_sample_rate=1.0)\n"
        "with sentry_sdk.start_transaction(name='checkout'): pass\n"
        "from sentry_sdk.crons import capture_checkin\n"
        "capture_checkin('backup', status='error')\n"
        "sentry_sdk.capture_message('hello')\n"
        "sentry_sdk.capture_message('careful', level='warning')\n"
        "sentry_sdk.capture_message('broken', level='fatal')\n",
    )
    assert query(store, "SELECT error_type, error_message FROM attempt_log") == [("FATAL", "broken")]
    assert query(store, "SELECT count(*) FROM event_log") == [(1,)]


@pytest.mark.large
def test_a_group_is_told_by_its_members(inspector, store, run):
    group = "ExceptionGroup('2 of 3', [ValueError('no a'), KeyError('b')])"
    run(f"init()\ntry:\n    raise {group}\nexcept ExceptionGroup:\n    sentry_sdk.capture_exception()\n")
    (attempt,) = inspector.event(1).attempts
    assert attempt.cause == "ValueError: no a\n+ KeyError: 'b'"
    assert "  +---------------- 2 ----------------\n  | KeyError: 'b'\n" in attempt.traceback


NESTED = """
init()
def raised():
    with_cause, within = ValueError("from key"), ValueError("while handling")
    with_cause.__cause__, within.__context__ = KeyError("root"), KeyError("not the cause")
    return ExceptionGroup("out", [ExceptionGroup("in", [ValueError("a"), TypeError("b")]), with_cause, within])
try:
    with store.attempt("here"):
        raise raised()
except ExceptionGroup as error:
    sentry_sdk.capture_exception(error)
"""


@pytest.mark.large
def test_members_of_nested_groups_are_causes_as_in_an_attempt(inspector, run):
    run(NESTED)
    by_sdk, here = (inspector.event(event.event_id).attempts[0] for event in inspector.events())
    assert (
        by_sdk.cause == here.cause == "ValueError: a\n+ TypeError: b\n+ KeyError: 'root'\n+ ValueError: while handling"
    )
    assert (
        "  | ExceptionGroup: in\n  |   +---------------- 1 ----------------\n  |   | ValueError: a\n"
        in by_sdk.traceback
    )
    direct = "  | KeyError: 'root'\n  | \n  | The above exception was the direct cause of the following exception:\n"
    assert direct in by_sdk.traceback


@pytest.mark.large
def test_the_programs_own_fingerprint_counts(store, run):
    run(
        "init()\nfor name in 'ab':\n    with sentry_sdk.new_scope() as scope:\n"
        "        scope.fingerprint = ['stock', '{{ default }}'] if name == 'a' else ['stock']\n"
        "        sentry_sdk.capture_message(f'no {name}', level='error')\n",
    )
    assert query(store, "SELECT fingerprint FROM attempt_log ORDER BY attempt_id") == [
        ("stock {{ default }}",),
        ("stock",),
    ]


@pytest.fixture
def transport(store):
    made = Transport(store, capacity=3)
    yield made
    made.kill()


def envelope(number=0, **more):
    made = Envelope()
    made.add_event({"event_id": f"{number:032x}", "level": "error", "logentry": {"message": f"no {number}"}, **more})
    return made


def test_taking_never_raises_or_waits_and_flush_keeps_the_sdks_times(store, transport, monkeypatch, capsys):
    def full(*_):
        raise StoreError("disk full")

    monkeypatch.setattr(store.session, "ingest", full)
    began = time.monotonic()
    for number in range(500):
        transport.capture_envelope(envelope(number))
    assert time.monotonic() - began < 5
    calls = []
    began = time.monotonic()
    transport.flush(0.3, lambda *arguments: calls.append(arguments))
    assert 0.3 <= time.monotonic() - began < 3
    assert calls == [(500 - transport.dropped, 0.3)]
    monkeypatch.undo()
    transport.flush(10)
    ((kept,),) = query(store, "SELECT count(*) FROM event_log")
    assert kept
    assert kept + transport.dropped == 500
    transport.kill()
    assert f"{500 - kept} errors could not be kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    "odd",
    [
        {"exception": {"values": [None, {"type": None, "value": None, "stacktrace": {"frames": [None, {}]}}]}},
        {"exception": [{"type": "E", "value": "half a pair \ud800 and \x00", "mechanism": None}]},
        {"user": "jane", "timestamp": "yesterday", "breadcrumbs": None, "fingerprint": None, "tags": [["a", "b"]]},
        {"logger": "half\ud800" + "x" * 2_000, "extra": {"nan": float("nan"), "who": object()}},
        {"extra": {"much": "x" * 2_000_000}},
        {"logentry": None, "message": "plain"},
    ],
)
def test_whatever_an_event_holds_it_is_kept(store, transport, odd):
    transport.capture_envelope(envelope(1, **odd))
    transport.flush(10)
    assert transport.dropped == 0
    assert query(store, "SELECT sync_status FROM event_state") == [("DEAD",)]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(1e300),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
FRAME = (
    st.fixed_dictionaries({}, optional=dict.fromkeys(("module", "lineno", "vars", "context_line", "function"), ODD))
    | ODD
)
STACK = st.fixed_dictionaries({"frames": st.lists(FRAME, max_size=2) | ODD}) | ODD
RAISED = ODD | st.fixed_dictionaries(
    {}, optional={"stacktrace": STACK} | dict.fromkeys(("type", "value", "module", "mechanism"), ODD)
)
VALUES = st.fixed_dictionaries({"values": st.lists(RAISED, max_size=3) | ODD}) | st.lists(RAISED, max_size=2) | RAISED
NAMES = (
    "event_id",
    "timestamp",
    "tags",
    "user",
    "request",
    "contexts",
    "extra",
    "breadcrumbs",
    "logger",
    "fingerprint",
)
NAMES += ("transaction", "transaction_info", "release", "environment", "logentry", "message", "platform", "server_name")
EVENT = st.fixed_dictionaries({}, optional={"exception": VALUES, "threads": VALUES} | dict.fromkeys(NAMES, ODD))


@pytest.mark.sqlite
@settings(max_examples=sized(25, 100), deadline=None, suppress_health_check=list(HealthCheck))
@given(event=EVENT)
def test_an_event_of_any_shape_is_kept(store, event):
    transport = Transport(store)
    before = query(store, "SELECT count(*) FROM event_log")[0][0]
    made = Envelope()
    made.add_event({"level": "error", **event})
    transport.capture_envelope(made)
    transport.flush(10)
    assert transport.dropped == 0
    has_id = isinstance(event.get("event_id"), str)  # which an example before may have had
    assert query(store, "SELECT count(*) FROM event_log")[0][0] > before - has_id
    transport.kill()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"message": "charge of order %s failed: %s", "params": [17, "declined"]},
            "charge of order 17 failed: declined",
        ),
        ({"message": "charge of %(order)s failed", "params": {"order": 17}}, "charge of 17 failed"),
        ({"message": "100 %s of %d", "params": ["x", "y"]}, "100 %s of %d"),
        ({"message": "100 % sure", "params": []}, "100 % sure"),
        ({"message": "x %s", "formatted": "x 1", "params": [1]}, "x 1"),
    ],
)
def test_a_message_has_its_arguments_whichever_version_of_the_sdk_sends_it(store, transport, entry, message):
    transport.capture_envelope(envelope(1, logentry=entry))
    transport.flush(10)
    assert query(store, "SELECT error_message FROM attempt_log") == [(message,)]
    (payload,) = (json.loads(row[0]) for row in query(store, "SELECT event_payload FROM event_log"))
    assert payload.get("params", []) == entry["params"]
    assert payload["message"] == message


@pytest.mark.parametrize(
    ("before", "cause"),
    [
        ([("RemoteTraceback", "multiprocessing.pool")], None),
        ([("_RemoteTraceback", "concurrent.futures.process")], None),
        ([("CancelledError", "asyncio.exceptions")], None),
        ([("RemoteTraceback", "billiard.pool"), ("KeyError", None)], "KeyError: why"),
        ([("KeyError", None), ("CancelledError", "asyncio.exceptions")], "KeyError: why"),
    ],
)
def test_how_an_exception_came_here_is_no_cause(store, transport, before, cause):
    chain = [{"type": name, "module": module, "value": "why"} for name, module in before]
    transport.capture_envelope(envelope(1, exception={"values": [*chain, {"type": "ValueError", "value": "mine"}]}))
    transport.flush(10)
    assert query(store, "SELECT error_type, cause FROM attempt_log") == [("ValueError", cause)]


def test_what_is_too_large_is_left_out_by_name_and_the_rest_kept(store, transport):
    transport.capture_envelope(envelope(1, extra={"much": "x" * 2_000_000}, tags={"region": "eu"}))
    transport.flush(10)
    payload = json.loads(query(store, "SELECT event_payload FROM event_log")[0][0])
    assert (payload["left_out"], payload["tags"]) == (["extra"], {"region": "eu"})


def test_an_event_that_comes_twice_is_recorded_once(store, transport):
    transport.capture_envelope(envelope(1))
    transport.capture_envelope(envelope(1))
    transport.flush(10)
    assert query(store, "SELECT count(*) FROM attempt_log") == [(1,)]


def test_an_event_under_the_id_of_one_of_another_type_is_kept(store, transport):
    for name in ("checkout", "refund"):
        transport.capture_envelope(envelope(1, transaction=name))
    transport.flush(10)
    assert transport.dropped == 0
    assert query(store, "SELECT event_type FROM event_log ORDER BY event_id") == [("checkout",), ("refund",)]


def test_what_is_no_id_makes_no_key(store, transport):
    for number in range(2):
        transport.capture_envelope(envelope(number, event_id=True))
    transport.flush(10)
    assert query(store, "SELECT count(*) FROM attempt_log") == [(2,)]


@pytest.mark.large
def test_the_end_of_the_program_waits_for_the_last_error(path, store, run):
    with Store.open(path):
        done = run("init()\nsentry_sdk.capture_message('last words', level='error')\nsys.exit(0)")
    assert done.stderr == ""
    assert query(store, "SELECT error_message FROM attempt_log") == [("last words",)]


@pytest.fixture
def tracker():
    """A server that keeps the bodies that an SDK sends to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(decode.get(self.headers.get("Content-Encoding"), bytes)(body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    bodies, decode = [], {"gzip": gzip.decompress, "br": brotli.decompress}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://key@127.0.0.1:{server.server_address[1]}/7", bodies
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.large
def test_also_hands_everything_to_the_tracker_that_was_used_before(tmp_path, tracker):
    dsn, bodies = tracker
    program = """
import sys, sentry_sdk
from failaware import Store
from failaware.integrations.sentry import Transport
sentry_sdk.init(sys.argv[2], transport=Transport(Store.open(sys.argv[1]), also=True), traces_sample_rate=1.0)
with sentry_sdk.start_transaction(name="checkout"):
    sentry_sdk.capture_exception(LookupError("order 17"))
raise ValueError("at the end")
"""
    (tmp_path / "web.py").write_text(program)
    command = [sys.executable, str(tmp_path / "web.py"), str(tmp_path / "store.db"), dsn]
    done = processes.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    sent = b"".join(bodies)
    assert sent.count(b'"type":"event"') == 2
    assert b'"type":"transaction"' in sent
    assert b"at the end" in sent
    with Store.open(tmp_path / "store.db") as store:
        assert query(store, "SELECT error_message FROM attempt_log ORDER BY attempt_id") == [
            ("order 17",),
            ("at the end",),
        ]
