"""What each protocol brings, as the client sends it, and what it is answered."""

import json
import uuid

import pytest
from cloudevents.core.bindings import http as cloudevents_http
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from tests import processes

PROTOBUF = {"content_type": "application/x-protobuf"}
EVENT = {
    "event_id": "9ec79c33ec9942ab8353589fcb2e04dc",
    "timestamp": 1795900000.5,
    "platform": "node",
    "level": "error",
    "transaction": "GET /checkout",
    "exception": {"values": [{"type": "TypeError", "value": "x is undefined"}]},
}


def envelope(*items, lengths=True, **header):
    lines = [json.dumps(header)]
    for kind, content in items:
        text = content if isinstance(content, str) else json.dumps(content)
        about = {"type": kind} | ({"length": len(text.encode())} if lengths else {})
        lines += [json.dumps(about), text]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("lengths", [True, False])
def test_an_envelope_with_or_without_lengths(client, lengths):
    body = envelope(
        ("session", {"sid": "1"}), ("event", EVENT), ("transaction", {"type": "transaction"}), lengths=lengths
    )
    assert client.post("/api/7/envelope/", body) == (200, {"id": EVENT["event_id"]})
    (event,) = client.events()
    assert (event.event_type, event.key) == ("GET /checkout", f"sentry:{EVENT['event_id']}")
    assert (event.attempts[-1].error_type, event.attempts[-1].error_message) == ("TypeError", "x is undefined")
    assert client.counters.counts["skipped", "sentry"] == 2


@pytest.mark.tour
def test_an_event_that_is_sent_again_is_recorded_once(client):
    for target in ("/api/1/envelope/", "/stream", "/api/1/store/"):
        body = json.dumps(EVENT) if "store" in target else envelope(("event", EVENT))
        assert client.post(target, body)[0] == 200
    assert len(client.events()) == 1


@pytest.mark.tour
def test_two_events_in_an_envelope_and_a_broken_one_between(client):
    other = EVENT | {"event_id": uuid.uuid4().hex}
    status, _ = client.post("/api/1/envelope/", envelope(("event", EVENT), ("event", "[1, 2"), ("event", other)))
    assert (status, len(client.events())) == (200, 2)
    assert client.counters.counts["rejected", "sentry"] == 1


@pytest.mark.parametrize(
    "body", ["", "no JSON", "[]", "{}\n[]", '{}\n{"type":"event","length":99}\n{}', '{}\n{"type":"event"}\nno JSON\n']
)
def test_what_is_no_envelope_is_refused_with_a_reason(client, body):
    status, answer = client.post("/api/1/envelope/", body)
    assert status == 400
    assert answer["detail"]
    assert client.events() == []


@pytest.mark.parametrize("event", ["[]", "1", "null", '"text"'])
def test_an_event_that_is_no_object_is_a_reject_with_the_reason(client, event):
    assert client.post("/api/1/store/", event) == (400, {"detail": "the event must be a JSON object"})
    assert client.counters.counts["rejected", "sentry"] == 1


FRAMES = [
    {"function": "main", "filename": "run.js", "abs_path": "/lib/run.js", "lineno": 1, "in_app": False},
    {
        "function": "pay",
        "filename": "pay.js",
        "abs_path": "/app/pay.js",
        "lineno": 7,
        "colno": 3,
        "in_app": True,
        "module": "pay",
    },
    {"function": "parse", "filename": "<anonymous>", "in_app": False},
]


def sent(client, platform, frames, exceptions=None, **more):
    """The traceback, the error and the type of an event as an SDK of a language sends it."""
    exceptions = exceptions or [{"type": "E", "value": "boom", "stacktrace": {"frames": frames}}]
    event = {"event_id": uuid.uuid4().hex, "platform": platform, "exception": {"values": exceptions}, **more}
    assert client.post("/api/1/envelope/", envelope(("event", event)))[0] == 200
    return client.events()[-1]


@pytest.mark.parametrize(
    ("platform", "frame", "line"),
    [
        (
            "javascript",
            {"function": "pay", "abs_path": "/a/pay.js", "lineno": 7, "colno": 3},
            "    at pay (/a/pay.js:7:3)",
        ),
        ("node", {"abs_path": "/a/pay.js", "lineno": 7}, "    at /a/pay.js:7"),
        (
            "java",
            {"module": "com.shop.Cart", "function": "pay", "filename": "Cart.java", "lineno": 7},
            "\tat com.shop.Cart.pay(Cart.java:7)",
        ),
        ("java", {"module": "com.shop.Cart", "function": "pay"}, "\tat com.shop.Cart.pay(Unknown Source)"),
        (
            "go",
            {"module": "main", "function": "pay", "abs_path": "/a/main.go", "lineno": 7},
            "main.pay(...)\n\t/a/main.go:7",
        ),
        ("ruby", {"function": "pay", "abs_path": "/a/pay.rb", "lineno": 7}, "\tfrom /a/pay.rb:7:in 'pay'"),
        ("php", {"function": "pay", "abs_path": "/a/pay.php", "lineno": 7}, "  /a/pay.php(7): pay()"),
        (
            "csharp",
            {"module": "Shop.Cart", "function": "Pay", "filename": "Cart.cs", "lineno": 7},
            "   at Shop.Cart.Pay in Cart.cs:line 7",
        ),
        (
            "csharp",
            {"module": "Shop.Cart", "function": "async Task Cart.PayAsync(Order order)", "abs_path": "C:\\Cart.cs"},
            "   at async Task Cart.PayAsync(Order order) in C:\\Cart.cs:line ?",
        ),
        ("php", {"abs_path": "/a/index.php", "lineno": 7}, "  /a/index.php(7): {main}"),
        ("elixir", {"function": "Cart.pay/2", "filename": "lib/cart.ex", "lineno": 7}, "    lib/cart.ex:7: Cart.pay/2"),
        ("rust", {"function": "pay", "filename": "pay.rs", "lineno": 7}, "    at pay (pay.rs:7)"),
        ("native", {"function": "core::panic", "instruction_addr": "0x1"}, "    at core::panic"),
        ("javascript", {"function": "?", "filename": "http://h/main.js", "lineno": 7}, "    at http://h/main.js:7"),
    ],
)
def test_frames_are_in_the_notation_of_their_language(client, platform, frame, line):
    traceback = sent(client, platform, [frame]).attempts[-1].traceback
    assert line in traceback
    assert "most recent call last" not in traceback


def test_the_frames_of_the_program_come_before_those_of_libraries(client):
    event = sent(client, "node", FRAMES)
    assert event.event_type == "pay"
    assert event.attempts[-1].traceback.splitlines()[1:] == [
        "    at pay (/app/pay.js:7:3)",
        "    … and 2 frames of libraries:",
        "    at parse (<anonymous>)",
        "    at main (/lib/run.js:1)",
    ]


def test_packages_of_a_web_page_are_libraries_although_its_sdk_does_not_know_it(client):
    package = {"function": "call", "filename": "http://h/node_modules/vue/vue.js", "lineno": 1, "in_app": True}
    own = {"function": "total", "filename": "http://h/src/Cart.vue", "lineno": 2, "in_app": True, "module": "Cart"}
    event = sent(client, "javascript", [own, package])
    assert event.event_type == "Cart"
    assert event.attempts[-1].traceback.splitlines()[1:] == [
        "    at total (http://h/src/Cart.vue:2)",
        "    … and 1 frame of libraries:",
        "    at call (http://h/node_modules/vue/vue.js:1)",
    ]


def test_the_members_of_an_aggregate_exception_of_dotnet_and_the_message_of_ruby(client):
    members = [
        {"type": "FormatException", "value": "b", "mechanism": {"source": "InnerExceptions[1]", "parent_id": 0}},
        {"type": "IOException", "value": "a", "mechanism": {"source": "InnerExceptions[0]", "parent_id": 0}},
        {"type": "AggregateException", "value": "2 errors", "mechanism": {"exception_id": 0}},
    ]
    assert sent(client, "csharp", [], members).attempts[-1].cause == "IOException: a\n+ FormatException: b"
    raised = [{"type": "KeyError", "value": "key not found: 1 (KeyError)"}]
    assert sent(client, "ruby", [], raised).attempts[-1].error_message == "key not found: 1"


def test_causes_and_aggregate_errors_are_causes(client):
    chain = [{"type": "SyntaxError", "value": "bad JSON"}, {"type": "PaymentError", "value": "declined"}]
    last = sent(client, "node", [], chain).attempts[-1]
    assert (last.error_type, last.cause) == ("PaymentError", "SyntaxError: bad JSON")
    assert "Caused by: SyntaxError: bad JSON" in last.traceback
    members = [
        {"type": "TypeError", "value": "b", "mechanism": {"source": "errors[1]", "parent_id": 0}},
        {"type": "Error", "value": "a", "mechanism": {"source": "errors[0]", "parent_id": 0}},
        {"type": "AggregateError", "value": "none answered", "mechanism": {"is_exception_group": True}},
    ]
    last = sent(client, "javascript", [], members).attempts[-1]
    assert (last.error_type, last.cause) == ("AggregateError", "Error: a\n+ TypeError: b")


def test_a_java_type_has_its_package_and_a_message_without_an_exception_is_no_exception(client):
    chain = [{"type": "IllegalStateException", "module": "java.lang", "value": "closed"}]
    assert sent(client, "java", [], chain).attempts[-1].error_type == "java.lang.IllegalStateException"
    synthetic = [{"value": "queue is full", "mechanism": {"synthetic": True}, "stacktrace": {"frames": FRAMES}}]
    event = sent(client, "node", [], synthetic, level="error")
    last = event.attempts[-1]
    assert (event.event_type, last.error_type, last.error_message) == ("pay", "ERROR", "queue is full")
    assert last.traceback.splitlines()[:2] == ["ERROR: queue is full", "    at pay (/app/pay.js:7:3)"]
    before = len(client.events())
    body = {"platform": "node", "exception": {"values": synthetic}, "level": "info"}
    assert client.post("/api/1/envelope/", envelope(("event", body)))[0] == 200
    assert len(client.events()) == before


def test_what_an_sdk_says_of_its_surroundings_is_kept_under_its_names(client):
    about = {"release": "shop@1.2", "environment": "staging", "server_name": "web-1", "tags": {"region": "eu"}}
    event = sent(client, "node", FRAMES, **about, contexts={"trace": {"trace_id": "5b8e"}})
    payload = json.loads(event.event_payload)
    assert payload.items() >= about.items()
    assert payload["contexts"]["trace"]["trace_id"] == "5b8e"
    assert event.source == "sentry:staging shop@1.2"
    assert event.attempts[0].worker == "web-1"


def test_the_reasons_of_an_answer_are_readable(client):
    url = f"http://127.0.0.1:{client.port}/events"
    done = processes.run(["curl", "-s", url, "-d", '{"type": "a", "error": 5}'], capture_output=True, text=True)
    assert """{\\"type\\": …, \\"message\\": …, \\"traceback\\": …} or a text""" in done.stdout


LOGS = {
    "resourceLogs": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeLogs": [
                {
                    "scope": {"name": "app.payment"},
                    "logRecords": [
                        {"timeUnixNano": "1795900000000000001", "severityNumber": 9, "body": {"stringValue": "fine"}},
                        {
                            "timeUnixNano": "1795900000000000002",
                            "severityNumber": "SEVERITY_NUMBER_ERROR",
                            "body": {"stringValue": "card declined"},
                            "attributes": [
                                {"key": "exception.type", "value": {"stringValue": "CardError"}},
                                {"key": "exception.message", "value": {"stringValue": "insufficient funds"}},
                                {"key": "attempt", "value": {"intValue": "3"}},
                            ],
                            "traceId": "5b8efff798038103d269b633813fc60c",
                            "spanId": "eee19b7ec3c1b174",
                        },
                    ],
                }
            ],
        }
    ]
}


def in_protobuf(message, content):
    """The ids as protobuf's own JSON has them, in base64."""
    text = json.dumps(content)
    for hexadecimal, base64 in (
        ("5b8efff798038103d269b633813fc60c", "W47/95gDgQPSabYzgT/GDA=="),
        ("eee19b7ec3c1b174", "7uGbfsPBsXQ="),
    ):
        text = text.replace(hexadecimal, base64)
    return ParseDict(json.loads(text), message()).SerializeToString()


@pytest.mark.parametrize("protobuf", [True, False])
def test_otlp_logs_in_json_and_protobuf_are_the_same_event(client, protobuf):
    if protobuf:
        status, answer = client.post("/v1/logs", in_protobuf(logs.ExportLogsServiceRequest, LOGS), **PROTOBUF)
        assert (status, answer) == (200, b"")
    else:
        assert client.post("/v1/logs", LOGS) == (200, {})
    (event,) = client.events()
    assert (event.event_type, event.source) == ("app.payment", "shop")
    assert (event.attempts[-1].error_type, event.attempts[-1].error_message) == ("CardError", "insufficient funds")
    payload = json.loads(event.event_payload)
    assert payload["trace_id"] == "5b8efff798038103d269b633813fc60c"
    assert payload["span_id"] == "eee19b7ec3c1b174"
    assert payload["attributes"] == {"attempt": 3}
    assert client.counters.counts["skipped", "otlp"] == 1


@pytest.mark.tour
def test_a_request_of_otlp_that_is_sent_again_is_recorded_once(client):
    for _ in range(2):
        assert client.post("/v1/logs", LOGS)[0] == 200
    assert len(client.events()) == 1


@pytest.mark.parametrize("protobuf", [True, False])
def test_otlp_traces(client, protobuf):
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "charge",
        "events": [
            {
                "timeUnixNano": "1795900000000000002",
                "name": "exception",
                "attributes": [{"key": "exception.type", "value": {"stringValue": "TimeoutError"}}],
            }
        ],
    }
    content = {"resourceSpans": [{"scopeSpans": [{"spans": [span, {"name": "fine"}]}]}]}
    body = in_protobuf(traces.ExportTraceServiceRequest, content) if protobuf else content
    assert client.post("/v1/traces", body, **(PROTOBUF if protobuf else {}))[0] == 200
    (event,) = client.events()
    assert (event.event_type, event.attempts[-1].error_type) == ("charge", "TimeoutError")


@pytest.mark.parametrize("protobuf", [True, False])
def test_a_span_with_the_status_error_is_a_failure_and_what_it_says_is_kept(client, protobuf):
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "parentSpanId": "eee19b7ec3c1b174",
        "name": "GET /orders",
        "kind": "SPAN_KIND_CLIENT" if not protobuf else 3,
        "startTimeUnixNano": "1795877741000000000",
        "endTimeUnixNano": "1795877743500000000",
        "attributes": [
            {"key": "error.type", "value": {"stringValue": "503"}},
            {"key": "order", "value": {"intValue": "17"}},
        ],
        "status": {"code": "STATUS_CODE_ERROR" if not protobuf else 2, "message": "upstream answered 503"},
    }
    fine = {"name": "fine", "status": {"code": 1}}
    content = {"resourceSpans": [{"scopeSpans": [{"spans": [span, fine]}]}]}
    body = in_protobuf(traces.ExportTraceServiceRequest, content) if protobuf else content
    assert client.post("/v1/traces", body, **(PROTOBUF if protobuf else {}))[0] == 200
    (event,) = client.events()
    last = event.attempts[-1]
    assert (event.event_type, last.error_type, last.error_message) == ("GET /orders", "503", "upstream answered 503")
    assert last.finished_at - last.started_at == 2_500_000
    assert json.loads(event.event_payload)["span"] == {
        "kind": "CLIENT",
        "status": "ERROR",
        "status_message": "upstream answered 503",
        "parent_id": "eee19b7ec3c1b174",
        "duration_ms": 2_500,
        "attributes": {"error.type": "503", "order": 17},
    }


def test_entries_of_otlp_that_cannot_be_read_are_a_partial_success(client):
    broken = json.loads(json.dumps(LOGS))
    broken["resourceLogs"][0]["scopeLogs"][0]["logRecords"].append({"severityNumber": 17, "timeUnixNano": "soon"})
    status, answer = client.post("/v1/logs", broken)
    assert status == 200
    assert answer["partialSuccess"]["rejectedLogRecords"] == "1"
    assert "nanoseconds" in answer["partialSuccess"]["errorMessage"]
    assert len(client.events()) == 1


@pytest.mark.parametrize(("body", "headers"), [("no JSON", {}), ("[]", {}), (b"\xff\xff\xff", PROTOBUF)])
@pytest.mark.parametrize("signal", ["logs", "traces"])
def test_what_is_no_otlp_is_refused_with_a_reason(client, signal, body, headers):
    status, answer = client.post(f"/v1/{signal}", body, **headers)
    assert status == 400
    assert answer["detail"]


def test_lines_with_a_bad_one_between(client):
    body = '{"type": "a"}\nnonsense\n{"type": "b", "error": {"type": "E", "message": "m"}}\n'
    status, answer = client.post("/events", body)
    assert (status, answer["recorded"], answer["rejected"]) == (200, 2, 1)
    assert answer["reasons"][0].startswith("2: ")
    assert [event.event_type for event in client.events()] == ["a", "b"]


@pytest.mark.parametrize("body", [[{"type": "a"}, {"type": "b"}], '[\n {"type": "a"},\n {"type": "b"}\n]'])
def test_an_array_of_events(client, body):
    assert client.post("/events", body)[1]["recorded"] == 2


def test_only_bad_input_is_a_bad_request_and_kept_as_a_reject(client):
    status, answer = client.post("/events", "nonsense")
    assert (status, answer["recorded"], answer["rejected"]) == (400, 0, 1)
    assert client.counters.counts["rejected", "lines"] == 1


def cloudevent(n):
    return {"specversion": "1.0", "id": f"e{n}", "source": "/shop", "type": "order.failed", "data": {"n": n}}


def test_cloudevents_structured_batched_and_binary(client):
    assert client.post("/events", cloudevent(1), content_type="application/cloudevents+json")[0] == 202
    assert (
        client.post("/events", [cloudevent(2), cloudevent(3)], content_type="application/cloudevents-batch+json")[0]
        == 202
    )
    binary = {"ce_specversion": "1.0", "ce_id": "e4", "ce_source": "/shop", "ce_type": "order.failed"}
    assert client.post("/events", '{"n": 4}', content_type="application/json", **binary)[0] == 202
    assert client.post("/events", '{"n": 4}', content_type="application/json", **binary)[0] == 202  # sent again
    text = binary | {"ce_id": "e%205"}
    assert client.post("/events", "hällo".encode(), content_type="text/plain; charset=utf-8", **text)[0] == 202
    recorded = [(event.key, json.loads(event.event_payload)["data"]) for event in client.events()]
    assert recorded == [(f"/shop e{n}", {"n": n}) for n in (1, 2, 3, 4)] + [("/shop e 5", "hällo")]


def test_a_broken_cloudevent_is_a_bad_request(client):
    binary = {"ce_specversion": "1.0", "ce_id": "e4", "ce_source": "/shop"}
    status, answer = client.post("/events", "{}", content_type="application/json", **binary)
    assert status == 400
    assert "'type'" in answer["reasons"][0]


def test_the_cloudevents_sdk(client):
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    event = CloudEvent({"type": "order.failed", "source": "/shop", "id": "1", "specversion": "1.0"}, {"n": 1})
    for make in (cloudevents_http.to_binary, cloudevents_http.to_structured):
        message = make(event, JSONFormat())
        headers = {name.replace("-", "_"): value for name, value in message.headers.items()}
        assert client.post("/events", message.body, **headers)[0] == 202
    assert [json.loads(event.event_payload)["data"] for event in client.events()] == [{"n": 1}]


@pytest.mark.tour
def test_metrics_and_health(client):
    client.post("/events", {"type": "a"})
    status, headers, text = client.ask("GET", "/metrics")
    assert (status, headers.get_content_type()) == (200, "application/openmetrics-text")
    assert b'failaware_recorded_total{protocol="lines"} 1\n' in text
    assert text.endswith(b"# EOF\n")
    status, headers, answer = client.ask("GET", "/health")
    assert (status, answer, headers["x-powered-by"]) == (200, {"status": "ok"}, "spotlight-by-sentry")
    assert client.ask("GET", "/events")[0] == 405


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_that_does_not_exist_is_told_of_and_counted(client, method):
    status, _, answer = client.ask(method, "/event", '{"type": "a"}' if method == "POST" else None)
    assert status == 404
    assert "nothing at '/event'; send to /events" in answer["detail"]
    assert client.counters.counts["refused", "other"] == client.counters.counts["received", "other"] == 1
    assert "nothing at '/event'" in client.arrivals[-1].refusal


@pytest.mark.parametrize(("body", "headers", "answer"), [("{}", {}, {}), (b"", PROTOBUF, b"")])
def test_metrics_are_skipped_since_sdks_send_every_signal_to_one_endpoint(client, body, headers, answer):
    assert client.post("/v1/metrics", body, **headers) == (200, answer)
    assert client.counters.counts["skipped", "otlp"] == 1
