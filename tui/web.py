"""The inspector in a browser on this machine: pages and terminal by textual-serve, the door by us.

Whoever opens the page runs an inspector of their own, as a process that gets the store's place in its environment: a
URL may hold a password, and arguments are anyone's to read. The way in is the token in the address: without it there is
no page, no file and no websocket. Other sites' pages are refused by Host and Origin, and the page itself loads nothing
from elsewhere.
"""

import asyncio
import contextlib
import hmac
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import textual_serve
from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from failaware.errors import UsageError

HOST = "127.0.0.1"
_NAMES = {HOST, "localhost"}
_MOST = 16  # inspectors at once; each is a process
_LARGEST = 64 * 1024  # bytes of a message from the browser: keys, or a paste into the filter
_CELLS = range(1, 1_001)
_STATIC = Path(textual_serve.__file__).with_name("static")
_FILES = {path.relative_to(_STATIC).as_posix(): path for path in _STATIC.rglob("*") if path.is_file()}
_INSPECT = "import os, sys; from tui.app import run_inspector; sys.exit(run_inspector(os.environ['FAILAWARE_DB']))"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>failaware</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="static/css/xterm.css">
<script src="static/js/textual.js"></script>
<style>
html, body {{ margin: 0; height: 100%; background: #111; color: #ddd; font: 16px monospace; }}
.textual-terminal {{ position: absolute; inset: 0; }}
.closed {{ display: none; padding: 2em; }}
body.-closed .closed {{ display: block; }}
body.-closed .textual-terminal {{ display: none; }}
</style>
</head>
<body>
<div class="textual-terminal" data-session-websocket-url="ws://{host}/{token}/ws" data-font-size="16"></div>
<p class="closed">The inspector was left. Reload the page to open it again.</p>
</body>
</html>
"""


class _Inspection(AppService):
    """One browser's inspector. The library would start it through a shell."""

    def __init__(self, place: str, socket: web.WebSocketResponse) -> None:
        super().__init__(
            "failaware tui",
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=self._close,
            download_manager=DownloadManager(),
        )
        self._place = place
        self._socket = socket

    async def _close(self) -> None:
        await self._socket.close()

    async def _open_app_process(self, width: int = 80, height: int = 24) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _INSPECT),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=self._build_environment(width=width, height=height) | {"FAILAWARE_DB": self._place},
            start_new_session=True,  # Ctrl-C in the terminal ends the server, which then ends these in good order
        )
        self._process, self._stdin = process, process.stdin
        return process

    async def end(self) -> None:
        """Quit the inspector; it is killed if it does not."""
        process = self._process
        try:
            await asyncio.wait_for(self.stop(), timeout=5)
        except TimeoutError:
            if process is not None and process.returncode is None:
                process.kill()
        if process is not None:
            await process.wait()


class WebServer:
    """Serves one store's inspector to whoever knows the token."""

    def __init__(self, place: str, token: str) -> None:
        self._place = place
        self._token = token
        self._open: set[web.WebSocketResponse] = set()

    def application(self) -> web.Application:
        """What aiohttp runs."""
        app = web.Application(middlewares=[self._guarded])
        app.router.add_get("/{token}/", self._page)
        app.router.add_get("/{token}/ws", self._terminal)
        app.router.add_get("/{token}/static/{file:.+}", self._static)
        app.on_shutdown.append(self._leave)
        return app

    @web.middleware
    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Nothing without the token; nothing for a page of another site, whatever name it gives us."""
        given = request.match_info.get("token", "")
        known = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token.encode())
        origin = request.headers.get("Origin", f"http://{request.host}")
        ours = request.url.host in _NAMES and origin == f"http://{request.host}"
        if not (known and ours):
            return web.Response(status=403, text="403: open the address that failaware printed\n", headers=_HEADERS)
        return await handler(request)

    async def _page(self, request: web.Request) -> web.Response:
        text = _PAGE.format(host=request.host, token=self._token)
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def _static(self, request: web.Request) -> web.StreamResponse:
        path = _FILES.get(request.match_info["file"])
        if path is None:
            return web.Response(status=404, text="404: there is no such file\n", headers=_HEADERS)
        return web.FileResponse(path, headers=_HEADERS)

    async def _terminal(self, request: web.Request) -> web.StreamResponse:
        if len(self._open) >= _MOST:
            return web.Response(status=503, text=f"503: {_MOST} inspectors are open; close one\n", headers=_HEADERS)
        socket = web.WebSocketResponse(heartbeat=15, max_msg_size=_LARGEST)
        self._open.add(socket)
        inspection = _Inspection(self._place, socket)
        try:
            await socket.prepare(request)
            await inspection.start(_size(request.query.get("width"), 80), _size(request.query.get("height"), 24))
            await _type(socket, inspection)
        finally:
            self._open.discard(socket)
            await inspection.end()
        return socket

    async def _leave(self, _app: web.Application) -> None:
        for socket in list(self._open):
            await socket.close(message=b"the server was stopped")


async def _type(socket: web.WebSocketResponse, inspection: AppService) -> None:
    """Pass on what the browser sends: keys, sizes, focus. What is nothing of that is passed over."""
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        try:
            kind, *values = message.json()
        except (ValueError, TypeError):
            continue
        match kind, values:
            case "stdin", [str(keys)]:
                await inspection.send_bytes(keys.encode("utf-8", "replace"))
            case "resize", [{"width": int(width), "height": int(height)}] if width in _CELLS and height in _CELLS:
                await inspection.set_terminal_size(width, height)
            case "ping", [sent]:
                await socket.send_json(["pong", sent])
            case "blur", _:
                await inspection.blur()
            case "focus", _:
                await inspection.focus()


def _size(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and int(text[:5]) in _CELLS else otherwise


def serve(place: str, *, port: int, token: str, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `say` gets the address once it can be opened.

    Raises:
        UsageError: the port cannot be had.
    """
    asyncio.run(_serve(place, port=port, token=token, say=say))


async def _serve(place: str, *, port: int, token: str, say: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(WebServer(place, token).application(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port, shutdown_timeout=5)
        try:
            await site.start()
        except OSError as error:
            raise UsageError(f"cannot listen on port {port}: {os.strerror(error.errno or 0)}; name another") from None
        at = runner.addresses[0][1]
        say(f"http://{HOST}:{at}/{token}/")
        await stop.wait()
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await runner.cleanup()
