"""CloudEvents and OpenTelemetry logs among the lines: written by their own libraries, read back field by field."""

import base64
import io
import json
import logging
import time
from datetime import UTC, datetime

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.json.file import FileSpanExporter
from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from failaware.ingest.lines import ingest_lines
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.sizes import sized

NOON = datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)
NOON_US = int(NOON.timestamp()) * 1_000_000 + 123_456


def ingest(store, data):
    return ingest_lines(store.session, io.BytesIO(data), origin="test")


def cloud_event(data, **more):
    attributes = {"id": "A-1", "source": "/shop/orders", "type": "shop.order.paid", "time": NOON, "subject": "order/17"}
    return JSONFormat().write(CloudEvent({**attributes, **more}, data))


def test_a_cloud_event_is_an_event_with_all_its_attributes(store, inspector):
    line = cloud_event(
        {"order": 17, "password": "hunter22"}, traceparent="00-4bf9-01", datacontenttype="application/json"
    )
    done = ingest(store, line + b"\n" + line)
    assert (done.recorded, done.known, done.rejected) == (1, 1, 0)
    event = inspector.event(1)
    assert (event.event_type, event.key, event.source) == ("shop.order.paid", "/shop/orders A-1", "/shop/orders")
    assert (event.occurred_at, event.sync_status) == (NOON_US, "PENDING")
    payload = json.loads(event.event_payload)
    assert payload["data"] == {"order": 17, "password": "[masked]"}
    assert (payload["subject"], payload["traceparent"]) == ("order/17", "00-4bf9-01")


def test_cloud_events_whose_source_and_id_differ_are_two(store):
    for source, name in (("a b", "c"), ("a", "b c")):
        ingest(store, json.dumps({"specversion": "1.0", "type": "t", "source": source, "id": name}).encode())
    assert query(store, "SELECT count(*) FROM event_log") == [(2,)]


@pytest.mark.parametrize("given", [True, [1], {}, "yesterday", "1.5e9s"])
def test_a_time_of_otlp_that_is_none_is_a_reject(store, given):
    done = ingest(store, json.dumps(log_record(timeUnixNano=given)).encode())
    assert (done.recorded, done.rejected) == (0, 1)


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b'{"password": "hunter22"}', {"data": {"password": "[masked]"}}),
        ("Grüße".encode(), {"data": "Grüße"}),
        (b"\xff\x00\x01", {"data_base64": base64.b64encode(b"\xff\x00\x01").decode()}),
    ],
)
def test_binary_data_is_kept_and_made_readable_where_it_is_text(store, inspector, data, kept):
    assert ingest(store, cloud_event(data)).recorded == 1
    payload = json.loads(inspector.event(1).event_payload)
    assert {name: value for name, value in payload.items() if name.startswith("data")} == kept


def test_a_cloud_event_keeps_its_text_to_the_letter(store):
    raw = '{"specversion" : "1.0", "type":"a", "source":"/s", "id":"1", "data": 1.50}'
    ingest(store, raw.encode() + b"\n")
    assert query(store, "SELECT event_payload FROM event_log") == [(raw,)]


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_batch_on_one_line_or_on_many_is_taken_event_by_event(store, indent, end):
    batch = [json.loads(cloud_event({"text": 'a "]},{['}, id=f"A-{n}")) for n in range(5)]
    batch[2]["type"] = ""
    done = ingest(store, json.dumps(batch, indent=indent).encode() + end)
    assert (done.recorded, done.rejected) == (4, 1)
    assert "'type' of a CloudEvent" in query(store, "SELECT error FROM reject_log")[0][0]
    assert query(store, "SELECT count(*) FROM event_key WHERE key LIKE '/shop/orders A-%'") == [(4,)]


def test_batches_and_lines_of_all_kinds_may_follow_each_other(store):
    batch = b"[" + cloud_event(1, id="1") + b", " + cloud_event(2, id="2") + b"]"
    done = ingest(
        store, b"\n".join([batch, b'{"type": "a"}', b"[]", b'[{"type": "b"}, {"type": "c"}]', cloud_event(3)])
    )
    assert (done.recorded, done.known, done.rejected, done.ignored) == (6, 0, 0, 1)


@pytest.mark.parametrize("count", [1, 3])
def test_objects_that_were_written_over_many_lines_are_taken_one_by_one(store, count):
    pretty = [json.dumps(json.loads(cloud_event({"text": "}{"}, id=f"A-{n}")), indent=2) for n in range(count)]
    done = ingest(store, b"\xef\xbb\xbf" + "\n".join(pretty).encode() + b"\n")
    assert (done.recorded, done.rejected) == (count, 0)


def test_a_torn_first_line_takes_no_other_line_with_it(store):
    done = ingest(store, b'{\n{"type": "a"}\n{"type": "b"}\n')
    assert (done.recorded, done.rejected) == (2, 1)


def test_an_array_without_an_end_is_said_and_its_whole_elements_are_recorded(store):
    done = ingest(store, b'[\n{"type": "a"},\n{"type": "b"},\n{"type": "c",\n')
    assert (done.recorded, done.rejected) == (2, 1)
    assert query(store, "SELECT line_no, raw FROM reject_log") == [(4, '{"type": "c",')]


def test_a_log_line_in_brackets_takes_no_other_line_with_it(store):
    done = ingest(store, b'[ERROR no json\n{"type": "a"}\n[{"type": "b"}\n{"type": "c"}\n')
    assert (done.recorded, done.rejected) == (2, 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"specversion": "0.3"}, "CloudEvents 1.0"),
        ({"specversion": 1}, "CloudEvents 1.0"),
        ({"id": ""}, "'id'"),
        ({"source": None}, "'source'"),
        ({"type": 7}, "'type'"),
        ({"time": 5}, "'time'"),
        ({"time": "yesterday"}, "ISO 8601"),
        ({"data_base64": "%%%", "data": ...}, "base64"),
        ({"data_base64": "eA=="}, "not both"),
    ],
)
def test_a_wrong_attribute_is_a_reject_that_names_it(store, change, says):
    event = {**json.loads(cloud_event({"n": 1})), **change}
    done = ingest(store, json.dumps({name: value for name, value in event.items() if value is not ...}).encode())
    assert (done.recorded, done.rejected) == (0, 1)
    assert says in query(store, "SELECT error FROM reject_log")[0][0]


def test_what_knative_could_not_deliver_is_dead_with_its_code(store, inspector):
    undelivered = {
        "knativeerrordest": "http://cart/",
        "knativeerrorcode": "503",
        "knativeerrordata": "no healthy upstream",
    }
    ingest(store, cloud_event({"order": 17}, **undelivered))
    event = inspector.event(1)
    assert (event.sync_status, event.attempts[0].error_type) == ("DEAD", "HTTP 503")
    assert event.attempts[0].error_message == "not delivered to http://cart/: no healthy upstream"


@pytest.fixture
def otel(tmp_path):
    """A logger whose records the OpenTelemetry SDK writes to a file, and what reads that."""
    resource = Resource({"service.name": "cart", "service.namespace": "shop", "host.name": "web-1"})
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(FileLogExporter(tmp_path / "logs.jsonl")))
    handler = LoggingHandler(logger_provider=provider)
    logger = logging.getLogger("shop.checkout")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False

    def written():
        provider.shutdown()
        return (tmp_path / "logs.jsonl").read_bytes()

    yield logger, written
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def charge(order):
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError(f"order {order} is not charged") from error


def test_what_opentelemetry_logs_is_read_back_with_type_message_traceback_and_cause(store, inspector, otel):
    logger, written = otel
    logger.info("nothing to see")
    for order in (17, 18):
        try:
            charge(order)
        except RuntimeError:
            logger.exception("checkout failed", extra={"order": order, "api_token": "abcdef123456"})
    logger.error("no stock of A-1")
    data = written()
    done = ingest(store, data)
    assert (done.recorded, done.ignored, done.rejected) == (3, 1, 0)
    event = inspector.event(1)
    (attempt,) = event.attempts
    assert (event.event_type, event.source, event.sync_status) == ("shop.checkout", "shop/cart", "DEAD")
    assert (attempt.error_type, attempt.error_message) == ("RuntimeError", "order 17 is not charged")
    assert attempt.cause == "ConnectionError: connection reset"
    assert 'raise RuntimeError(f"order {order} is not charged") from error' in attempt.traceback
    assert attempt.traceback.rstrip().endswith("RuntimeError: order 17 is not charged")
    assert attempt.worker == "web-1"
    payload = json.loads(event.event_payload)
    assert payload["message"] == "checkout failed"
    assert (payload["attributes"]["order"], payload["attributes"]["api_token"]) == (17, "[masked]")
    assert payload["resource"]["host.name"] == "web-1"
    assert query(store, "SELECT error_message, error_type FROM attempt_log WHERE event_id = 3") == [
        ("no stock of A-1", "ERROR")
    ]
    assert query(store, "SELECT events FROM failure_cluster ORDER BY events") == [(1,), (2,)]
    assert query(store, "SELECT count(*) FROM traceback_log") == [(1,)]  # of both orders
    again = ingest(store, data)
    assert (again.recorded, again.known) == (0, 3)
    assert_rebuild_changes_nothing(store)


def test_the_exceptions_of_spans_are_failures_under_the_spans_name(store, inspector, tmp_path):
    provider = TracerProvider(resource=Resource({"service.name": "cart"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(FileSpanExporter(tmp_path / "spans.jsonl")))
    tracer = provider.get_tracer("shop.tracing")
    with tracer.start_as_current_span("GET /cart"):
        pass
    with pytest.raises(RuntimeError), tracer.start_as_current_span("POST /checkout"):
        charge(17)
    provider.shutdown()
    metrics = b'{"resourceMetrics": [{"scopeMetrics": []}]}'
    done = ingest(store, (tmp_path / "spans.jsonl").read_bytes() + metrics)
    assert (done.recorded, done.ignored, done.rejected) == (1, 2, 0)
    event = inspector.event(1)
    (attempt,) = event.attempts
    assert (event.event_type, event.source, attempt.error_type) == ("POST /checkout", "cart", "RuntimeError")
    assert attempt.cause == "ConnectionError: connection reset"
    assert len(json.loads(event.event_payload)["trace_id"]) == 32


def log_record(**fields):
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": 17, **fields}]}]}]}


def test_any_value_of_otlp_is_understood_and_equal_records_of_a_request_are_each_kept(store, inspector):
    body = {
        "kvlistValue": {
            "values": [
                {"key": "n", "value": {"intValue": "12"}},
                {"key": "list", "value": {"arrayValue": {"values": [{"boolValue": True}, {"doubleValue": 1.5}, {}]}}},
                {"key": "none", "value": {}},
            ]
        }
    }
    request = log_record(body=body, timeUnixNano=str(NOON_US * 1_000), eventName="cart.failed")
    records = request["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    records.append(records[0])
    assert ingest(store, json.dumps(request).encode()).recorded == 2
    event = inspector.event(1)
    assert (event.event_type, event.occurred_at) == ("cart.failed", NOON_US)
    assert json.loads(event.event_payload)["message"] == {"n": 12, "list": [True, 1.5, None], "none": None}


def test_the_cause_of_a_java_stacktrace_is_the_last_one(store, inspector):
    stack = (
        "java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: x\n\t... 1 more\n"
    )
    stack += "Caused by: java.net.ConnectException: refused\n\t... 2 more\n"
    attributes = {
        "exception.type": "java.lang.IllegalStateException",
        "exception.message": "no",
        "exception.stacktrace": stack,
    }
    pairs = [{"key": name, "value": {"stringValue": value}} for name, value in attributes.items()]
    ingest(store, json.dumps(log_record(attributes=pairs)).encode())
    (attempt,) = inspector.event(1).attempts
    assert attempt.cause == "java.net.ConnectException: refused"
    assert attempt.traceback == stack


@pytest.mark.parametrize(
    "request_",
    [
        {"resourceLogs": 5},
        {"resourceLogs": [5]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"events": 1}]}]}]},
        {"resourceMetrics": 1},
        {"resourceLogs": [{"scopeLogs": {}}, {"scopeLogs": 1}]},
        log_record(attributes=5),
        log_record(attributes=[5]),
        log_record(body=7),
        log_record(body={"intValue": "x"}),
        log_record(timeUnixNano="soon"),
    ],
)
def test_a_request_of_another_shape_is_one_reject(store, request_):
    done = ingest(store, json.dumps(request_).encode())
    assert (done.recorded, done.rejected) == (0, 1)
    assert "OTLP" in done.reasons[0] or "nanoseconds" in done.reasons[0]


def test_a_record_that_is_wrong_is_refused_by_itself_and_one_that_is_large_is_kept(store, inspector):
    request = log_record(body={"stringValue": "first"})
    records = request["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    much = {"key": "much", "value": {"stringValue": "x" * 2_000_000}}
    records += [{**records[0], "timeUnixNano": 10**30}, {**records[0], "attributes": [much]}]
    done = ingest(store, json.dumps(request).encode() + b"\n")
    assert (done.recorded, done.rejected) == (2, 1)
    ((raw, error),) = query(store, "SELECT raw, error FROM reject_log")
    assert (str(10**30) in raw, error) == (True, "occurred_at is out of range: the years 1 to 9999")
    assert json.loads(inspector.event(2).event_payload)["left_out"] == ["attributes"]


@pytest.mark.thinned
def test_a_long_text_in_an_array_is_no_trouble(store):
    began = time.monotonic()
    done = ingest(store, json.dumps([{"type": "a", "payload": "x\\" * 8_000_000}, {"type": "b"}]).encode())
    assert (done.recorded, done.rejected) == (1, 1)
    assert time.monotonic() - began < 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FORM = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("specversion", "id", "source", "type", "time", "data", "data_base64", "resourceLogs", "payload"), JSON
    ),
)


@given(st.lists(FORM | st.just({"specversion": "1.0", "id": "\x00", "source": "\n", "type": "\ud800"}), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=sized(25, 100), deadline=None)
def test_whatever_the_fields_hold_each_line_is_counted(store, forms):
    done = ingest(store, b"\n".join(json.dumps(form).encode() for form in forms))
    assert done.rejected + done.recorded + done.known >= sum("resourceLogs" not in form for form in forms)
    assert done.rejected <= len(forms)


@given(st.lists(FORM, max_size=5), st.sampled_from([None, 1]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=sized(25, 100), deadline=None)
def test_an_array_says_the_same_as_its_elements_on_lines(store, forms, indent):
    apart = ingest(store, b"\n".join(json.dumps(form).encode() for form in forms))
    array = ingest(store, json.dumps(forms, indent=indent).encode())
    assert array.recorded + array.known + array.rejected == apart.recorded + apart.known + apart.rejected
    assert array.rejected == apart.rejected
