"""Runs the receiver in a thread of its own, from when it listens until everything that was received is written."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import uvicorn

from failaware.errors import UsageError
from failaware.serve.access import Access
from failaware.serve.app import Arrival, Receiver
from failaware.serve.connection import Connection
from failaware.serve.counters import Counters
from failaware.serve.inbox import Inbox
from failaware.session import Session

_BACKLOG = 1_024
_MOST_CONNECTIONS = 1_000
_KEEPS_ALIVE_S = 75
_GRACE_S = 30  # for requests under way when it stops: those that wait for the store are answered within that
_POLL_S = 0.05


class Address(NamedTuple):
    """Where the receiver listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """For clients on this machine, if it listens on every interface."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host)  # noqa: S104 - read, not bound
        return f"http://{host or (f'[{self.host}]' if ':' in self.host else self.host)}:{self.port}"

    def dsn(self, key: str) -> str:
        """The DSN for Sentry's SDKs, which need a key in any case."""
        return self.url.replace("://", f"://{key or 'failaware'}@", 1) + "/1"


def listen(address: Address) -> socket.socket:
    """Listen, on a port that the system chooses if it is 0.

    Raises:
        UsageError: the address cannot be used.
    """
    try:
        family, *_, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        # With this protocol number, asyncio sends the head and the body of an answer without waiting for the client's
        # delayed acknowledgment in between, which takes 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(
            f"cannot listen on {address.host}:{address.port}: {getattr(error, 'strerror', None) or error}; "
            "name another address with --listen"
        ) from None
    return listening


@contextmanager
def receiving(
    session: Session, listening: socket.socket, access: Access, notice: Callable[[Arrival], None]
) -> Iterator["Receiving"]:
    """Receive within the block; at its end, requests under way are answered, and everything is written.

    Args:
        session: the store to record in.
        listening: where.
        access: who may write.
        notice: called after each request, in another thread.
    """
    receiving = Receiving(session, listening, access, notice)
    receiving.start()
    try:
        yield receiving
    finally:
        receiving.stop()


class Receiving:
    """The thread that receives. Use `receiving`."""

    def __init__(
        self, session: Session, listening: socket.socket, access: Access, notice: Callable[[Arrival], None]
    ) -> None:
        self.counters = Counters.zero()
        """What has happened so far."""
        self.error: BaseException | None = None
        """Why the thread has ended, if it should not have."""
        self._session, self._listening, self._access, self._notice = session, listening, access, notice
        self._thread = threading.Thread(target=self._run, name="failaware-receiver")
        self._ready = threading.Event()
        self._uvicorn: uvicorn.Server | None = None

    def start(self) -> None:
        """Return when requests are answered."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Answer the requests under way, write everything, and end the thread."""
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        while self._thread.is_alive():
            self._thread.join(_POLL_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        inbox = Inbox(self._session)
        try:
            receiver = Receiver(self._session, self._access, inbox, self.counters, self._notice)
            config = uvicorn.Config(
                receiver.application(),
                http=Connection,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=_KEEPS_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
            )
            self._uvicorn = uvicorn.Server(config)
            self._ready.set()
            await self._uvicorn.serve(sockets=[self._listening])
        finally:
            await inbox.close()
