"""A store in which something of everything has failed, always the same; and pictures of screens as text."""

import time
from pathlib import Path

import pytest
from textual._compositor import Compositor
from textual._context import visible_screen_stack

from failaware import Handlers, Permanent, Retry, Store, Worker
from tests.conftest import MINUTE, START

from .helpers import screen_text

SCREENS = Path(__file__).parent / "screens"
EVIL = "\x1b]0;owned\x07\x1b[31m [bold]not markup[/bold] [/foo] \u202egnirts \u200b\x00 end"


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch, tmp_path):
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("TEXTUAL_THEME", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()


@pytest.fixture(autouse=True)
def painted_when_read(monkeypatch):
    """Spare what no terminal shows, a quarter of the time: `screen_text` renders the screen when a test reads it."""

    def forget(compositor, full=False, screen_stack=None, simplify=False):
        visible_screen_stack.set(screen_stack or [])
        compositor._dirty_regions.clear()

    monkeypatch.setattr(Compositor, "render_update", forget)


# Compiled under a name of its own: tracebacks in the pictures do not depend on the folder.
CODE = compile(
    """
def payment(event):
    raise TimeoutError(f"gateway 10.0.0.{event.event_id} timed out after 30 s")

def evil(event):
    raise Permanent(EVIL)
""",
    "/srv/shop/handlers.py",
    "exec",
)


@pytest.fixture
def handlers():
    functions = {"Permanent": Permanent, "EVIL": EVIL}
    exec(CODE, functions)
    made = Handlers()
    made.on("payment.capture", retry=Retry(max_attempts=3, base=60, jitter=0))(functions["payment"])
    made.on("evil")(functions["evil"])
    made.on("mail")(lambda event: None)
    return made


@pytest.fixture
def full(path, clock, handlers, monkeypatch):
    """3 payments in retry, of which one then is dead; 2 hostile ones; 4 mails that went out; open for more."""
    monkeypatch.setattr("failaware.worker.worker._unique_name", lambda: "host:1")
    with Store.open(path, clock=clock) as store:
        worker = Worker(store, handlers)
        store.record("payment.capture", {"amount": 5, "currency": "EUR", "ok": True}, key="pay-1", source="shop")
        worker.run(until_idle=True)
        for _ in range(2):
            clock.advance(600)
            worker.run(until_idle=True)
        store.record_many([("payment.capture", {"amount": 6}), ("payment.capture", {"amount": 7})])
        store.record_many([("evil", {"evil": EVIL}), ("evil", EVIL), *[("mail", {"to": n}) for n in range(4)]])
        worker.run(until_idle=True)
        clock.advance(90)
        yield store, worker


@pytest.fixture
def now():
    return START + 21 * MINUTE


def pytest_addoption(parser):
    parser.addoption("--update-screens", action="store_true", help="rewrite the pictures of screens")


@pytest.fixture
def picture(request):
    """Compare what is on the screen with the picture of this name; --update-screens makes it."""

    def compare(app, name):
        text = screen_text(app)
        place = SCREENS / f"{name}.txt"
        if request.config.getoption("--update-screens"):
            place.write_text(text + "\n", encoding="utf-8")
        assert text + "\n" == place.read_text(encoding="utf-8"), f"{name} looks different; see --update-screens"

    return compare
