"""Files of OpenTelemetry's requests as protobuf, as the collector's file exporter and the specification have them."""

import io
import json
import subprocess
import sys

import pytest
import zstandard
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from failaware.errors import UsageError
from failaware.ingest.files import ingest_file
from failaware.ingest.follow import follow
from failaware.ingest.protobuf_file import is_protobuf
from failaware.ingest.stream import MAX_LINE, Input
from tests import processes
from tests.cli.test_commands import failaware

SERVICE = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
TRACE, SPAN = "W47/95gDgQPSabYzgT/GDA==", "7uGbfsPBsXQ="


def logs(n, message="card declined"):
    record = {"timeUnixNano": str(1795900000000000000 + n), "severityNumber": 17, "body": {"stringValue": message}}
    content = {"resource": SERVICE, "scopeLogs": [{"scope": {"name": "shop.payment"}, "logRecords": [record]}]}
    return ParseDict({"resourceLogs": [content]}, ExportLogsServiceRequest()).SerializeToString()


def traces(n):
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "GET /orders",
        "startTimeUnixNano": str(1795900000000000000 + n),
        "endTimeUnixNano": str(1795900002000000000 + n),
        "attributes": [{"key": "error.type", "value": {"stringValue": "503"}}],
        "status": {"code": 2, "message": "upstream answered 503"},
    }
    content = {"resource": SERVICE, "scopeSpans": [{"scope": {"name": "http"}, "spans": [span, span | {"status": {}}]}]}
    return ParseDict({"resourceSpans": [content]}, ExportTraceServiceRequest()).SerializeToString()


def metrics():
    points = {"dataPoints": [{"timeUnixNano": "1795900000000000000", "asInt": "3"}], "isMonotonic": True}
    named = {"name": "a_name_of_16_let", "description": "8letters", "unit": "1", "sum": points}
    content = {"resource": SERVICE, "scopeMetrics": [{"scope": {"name": "m"}, "metrics": [named]}]}
    return ParseDict({"resourceMetrics": [content]}, ExportMetricsServiceRequest()).SerializeToString()


def four_bytes(message):
    return len(message).to_bytes(4) + message


def varint(message):
    length, prefix = len(message), b""
    while length > 0x7F:
        prefix, length = prefix + bytes((length & 0x7F | 0x80,)), length >> 7
    return prefix + bytes((length,)) + message


def ingested(store, content, part=1 << 20):
    class Parts(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, part) if size >= 0 else part)

        def fileno(self):
            raise io.UnsupportedOperation

    return ingest_file(store.session, Input(Parts(content)), origin="otel.pb")


@pytest.mark.parametrize("framed", [four_bytes, varint])
@pytest.mark.parametrize("part", [1 << 20, 100])
def test_messages_of_every_signal(store, inspector, framed, part):
    content = b"".join(map(framed, (logs(1), metrics(), traces(2), logs(3))))
    total = ingested(store, content, part)
    assert (total.recorded, total.known, total.rejected, total.ignored) == (3, 0, 0, 2)
    again = ingested(store, content, part)
    assert (again.recorded, again.known) == (0, 3)
    third, second, first = inspector.events()
    assert [event.event_type for event in (first, second, third)] == ["shop.payment", "GET /orders", "shop.payment"]
    assert (second.last_error_type, second.last_error, second.source) == ("503", "upstream answered 503", "shop")
    payload = json.loads(inspector.event(second.event_id).event_payload)
    assert (payload["trace_id"], payload["span"]["duration_ms"]) == ("5b8efff798038103d269b633813fc60c", 2_000)


def as_json(n):
    record = {
        "timeUnixNano": str(1795900000000000000 + n),
        "severityNumber": 17,
        "body": {"stringValue": "card declined"},
    }
    content = {"resource": SERVICE, "scopeLogs": [{"scope": {"name": "shop.payment"}, "logRecords": [record]}]}
    return json.dumps({"resourceLogs": [content]}).encode()


def test_the_same_record_as_json_is_known(store):
    assert ingested(store, four_bytes(logs(1))).recorded == 1
    assert ingested(store, as_json(1)).known == 1


@pytest.mark.parametrize("part", [1 << 20, 100])
def test_messages_that_the_collector_has_compressed(store, part):
    content = b"".join(four_bytes(zstandard.compress(message)) for message in (logs(1), traces(2), as_json(3)))
    total = ingested(store, content, part)
    assert (total.recorded, total.rejected, total.ignored) == (3, 0, 1)
    assert ingested(store, as_json(1)).known == 1
    assert ingested(store, four_bytes(logs(3))).known == 1


def test_a_compressed_message_that_is_damaged_or_too_long_does_not_affect_the_others(store):
    compressed = zstandard.compress(logs(1))
    damaged = compressed[:-3], compressed[:6] + b"\xff" * 40, zstandard.compress(b"{" + b" " * (MAX_LINE + 1))
    damaged = (*damaged, zstandard.compress(b"{]"))
    total = ingested(store, b"".join(map(four_bytes, (zstandard.compress(logs(2)), *damaged, compressed))))
    assert (total.recorded, total.rejected) == (2, 4)
    early, broken, long, not_json = total.reasons
    assert early.endswith("2: the message is not valid zstd: it ends too early")
    assert "3: the message is not valid zstd: " in broken
    assert f"more than {MAX_LINE:,} bytes after decompression" in long
    assert "5: the message is not valid JSON: " in not_json


@pytest.mark.sqlite("a file is enough here")
@pytest.mark.parametrize("content", [logs(1), zstandard.compress(as_json(1))])
def test_a_followed_file_must_have_lines(store, tmp_path, content):
    file = tmp_path / "otel.pb"
    file.write_bytes(four_bytes(content))
    with pytest.raises(UsageError, match=r"run 'failaware ingest .*' from time to time, which skips what is known"):
        follow(store.session, [str(file)], stop=lambda _seconds: True, warn=print)


def test_a_damaged_message_does_not_affect_the_others(store, inspector):
    damaged = bytearray(four_bytes(logs(2)))
    damaged[5:] = b"\xff" * (len(damaged) - 5)
    total = ingested(store, four_bytes(logs(1)) + bytes(damaged) + four_bytes(logs(3)))
    assert (total.recorded, total.rejected) == (2, 1)
    assert "2: this is not an OTLP request" in total.reasons[0]


def test_a_file_that_ends_within_a_message_says_so(store):
    total = ingested(store, four_bytes(logs(1)) + four_bytes(logs(2))[:-7])
    assert (total.recorded, total.rejected, total.reasons) == (
        1,
        1,
        ["otel.pb:2: the input ends within a message"],
    )


def test_a_length_that_is_none_ends_the_reading(store):
    total = ingested(store, four_bytes(logs(1)) + b"\x7f\xff\xff\xff" + logs(2))
    assert (total.recorded, total.rejected) == (1, 1)
    assert "what follows is not read" in total.reasons[0]


@pytest.mark.parametrize(
    "text",
    [b"A\n>\n" + b"x" * 61 + b"\n", b'{"type": "a"}\n', b"\n\n\n", b"\0\0\0\n\n", b"", b"\x02\n\0", b"<a>\n</a>"],
)
def test_text_is_not_mistaken_for_it(text):
    assert not is_protobuf(text)


@pytest.mark.sqlite("a file is enough here")
def test_at_the_command_line_and_through_a_pipe(path, tmp_path):
    file = tmp_path / "otel.pb"
    file.write_bytes(four_bytes(logs(1)) + four_bytes(traces(2)))
    assert failaware("ingest", str(file), db=path).stdout.startswith("2 recorded, 1 ignored as no failures, 0 rejected")
    command = [sys.executable, "-m", "failaware", "--db", str(path), "ingest", "-"]
    done = processes.run(command, input=file.read_bytes() + four_bytes(logs(3)), stdout=subprocess.PIPE, check=True)
    assert done.stdout.startswith(b"1 recorded, 2 known by their key")


@pytest.mark.sqlite("a file is enough here")
def test_without_the_extra_it_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "failaware.ingest.formats.otlp_protobuf", None)
    with pytest.raises(Exception, match=r"pip install 'failaware\[serve\]'"):
        ingested(store, four_bytes(logs(1)))
