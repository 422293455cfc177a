"""The receiver as a web application: each request is checked, read, recorded, and answered after it is on disk."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from failaware.capture.record import Recorder
from failaware.errors import UsageError
from failaware.ingest.chunk import Collected
from failaware.serve import protocols
from failaware.serve.access import Access
from failaware.serve.bodies import read_body
from failaware.serve.counters import Counters
from failaware.serve.inbox import Inbox, Written
from failaware.serve.protocols import Answer, Request
from failaware.serve.refusal import Refusal
from failaware.session import Session

_Reader = Callable[[Request, Recorder, Callable[[], int]], tuple[Collected, Callable[[Written], Answer]]]
_OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_SPOTLIGHT = {"X-Powered-By": "spotlight-by-sentry"}  # Sentry's development clients ask for it before they send
_TRUSTED_METHODS = "POST, OPTIONS"
_TRUSTED_HEADERS = "authorization, content-encoding, content-type, x-failaware-key, x-sentry-auth"


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

    def application(self) -> Starlette:
        """The application."""
        post = ["POST", "OPTIONS"]
        logs, traces = partial(protocols.otlp_request, "logs"), partial(protocols.otlp_request, "traces")
        return Starlette(
            routes=[
                Route("/api/{project}/envelope/", self._endpoint("sentry", protocols.sentry_envelope), methods=post),
                Route("/api/{project}/store/", self._endpoint("sentry", protocols.sentry_store), methods=post),
                Route("/v1/logs", self._endpoint("otlp", logs), methods=post),
                Route("/v1/traces", self._endpoint("otlp", traces), methods=post),
                Route("/events", self._endpoint("", protocols.events), methods=post),
                Route("/stream", self._endpoint("sentry", protocols.sentry_envelope), methods=post),  # spotlight
                Route("/health", self._health, methods=["GET"]),
                Route("/metrics", self._metrics, methods=["GET"]),
            ]
        )

    def _endpoint(self, protocol: str, reader: _Reader) -> Callable[[HttpRequest], Any]:
        async def handle(http: HttpRequest) -> Response:
            headers = _joined(http)
            name = protocol or ("cloudevents" if protocols.is_cloudevent(Request("", headers, b"")) else "lines")
            self._counters.add(name, requests=1)
            try:
                response = await self._handle(http, headers, name, reader)
            except (Refusal, UsageError) as refusal:
                response = self._refused(name, refusal)
            return self._with_origin(headers, response)

        return handle

    async def _handle(self, http: HttpRequest, headers: Mapping[str, str], protocol: str, reader: _Reader) -> Response:
        self._access.check(headers)
        if http.method == "OPTIONS":
            return Response(status_code=204)
        if protocol != "sentry":
            self._access.check_key(headers, http.query_params)
        try:
            body = await read_body(http.stream(), headers.get("content-encoding", ""))
        except ClientDisconnect:
            raise Refusal(400, "the client went away before the body was complete") from None
        if protocol == "sentry":  # an SDK may send the key in the body alone
            self._access.check_key(headers, http.query_params, body)
        collected, answer = reader(Request(http.url.path, headers, body), self._session.recorder, self._session.clock)
        written = await self._inbox.put(collected, len(body)) if len(collected) else Written(0, [])
        rejected = len(written.rejects)
        self._counters.add(protocol, recorded=written.recorded, skipped=collected.ignored, rejected=rejected)
        self._notice(Arrival(protocol, collected, rejected, ""))
        status, media_type, content = answer(written)
        return Response(content, status, media_type=media_type)

    def _refused(self, protocol: str, error: Refusal | UsageError) -> Response:
        self._counters.add(protocol, refused=1)
        self._notice(Arrival(protocol, None, 0, str(error)))
        status, retry_after_s = (error.status, error.retry_after_s) if isinstance(error, Refusal) else (400, None)
        response = JSONResponse({"detail": str(error)}, status)
        if retry_after_s is not None:
            response.headers["Retry-After"] = str(retry_after_s)
        return response

    def _with_origin(self, headers: Mapping[str, str], response: Response) -> Response:
        """Let the browser give the answer to a page that may write."""
        origin = headers.get("origin", "")
        if origin in self._access.origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Methods"] = _TRUSTED_METHODS
            response.headers["Access-Control-Allow-Headers"] = _TRUSTED_HEADERS
            response.headers["Vary"] = "Origin"
        return response

    async def _health(self, http: HttpRequest) -> Response:
        try:
            self._access.check(_joined(http))
        except Refusal as refusal:
            return JSONResponse({"detail": str(refusal)}, refusal.status)
        return JSONResponse({"status": "ok"}, headers=_SPOTLIGHT)

    async def _metrics(self, http: HttpRequest) -> Response:
        try:
            self._access.check(_joined(http))
            self._access.check_key(_joined(http), http.query_params)
        except Refusal as refusal:
            return JSONResponse({"detail": str(refusal)}, refusal.status)
        return Response(self._counters.open_metrics(), media_type=_OPEN_METRICS)


def _joined(http: HttpRequest) -> dict[str, str]:
    """The headers by their name in lower case."""
    return dict(http.headers.items())
