"""OpenTelemetry's requests as protobuf: decoded to the form of OTLP/JSON, which `otlp` reads.

Needs the package opentelemetry-proto, of the extra `serve`.
"""

import base64
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from failaware.errors import UsageError

_REQUESTS: dict[str, Any] = {"logs": ExportLogsServiceRequest, "traces": ExportTraceServiceRequest}
_IDS = ("traceId", "spanId", "parentSpanId")


def decode(body: bytes, signal: str) -> dict[str, Any]:
    """Return a request as OTLP/JSON has it.

    Args:
        body: the message.
        signal: logs or traces.

    Raises:
        UsageError: it is not such a message.
    """
    return _as_json(_message(body, signal))


def decode_any(body: bytes) -> dict[str, Any]:
    """Return a message of any signal as OTLP/JSON has it.

    The signals have the same outer structure: which one it is, the innermost records show. Those of another signal are
    read without an error, but lack what every record has, since their fields have other types.

    Raises:
        UsageError: it is not such a message.
    """
    traces = _message(body, "traces")
    spans = [span for each in traces.resource_spans for scope in each.scope_spans for span in scope.spans]
    if spans and all(len(span.trace_id) == 16 and len(span.span_id) == 8 for span in spans):
        return _as_json(traces)
    logs = _message(body, "logs")
    records = [record for each in logs.resource_logs for scope in each.scope_logs for record in scope.log_records]
    if any(record.time_unix_nano or record.observed_time_unix_nano or record.severity_number for record in records):
        return _as_json(logs)
    return {"resourceMetrics": [{} for _ in traces.resource_spans]}


def _message(body: bytes, signal: str) -> Any:
    message: Any = _REQUESTS[signal]()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise UsageError(f"this is not an OTLP request of {signal} in protobuf: {error}") from error
    return message


def _as_json(message: Any) -> dict[str, Any]:
    content: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    _ids_as_hex(content)
    return content


def answer(signal: str, rejected: int, reason: str) -> bytes:
    """Return the answer to a request, of which some entries may have been rejected."""
    response: Any = ExportLogsServiceResponse() if signal == "logs" else ExportTraceServiceResponse()
    if rejected:
        partial = response.partial_success
        setattr(partial, "rejected_log_records" if signal == "logs" else "rejected_spans", rejected)
        partial.error_message = reason
    content: bytes = response.SerializeToString()
    return content


def _ids_as_hex(value: Any) -> None:
    """Protobuf's own JSON has ids in base64, OTLP/JSON in hexadecimal."""
    if isinstance(value, list):
        for item in value:
            _ids_as_hex(item)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name in _IDS and isinstance(member, str):
                value[name] = base64.b64decode(member).hex()
            elif isinstance(member, dict | list):
                _ids_as_hex(member)
