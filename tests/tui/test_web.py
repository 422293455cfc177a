"""`failaware tui --web`: the real server, an HTTP and a websocket client, and a real browser where there is one."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

aiohttp = pytest.importorskip("aiohttp")

from failaware import Handlers, Permanent, Store, Worker  # noqa: E402


@pytest.fixture
def place(tmp_path):
    """A store whose path a shell would obey."""
    path = tmp_path / "a $(touch owned) `touch owned` ; 'x\" store.db"
    handlers = Handlers()

    @handlers.on("*")
    def fails(event):
        raise Permanent("no way \x1b]2;owned\x07 through")

    with Store.open(path) as store:
        store.record_many([("shop.order", 1), ("shop.order", 2)])
        Worker(store, handlers).run(until_idle=True)
    return path


class Server:
    """The real program."""

    def __init__(self, place, *words, **more):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("TEXTUAL", "FAILAWARE"))}
        named = [] if more else ["--db", str(place)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "failaware", *named, "tui", "--web", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env | more, cwd=place.parent,
        )  # fmt: skip
        self.address = self.process.stdout.readline().strip()

    @property
    def root(self):
        return re.match(r"http://127\.0\.0\.1:\d+", self.address)[0]

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


@pytest.fixture
def server(place):
    running = Server(place)
    yield running
    if running.process.poll() is None:
        running.stop()


def children(process):
    done = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True, check=False)
    return done.stdout.split()


async def shown(ws, *texts, seconds=20):
    """What came until all of these were shown."""
    got = ""
    async with asyncio.timeout(seconds):
        async for message in ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                got += message.data.decode("utf-8", "replace")
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", got)
            if all(text in plain for text in texts):
                return got
    raise AssertionError(f"{texts} did not come: {got[-2000:]!r}")


async def test_the_page_and_the_inspector_behind_it(server, place):
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{43}/", server.address)
    async with aiohttp.ClientSession() as client:
        async with client.get(server.address) as page:
            text = await page.text()
            assert page.status == 200
            assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert not re.findall(r"https?://", text)  # nothing from elsewhere
        for file in re.findall(r'(?:src|href)="(static/[^"]+)"', text):
            async with client.get(server.address + file) as answer:
                assert answer.status == 200
        where = re.search(r'websocket-url="([^"]+)"', text)[1]
        async with client.ws_connect(f"{where}?width=100&height=30") as ws:
            got = await shown(ws, "shop.order", "DEAD")
            assert "\x1b]2;owned" not in got
            assert len(children(server.process)) == 1
            await ws.send_str("nonsense")
            await ws.send_json({"not": "a list"})
            await ws.send_json(["resize", {"width": -1, "height": "x"}])
            await ws.send_json(["stdin", "\r"])
            await shown(ws, "Newest attempt", "Traceback")
            await ws.send_json(["stdin", "\r"])
            await shown(ws, "Payload")
            await ws.send_json(["resize", {"width": 120, "height": 40}])
            await ws.send_json(["stdin", "q"])
            async with asyncio.timeout(20):
                async for _ in ws:
                    pass
            assert ws.closed
    for _ in range(100):
        if not children(server.process):
            break
        await asyncio.sleep(0.05)
    assert not children(server.process)
    assert not (place.parent / "owned").exists()


@pytest.mark.parametrize("path", ["/", "/ws", "/static/js/textual.js", "/x/", "/x/ws", "/{short}/", "/{short}/ws"])
async def test_no_token_no_page_no_file_no_websocket(server, path):
    token = server.address.split("/")[3]
    path = path.replace("{short}", token[:-1])
    async with aiohttp.ClientSession() as client:
        async with client.get(server.root + path) as answer:
            assert answer.status in (403, 404)
            assert token not in await answer.text()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(server.root + path)
    assert not children(server.process)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Host": "evil.example"},  # a name of theirs that leads here
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
)
async def test_pages_of_other_sites_are_refused_even_with_the_token(server, headers):
    async with aiohttp.ClientSession(headers=headers) as client:
        for path in ("", "ws", "static/js/textual.js"):
            async with client.get(server.address + path) as answer:
                assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(server.address + "ws")
    assert not children(server.process)


@pytest.mark.parametrize(
    "path", ["static/../app_service.py", "static/%2e%2e/app_service.py", "static/", "static//etc/passwd"]
)
async def test_only_the_files_of_the_page_are_served(server, path):
    import yarl

    address = yarl.URL(server.address + path, encoded=True)
    async with aiohttp.ClientSession() as client, client.get(address) as answer:
        assert answer.status in (403, 404)


async def test_it_listens_on_this_machine_alone(server):
    port = int(server.root.rpartition(":")[2])
    listening = (
        subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=False).stdout
        if shutil.which("ss")
        else ""
    )
    assert not re.search(rf"(0\.0\.0\.0|\*|\[::\]):{port}\b", listening)
    with socket.create_connection(("127.0.0.1", port), 5):
        pass
    with pytest.raises(OSError, match=r"."):
        socket.create_connection(("127.0.0.2", port), 5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_stop_ends_the_inspectors_too(server, number):
    async with aiohttp.ClientSession() as client, client.ws_connect(server.address + "ws") as ws:
        await shown(ws, "shop.order")
        (child,) = children(server.process)
        status, said = await asyncio.to_thread(server.stop, number)
    assert (status, said.count("\n")) == (0, 1)
    assert "Traceback" not in said
    assert not os.path.exists(f"/proc/{child}")


async def test_a_browser_that_goes_away_takes_its_inspector_along(server):
    async with aiohttp.ClientSession() as client:
        ws = await client.ws_connect(server.address + "ws")
        await shown(ws, "shop.order")
        ws._response.connection.transport.abort()
        deadline = time.monotonic() + 20
        while children(server.process) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
    assert not children(server.process)


def test_a_port_that_is_taken_or_makes_no_sense_is_one_sentence(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running = Server(place, "--port", str(port))
        _, said = running.process.communicate(timeout=30)
    assert running.process.returncode == 2
    assert f"cannot listen on port {port}" in said
    assert said.count("\n") == 1


def test_nothing_of_it_is_loaded_unless_asked_for():
    done = subprocess.run(
        [sys.executable, "-c", "import tui.app, failaware.cli.tui, sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not {"aiohttp", "textual_serve", "tui.web"} & set(done.stdout.split())


def test_without_the_extra_it_says_what_to_install(place):
    program = (
        "import sys; sys.modules['textual_serve'] = None\n"  # as if it were not there
        "from failaware.cli.main import main; sys.exit(main(['--db', sys.argv[1], 'tui', '--web']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(place)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "failaware: --web needs textual_serve; install failaware[web]\n"


class Browser:
    """Chromium without a window, driven by the WebDriver protocol."""

    def __init__(self, client, root, session):
        self._client, self._at = client, f"{root}/session/{session}"

    async def call(self, method, path, **body):
        async with self._client.request(
            method, f"{self._at}/{path}", json=body if method == "POST" else None
        ) as answer:
            value = (await answer.json())["value"]
            assert answer.status == 200, value
            return value

    async def run(self, script):
        return await self.call("POST", "execute/sync", script=script, args=[])

    async def until(self, script, seconds=30):
        async with asyncio.timeout(seconds):
            while not (value := await self.run(script)):
                await asyncio.sleep(0.1)
        return value

    async def press(self, key):
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        await self.call("POST", "actions", actions=[{"type": "key", "id": "keys", "actions": actions}])


@pytest.mark.skipif(
    not (shutil.which("chromedriver") and shutil.which("chromium")), reason="needs chromium, chromedriver"
)
async def test_in_a_real_browser(server, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "HOME": str(tmp_path)}
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}", "--silent"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    root = f"http://127.0.0.1:{port}"
    arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1200,800",
        f"--user-data-dir={tmp_path}/p",
    ]
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"browser": "ALL"},
    }
    try:
        async with aiohttp.ClientSession() as client:
            async with asyncio.timeout(30):
                while True:
                    try:
                        async with client.get(f"{root}/status") as answer:
                            if (await answer.json())["value"]["ready"]:
                                break
                    except aiohttp.ClientError:
                        await asyncio.sleep(0.1)
            async with client.post(f"{root}/session", json={"capabilities": {"alwaysMatch": wanted}}) as answer:
                made = (await answer.json())["value"]
                assert answer.status == 200, made
            browser = Browser(client, root, made["sessionId"])
            try:
                await tour(browser, server, tmp_path)
            finally:
                async with client.delete(f"{root}/session/{made['sessionId']}"):
                    pass
    finally:
        driver.terminate()
        driver.wait(timeout=20)


async def tour(browser, server, folder):
    import base64

    # The terminal draws on a canvas; what the socket brings is noted beside it.
    note = (
        "const Real = WebSocket; window.got = ''; window.WebSocket = class extends Real {"
        "constructor(...all) { super(...all); this.addEventListener('message', e => {"
        "if (e.data instanceof ArrayBuffer) window.got += new TextDecoder().decode(e.data); }); } };"
    )
    await browser.call("POST", "goog/cdp/execute", cmd="Page.addScriptToEvaluateOnNewDocument", params={"source": note})
    await browser.call("POST", "url", url=server.address)
    await browser.until("return document.body.classList.contains('-first-byte') && window.got.includes('shop.order')")
    assert await browser.run("return document.querySelectorAll('.textual-terminal canvas').length") > 0
    assert await browser.run(
        "return performance.getEntriesByType('resource').every(r => r.name.startsWith(location.origin))"
    )
    await browser.run("window.got = ''; document.querySelector('.xterm-helper-textarea').focus()")
    await browser.press("\ue007")  # Enter
    await browser.until("return window.got.includes('Traceback')")  # the cluster, with its newest attempt
    await browser.press("\ue007")
    await browser.until("return window.got.includes('Payload')")
    picture = folder / "browser.png"
    picture.write_bytes(base64.b64decode(await browser.call("GET", "screenshot")))
    assert picture.stat().st_size > 10_000
    log = await browser.call("POST", "se/log", type="browser")
    assert not [entry for entry in log if entry["level"] == "SEVERE"], json.dumps(log)
    await browser.press("q")
    await browser.until("return document.body.classList.contains('-closed')")


@pytest.mark.postgres
async def test_a_store_on_postgresql_whose_password_no_other_user_sees(path, store, tmp_path):
    store.record("shop.order", 1)
    url = path.replace("postgres@/", "postgres:hunter2secret@/")
    running = Server(tmp_path / "none", FAILAWARE_DB=url)
    try:
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{running.address}ws?width=100&height=30") as ws,
        ):
            got = await shown(ws, "1 event,")
            assert "hunter2secret" not in got
            (child,) = children(running.process)
            with open(f"/proc/{child}/cmdline", "rb") as arguments:
                assert b"hunter2secret" not in arguments.read()
    finally:
        running.stop()
