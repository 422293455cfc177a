"""The receiver as a web application: each request is checked, read, recorded, and answered after it is on disk.

Requests are handled as ASGI has them: objects for each request and its answer would take a fifth of the time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from failaware.capture.record import Recorder
from failaware.errors import UsageError
from failaware.ingest.chunk import Collected
from failaware.serve import protocols
from failaware.serve.access import Access
from failaware.serve.bodies import LARGE, read_body
from failaware.serve.counters import Counters
from failaware.serve.inbox import Inbox, Written
from failaware.serve.protocols import Answer, Request
from failaware.serve.refusal import Refusal
from failaware.serve.timeouts import Timeouts
from failaware.session import Session

_Reader = Callable[[Request, Recorder, Callable[[], int]], tuple[Collected, Callable[[Written], Answer]]]
_Headers = Mapping[str, str]
_OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_SPOTLIGHT = (b"x-powered-by", b"spotlight-by-sentry")  # Sentry's development clients ask for it before they send
_TRUSTED_METHODS = b"POST, OPTIONS"
_TRUSTED_HEADERS = b"authorization, content-encoding, content-type, x-failaware-key, x-sentry-auth"


class Arrival(NamedTuple):
    """A request that was handled, for the line on the terminal."""

    protocol: str
    collected: Collected | None
    """What it brought; None if it was refused."""
    rejected: int
    refusal: str


class Receiver:
    """Handles requests.

    Args:
        session: the store to record in.
        access: who may write.
        inbox: writes what requests bring.
        counters: counts what happens.
        notice: called after each request.
    """

    def __init__(
        self,
        session: Session,
        access: Access,
        inbox: Inbox,
        counters: Counters,
        notice: Callable[[Arrival], None],
    ) -> None:
        self._session, self._access, self._inbox = session, access, inbox
        self._counters, self._notice = counters, notice
        self._timeouts = Timeouts()

    def application(self) -> Router:
        """The application."""
        post: dict[str, tuple[str, _Reader]] = {
            "/api/{project}/envelope/": ("sentry", protocols.sentry_envelope),
            "/api/{project}/store/": ("sentry", protocols.sentry_store),
            "/v1/logs": ("otlp", partial(protocols.otlp_request, "logs")),
            "/v1/traces": ("otlp", partial(protocols.otlp_request, "traces")),
            "/v1/metrics": ("otlp", protocols.otlp_metrics),
            "/events": ("", protocols.events),
            "/stream": ("sentry", protocols.sentry_envelope),  # spotlight
        }
        get = {"/health": self._health, "/metrics": self._metrics}
        return Router(
            [
                *(
                    Route(path, _Endpoint(self._access, partial(self._post, *how)), methods=["POST", "OPTIONS"])
                    for path, how in post.items()
                ),
                *(Route(path, _Endpoint(self._access, answer), methods=["GET"]) for path, answer in get.items()),
            ],
            default=_Endpoint(self._access, partial(self._post, "other", protocols.nothing)),
        )

    async def _post(self, protocol: str, reader: _Reader, scope: Scope, receive: Receive, headers: _Headers) -> Answer:
        protocol = protocol or ("cloudevents" if protocols.is_cloudevent(Request("", headers, b"")) else "lines")
        self._counters.add(protocol, received=1)
        try:
            return await self._recorded(protocol, reader, scope, receive, headers)
        except Exception as error:  # noqa: BLE001 - the client must be answered
            known = isinstance(error, Refusal | UsageError)
            refusal = (
                error if known else Refusal(500, f"this may be a bug in failaware: {type(error).__name__}: {error}")
            )
            self._counters.add(protocol, refused=1)
            self._notice(Arrival(protocol, None, 0, str(refusal)))
            raise refusal from None

    async def _recorded(
        self, protocol: str, reader: _Reader, scope: Scope, receive: Receive, headers: _Headers
    ) -> Answer:
        self._access.check(headers)
        if scope["method"] == "OPTIONS":
            return Answer(204, "", b"")
        if protocol != "sentry":
            self._check_key(scope, headers)
        body = await read_body(receive, headers.get("content-encoding", ""), self._timeouts)
        if protocol == "sentry":  # an SDK may send the key in the body alone
            self._check_key(scope, headers, body)
        read = partial(reader, Request(scope["path"], headers, body), self._session.recorder, self._session.clock)
        collected, answer = read() if len(body) < LARGE else await asyncio.to_thread(read)
        written = await self._inbox.put(collected, len(body)) if len(collected) else Written(0, [])
        rejected = len(written.rejects)
        self._counters.add(protocol, recorded=written.recorded, skipped=collected.ignored, rejected=rejected)
        self._notice(Arrival(protocol, collected, rejected, ""))
        return answer(written)

    async def _health(self, _scope: Scope, _receive: Receive, headers: _Headers) -> Answer:
        self._access.check(headers)
        return Answer(200, "application/json", b'{"status": "ok"}', (_SPOTLIGHT,))

    async def _metrics(self, scope: Scope, _receive: Receive, headers: _Headers) -> Answer:
        self._access.check(headers)
        self._check_key(scope, headers)
        return Answer(200, _OPEN_METRICS, self._counters.open_metrics().encode())

    def _check_key(self, scope: Scope, headers: _Headers, envelope: bytes | None = None) -> None:
        if self._access.key:
            query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
            self._access.check_key(headers, query, envelope)


class _Endpoint:
    """Answers requests to one path; a refusal is an answer too.

    Args:
        access: says which web pages may read the answers.
        answer: returns an answer, or raises why there is none.
    """

    def __init__(self, access: Access, answer: Callable[[Scope, Receive, _Headers], Awaitable[Answer]]) -> None:
        self._access, self._answer = access, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, as ASGI says."""
        headers = _decoded(scope["headers"])
        try:
            answer = await self._answer(scope, receive, headers)
        except (Refusal, UsageError) as error:
            answer = _refused(error)
        fields = [*answer.headers, *self._cross_origin(headers)]
        if answer.status != 204:
            fields.append((b"content-length", b"%d" % len(answer.body)))
            fields.append((b"content-type", answer.media_type.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        await send({"type": "http.response.body", "body": answer.body})

    def _cross_origin(self, headers: _Headers) -> list[tuple[bytes, bytes]]:
        """What lets the browser give the answer to a page that may write."""
        origin = headers.get("origin")
        if origin is None or origin not in self._access.origins:
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-methods", _TRUSTED_METHODS),
            (b"access-control-allow-headers", _TRUSTED_HEADERS),
            (b"vary", b"Origin"),
        ]


def _decoded(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return header fields by name. Several of one name are one list, so that no second Host hides the first."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}
    if len(headers) < len(fields):
        for name in headers:
            headers[name] = ", ".join(value.decode("latin-1") for other, value in fields if other.decode() == name)
    return headers


def _refused(error: Refusal | UsageError) -> Answer:
    status, retry_after_s = (error.status, error.retry_after_s) if isinstance(error, Refusal) else (400, None)
    later = () if retry_after_s is None else ((b"retry-after", b"%d" % retry_after_s),)
    return protocols.as_answer(status, {"detail": str(error)})._replace(headers=later)
