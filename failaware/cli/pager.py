"""Long output on a terminal goes through a pager: $FAILAWARE_PAGER, else $PAGER, else less.

What fits the screen is printed as it is. The text is made first: ending the pager does not end the report.
"""

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

_LESS = "FRX"  # quit if it fits, obey colours, leave the text on the screen


class CapturedTerminal(io.StringIO):
    """Takes what is printed in the terminal's place, and has its colours and width."""

    def isatty(self) -> bool:
        """Yes: reports are drawn as for the terminal."""
        return True


def paged(draw: Callable[[], int]) -> int:
    """Draw, show it all, and return what `draw` returned."""
    captured = CapturedTerminal()
    try:
        with redirect_stdout(captured):
            status = draw()
    except BaseException:
        sys.stdout.write(captured.getvalue())
        raise
    text = captured.getvalue()
    if text.count("\n") < shutil.get_terminal_size().lines or not _through(_pager(), text):
        sys.stdout.write(text)
    return status


def _pager() -> list[str]:
    """The pager's words; none where text is to be printed as it is."""
    named = next((os.environ[name] for name in ("FAILAWARE_PAGER", "PAGER") if name in os.environ), None)
    if named is None:
        return ["less"] if os.environ.get("TERM", "dumb") != "dumb" else []
    try:
        words = shlex.split(named)
    except ValueError:  # a quote is left open
        words = []
    return [] if words == ["cat"] else words


def _through(pager: list[str], text: str) -> bool:
    """Whether the pager could be had."""
    path = shutil.which(pager[0]) if pager else None
    if path is None:
        return False
    sys.stdout.flush()
    env = {"LESS": _LESS, "LV": "-c", **os.environ}
    shown = text.encode(sys.stdout.encoding, "backslashreplace")
    with _undisturbed():
        subprocess.run([path, *pager[1:]], input=shown, env=env, check=False)  # noqa: S603 - the user's own choice
    return True


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C is the pager's: it stops what the pager does, and does not end us under it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the pager would inherit
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
