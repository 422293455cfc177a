"""A transport for the Sentry SDK that records a program's errors in a store instead of sending them.

Each error is an event with one attempt, DEAD. Not recorded are transactions, profiles, sessions, check-ins, metrics,
logs, and messages below ERROR without an exception.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport as SdkTransport
from sentry_sdk.transport import make_transport

from failaware.ingest.formats.sentry import parse
from failaware.integrations.background import Background

if TYPE_CHECKING:
    from failaware.store import Store

_CLOSE_TIMEOUT_S = 2.0  # longest wait at exit where the SDK does not flush: in a child of multiprocessing
_CALLBACK_AFTER_S = 0.1  # a flush that takes longer calls the SDK's callback


class Transport(SdkTransport):
    """Records the errors of a program: `sentry_sdk.init(transport=Transport(store))`. Needs no DSN and no network.

    The type of an event is the SDK's transaction (an endpoint, a task) or else its logger; its key is the SDK's event
    id. The SDK's calls never wait for the store and never fail because of it. `flush` and the end of the program wait
    for as long as the SDK allows (`shutdown_timeout`, 2 s).

    Args:
        store: the store to record in; it must stay open for as long as the SDK's client is used.
        also: also hand everything to the transport that the SDK would use without this one, which sends it to the DSN.
        capacity: the most events in the queue; further ones are dropped and counted in `dropped`.
    """

    def __init__(self, store: "Store", *, also: bool = False, capacity: int = 1_000) -> None:
        super().__init__()
        self._also = also
        self._onward: SdkTransport | None = None
        self._recorder = store.session.recorder
        self._clock = store.session.clock
        self._background = Background(store, capacity, "errors", close_timeout_s=_CLOSE_TIMEOUT_S)

    @property
    def dropped(self) -> int:
        """How many events were lost."""
        return self._background.dropped

    def capture_envelope(self, envelope: Envelope) -> None:
        """Queue the error that the SDK would send. Never raises, never waits."""
        self._record(envelope)
        if (onward := self._sdk_transport()) is not None:
            onward.capture_envelope(envelope)

    def _sdk_transport(self) -> SdkTransport | None:
        """Return the SDK's own transport, which is made with the first envelope: then the SDK knows its client."""
        if self._also and self._onward is None:
            client = sentry_sdk.get_client()
            if client.transport is self:
                self._onward = make_transport(client.options | {"transport": None})
                self.parsed_dsn = None if self._onward is None else self._onward.parsed_dsn
        return self._onward

    def _record(self, envelope: Envelope) -> None:
        try:
            event = envelope.get_event()
            observed = None if event is None else parse(event, self._recorder, self._clock())
            if observed is not None:
                self._background.put(observed)
        except Exception as error:  # noqa: BLE001 - the program must not fail because its error cannot be recorded
            self._background.drop(f"{type(error).__name__}: {error}")

    def flush(self, timeout: float, callback: Callable[[int, float], None] | None = None) -> None:
        """Wait until the queue is written, for at most `timeout` seconds.

        If that takes longer than 0.1 s, `callback` is called with the number of queued events and the timeout.
        """
        until = time.monotonic() + timeout
        if not self._background.flush(min(_CALLBACK_AFTER_S, timeout)):
            if callback is not None:
                callback(self._background.waiting, timeout)
            self._background.flush(until - time.monotonic())
        if self._onward is not None:
            self._onward.flush(max(0.0, until - time.monotonic()), callback)

    def kill(self) -> None:
        """Drop the queue, and report lost events on standard error.

        The SDK calls it when its client is closed. Later events are still recorded.
        """
        self._background.abandon()
        if self._onward is not None:
            self._onward.kill()

    def record_lost_event(self, *args: Any, **kwargs: Any) -> None:
        """Count an event that the SDK itself left out, for the SDK's own report."""
        if self._onward is not None:
            self._onward.record_lost_event(*args, **kwargs)

    def is_healthy(self) -> bool:
        """Whether the SDK's own transport, if there is one, can send."""
        return self._onward is None or self._onward.is_healthy()
