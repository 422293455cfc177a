"""A store on another host: `failaware answer` there, started over the system's ssh, on whose streams it is asked."""

import shlex
import subprocess
import threading
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import failaware.errors
from failaware.errors import FailawareError, StoreError, StoreMissing, UsageError
from failaware.federation.questions import ANSWERS, Progress
from failaware.federation.wire import LONGEST_LINE, PROTOCOL, decoded, line, parsed
from failaware.text import one_line
from failaware.version import __version__

_CONNECT_S = 10
_NOISE = 100  # lines that a shell may print before the greeting
_NO_COMMAND = 127  # exit status of a shell
_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_S}", "-o", "ServerAliveInterval=5")


def ssh_command(place: str) -> list[str]:
    """The command that asks the store at ssh://[user@]host[:port]/path.

    Raises:
        UsageError: as `target_of`.
    """
    words, path = target_of(place)
    return ["ssh", *_OPTIONS, *words, f"failaware --db {shlex.quote(path)} answer"]


def target_of(place: str) -> tuple[list[str], str]:
    """The words of ssh that name the host, and the path there; `/~/` begins at the home folder.

    Raises:
        UsageError: the place is not written so.
    """
    try:
        parts = urlsplit(place)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host, path = parts.hostname or "", unquote(parts.path)
    if not host or host.startswith("-") or (parts.username or "").startswith("-") or path in {"", "/"}:
        raise UsageError(f"'{one_line(place, 80)}' names no store; write ssh://user@host/path/of/failaware.db")
    path = path.removeprefix("/~/")
    user = f"{parts.username}@" if parts.username else ""
    to_port = ["-p", str(port)] if port else []
    return [*to_port, "--", user + host], path


class RemoteStore:
    """A store that another host answers for. Everything is read-only there."""

    def __init__(self, place: str) -> None:
        """Start ssh, and wait for the greeting; raises StoreError if it fails."""
        self._host = urlsplit(place).hostname or place
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the host and path are checked and quoted
                ssh_command(place), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise StoreError(f"cannot start ssh: {error.strerror}; install OpenSSH's client") from None
        self._errors = b""
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self._writing = threading.Lock()
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def ask(self, handle: int, question: str, args: list[Any], named: dict[str, Any], progress: Progress) -> Any:
        """Ask there.

        Raises:
            StoreMissing: the connection has ended.
            FailawareError: as there.
        """
        self._send({"of": handle, "ask": question, "args": args, "named": named})
        while "progress" in (message := parsed(self._line())):
            progress(*decoded(message["progress"], tuple[int, int]))
        if "error" in message:
            kind = getattr(failaware.errors, str(message["error"]), StoreError)
            if not (isinstance(kind, type) and issubclass(kind, FailawareError)) or kind is StoreMissing:
                kind = StoreError
            raise kind(str(message.get("text", "")))
        return decoded(message.get("answer"), ANSWERS[question])

    def interrupt(self) -> None:
        """Cancel the query that is running there."""
        self._send({"interrupt": True})

    def close(self) -> None:
        """End ssh; the other end then ends, too."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.terminate()
        self._process.wait()
        self._reader.join(1.0)

    def _send(self, message: dict[str, Any]) -> None:
        stdin: IO[bytes] = self._process.stdin  # type: ignore[assignment]
        try:
            with self._writing:
                stdin.write(line(message))
                stdin.flush()
        except (OSError, ValueError):
            raise StoreMissing(self._why_ended()) from None

    def _line(self) -> bytes:
        stdout: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        text = stdout.readline(LONGEST_LINE)
        if not text.endswith(b"\n"):
            raise StoreMissing(self._why_ended())
        return text

    def _greet(self) -> None:
        for _ in range(_NOISE):
            text = self._line()
            if text.startswith(b'{"failaware":'):
                break
        else:
            raise StoreError(f"{self._host} sends no greeting of failaware; its shell must not print so much")
        greeting = parsed(text)
        if greeting.get("protocol") != PROTOCOL:
            raise StoreError(
                f"failaware {one_line(str(greeting.get('failaware')), 20)} on {self._host} and {__version__} here "
                "cannot talk to each other; upgrade the older one"
            )
        if "error" in greeting:
            raise StoreError(str(greeting["error"]))

    def _read_errors(self) -> None:
        stderr: Any = self._process.stderr
        with stderr:
            while piece := stderr.read1(4_096):
                self._errors = (self._errors + piece)[-4_096:]

    def _why_ended(self) -> str:
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return f"the connection to {self._host} was closed"
        self._reader.join(1.0)
        last = self._errors.decode(errors="replace").strip().rpartition("\n")[2]
        if status == _NO_COMMAND:
            return f"{self._host} has no failaware on the PATH of its shell; install it there ({one_line(last, 200)})"
        return f"ssh to {self._host} ended with status {status}: {one_line(last, 200) or 'no message'}"
