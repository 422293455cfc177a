"""What the SDKs of Sentry, OpenTelemetry and CloudEvents send, unchanged. Python's for Sentry is in test_program.py."""

import json
import os
import shutil
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter as JsonLogs
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter as JsonSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as ProtobufLogs
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as ProtobufSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests import environments, processes

pytestmark = pytest.mark.sqlite("a file is enough here")
HERE = Path(__file__).parent
SCRIPTS = HERE / "node"
GO_PATH = Path("/usr/share/gocode")  # of Debian's packages, such as golang-github-getsentry-sentry-go-dev


def node(client, script, *words):
    """Run a script that reports to the receiver, and return its events by their last error."""
    url = f"http://127.0.0.1:{client.port}"
    environment = os.environ | {
        "NODE_PATH": environments.node_modules(),
        "SENTRY_DSN": url.replace("://", "://failaware@") + "/1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "FAILAWARE_URL": url,
    }
    command = ["node", str(SCRIPTS / script), *words]
    done = processes.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return client.events()


def test_sentry_for_node(client):
    events = node(client, "sentry.cjs")
    charge, group, message = (event.attempts[-1] for event in events)
    assert (charge.error_type, charge.error_message) == ("TypeError", "cannot charge order 17")
    assert charge.cause.startswith("SyntaxError: ")
    first, second = charge.traceback.splitlines()[:2]
    assert (first, second.startswith("    at charge (")) == ("TypeError: cannot charge order 17", True)
    assert "Caused by: SyntaxError: " in charge.traceback
    assert (group.error_type, group.cause) == ("AggregateError", "RangeError: no stock\n+ Error: no courier")
    assert (message.error_type, message.error_message) == ("ERROR", "queue is full")
    payload = json.loads(events[0].event_payload)
    about = {"release": "shop@1.2", "environment": "staging", "server_name": "web-1", "tags": {"region": "eu"}}
    assert payload.items() >= about.items()
    assert payload["user"] == {"id": "u17", "email": "[masked]"}
    assert payload["extra"] == {"order": 17}
    assert len(payload["contexts"]["trace"]["trace_id"]) == 32
    assert client.counters.of("rejected") == client.counters.of("refused") == 0


def sentry_events(client, command, **variables):
    """Run a program with an SDK of Sentry; returns its events."""
    environment = os.environ | variables | {"SENTRY_DSN": f"http://failaware@127.0.0.1:{client.port}/1"}
    done = processes.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert client.counters.of("rejected") == client.counters.of("refused") == 0
    return client.events()


@pytest.mark.large
def test_sentry_for_go(client, tmp_path):
    if shutil.which("go") is None or not (GO_PATH / "src/github.com/getsentry/sentry-go").exists():
        pytest.skip("there is no Go, or no sentry-go from Debian's package")
    variables = {"GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOCACHE": str(tmp_path)}
    events = sentry_events(client, ["go", "run", str(HERE / "go" / "sentry.go")], **variables)
    assert {event.event_type for event in events} == {"POST /checkout"}
    charge, panic = (event.attempts[0] for event in events)  # a message below ERROR is skipped
    assert (charge.error_type, charge.error_message) == (
        "*fmt.wrapError",
        "order 17 is not charged: connection reset",
    )
    assert charge.cause == "*errors.errorString: connection reset"
    assert charge.traceback.splitlines()[1] == "main.main(...)"
    assert (panic.error_type, panic.error_message) == ("runtime.plainError", "assignment to entry in nil map")
    assert panic.worker == "web-1"


@pytest.mark.large
def test_sentry_for_ruby(client):
    if shutil.which("ruby") is None or processes.run(["ruby", "-e", "require 'sentry-ruby'"], check=False).returncode:
        pytest.skip("there is no Ruby, or no sentry-ruby")
    charge, message = sentry_events(client, ["ruby", str(HERE / "ruby" / "sentry.rb")])
    (attempt,) = charge.attempts
    assert (attempt.error_type, attempt.error_message) == ("ArgumentError", "order 17 is not charged")
    assert attempt.cause == "IOError: connection reset"
    assert attempt.traceback.splitlines()[1].endswith("in 'rescue in charge'")
    assert message.attempts[0].error_message == "only a message"


@pytest.mark.parametrize("encoding", ["http", "proto"])
def test_opentelemetry_for_javascript(client, encoding):
    charge, call, mail = node(client, "otel.cjs", encoding)
    assert_failures_of_the_shop(charge, call, mail, "unknown_service:node")
    assert "at main (" in charge.attempts[-1].traceback
    assert client.counters.counts["skipped", "otlp"] == 1


def assert_failures_of_the_shop(charge, call, mail, source):
    assert [event.event_type for event in (charge, call, mail)] == ["charge", "GET /orders", "shop.mail"]
    assert {event.source for event in (charge, call, mail)} == {source}
    errors = [(last.error_type, last.error_message) for last in (e.attempts[-1] for e in (charge, call, mail))]
    assert errors == [("TypeError", "no price"), ("503", "upstream answered 503"), ("ERROR", "mail server is gone")]
    span = json.loads(charge.event_payload)["span"]
    assert (span["kind"], span["status"], span["attributes"]) == ("INTERNAL", "ERROR", {"order": 17})
    assert charge.attempts[-1].finished_at > charge.attempts[-1].started_at
    assert json.loads(call.event_payload)["span"]["kind"] == "CLIENT"
    assert len(json.loads(call.event_payload)["trace_id"]) == 32


@pytest.mark.parametrize(
    ("spans", "logs", "how"),
    [
        (ProtobufSpans, ProtobufLogs, {}),
        (ProtobufSpans, ProtobufLogs, {"compression": Compression.Gzip}),
        (JsonSpans, JsonLogs, {}),
    ],
    ids=["protobuf", "gzip", "json"],
)
def test_opentelemetry_for_python(client, spans, logs, how):
    url, resource = f"http://127.0.0.1:{client.port}/v1", Resource({"service.name": "shop"})
    tracing, logging = TracerProvider(resource=resource), LoggerProvider(resource=resource)
    tracing.add_span_processor(SimpleSpanProcessor(spans(endpoint=f"{url}/traces", **how)))
    logging.add_log_record_processor(SimpleLogRecordProcessor(logs(endpoint=f"{url}/logs", **how)))
    tracer = tracing.get_tracer("shop")
    with pytest.raises(TypeError), tracer.start_as_current_span("charge", attributes={"order": 17}):
        raise TypeError("no price")
    with tracer.start_as_current_span(
        "GET /orders", kind=trace.SpanKind.CLIENT, attributes={"error.type": "503"}
    ) as span:
        span.set_status(trace.StatusCode.ERROR, "upstream answered 503")
    with tracer.start_as_current_span("fine"):
        pass
    log_error(logging.get_logger("shop.mail"), "mail server is gone")
    tracing.shutdown()
    logging.shutdown()
    assert_failures_of_the_shop(*client.events(), "shop")
    assert client.counters.counts["skipped", "otlp"] == 1


def log_error(logger, body):
    from opentelemetry._logs import LogRecord, SeverityNumber

    logger.emit(LogRecord(severity_number=SeverityNumber.ERROR, severity_text="ERROR", body=body))


def test_cloudevents_for_javascript(client):
    events = node(client, "cloudevents.cjs")
    assert [event.key for event in events] == ["/shop binary", "/shop structured"]
    assert [json.loads(event.event_payload)["data"] for event in events] == [{"id": "binary"}, {"id": "structured"}]
