"""A connection of the HTTP server whose request heads are bounded: the server itself bounds neither size nor time."""

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_WITHIN_S = 30.0
_MAX_HEAD = 1 << 16  # bytes, in addition to those that arrive at once
_END_OF_HEAD, _CONTINUE = b"\r\n\r\n", b"HTTP/1.1 100 "
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class _Joined:
    """A transport that sends the head of an answer with its body: two packets take both sides longer than one."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.is_closing, self.get_extra_info = transport.is_closing, transport.get_extra_info
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send data; keep a head until its body, or `flush`."""
        if data.endswith(_END_OF_HEAD) and not data.startswith(_CONTINUE):
            self._head = data
            return
        self._transport.write(self._head + data)
        self._head = b""

    def close(self) -> None:
        """Close the connection after what was written."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send a head that has no body."""
        if self._head:
            self.write(b"")


class Connection(HttpToolsProtocol):
    """Closes itself if the head of a request does not end."""

    _is_in_head = True
    _has_progressed = False
    _size = 0  # bytes since the last part of a body, or the end of a head or a request
    _too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        self._joined = _Joined(transport)
        super().connection_made(cast("asyncio.Transport", self._joined))
        self._too_late = self.loop.call_later(_HEAD_WITHIN_S, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request: its head, its body, or what may follow that, which is bounded as a head."""
        self._has_progressed = False
        super().data_received(data)
        self._size = 0 if self._has_progressed else self._size + len(data)
        if self._size > _MAX_HEAD and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._is_in_head and self._too_late is None:
            self._too_late = self.loop.call_later(_HEAD_WITHIN_S, self.transport.close)

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the head."""
        self._is_in_head, self._has_progressed = False, True
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Read a part of the body."""
        self._has_progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._has_progressed = True
        super().on_message_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether to answer a client that sends nothing more: if its request is complete."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            return False
        cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        """End an answer; one to HEAD has no body."""
        self._joined.flush()
        super().on_response_complete()

    def _stop_waiting(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None
