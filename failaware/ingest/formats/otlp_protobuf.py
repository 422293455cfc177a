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
    request: Any = _REQUESTS[signal]()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise UsageError(f"the body is not an OTLP request of {signal} in protobuf: {error}") from error
    content: dict[str, Any] = MessageToDict(request, use_integers_for_enums=True)
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
