"""Records the failure of a systemd unit: how it ended, and the journal of that invocation.

systemd starts `failaware systemd record UNIT` when a unit has failed (OnFailure=). From version 251 on, the variables
MONITOR_* of that process describe the failure; before that, and for what they lack, `systemctl show` is asked.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from failaware.capture.exceptions import failure
from failaware.capture.exit_status import TAIL, Ended, describe_end
from failaware.capture.external import attempt, event_of
from failaware.capture.record import as_name
from failaware.capture.secrets.masking import Masker
from failaware.facts import append
from failaware.model import EventWithAttempts, Failure
from failaware.store import Store

_PROPERTIES = (
    "Description",
    "Result",
    "ExecMainCode",
    "ExecMainStatus",
    "NRestarts",
    "InvocationID",
    "ExecMainStartTimestampMonotonic",
    "ExecMainExitTimestampMonotonic",
)
_BY_STATUS = ("", "exit-code", "signal", "core-dump")  # results that the status of the main process describes
_EXITED = "1"  # CLD_EXITED of waitid(2); other values are signals
_LINES = 500  # of the journal
_TIMEOUT_S = 20
_REASON = "systemd decides whether the unit is started again; no worker retries it"


class FailedUnit(NamedTuple):
    """A failed unit. `status` is the exit status, or minus a signal's number; times are µs since the epoch."""

    name: str
    result: str
    status: int
    invocation: str
    restarts: int
    description: str
    started_at: int
    finished_at: int


def record(store: Store, unit: str, *, environ: Mapping[str, str], user: bool = False) -> int:
    """Record that a unit has failed, once for each invocation; returns the id of the event.

    Args:
        store: where to.
        unit: the full name of the unit, such as backup.service.
        environ: the environment, in which systemd describes the failure.
        user: whether it is a unit of the user's service manager.

    Raises:
        StoreError: the store cannot be written.
    """
    scope = ("--user",) if user else ()
    session, recorder = store.session, store.session.recorder
    now = session.clock()
    failed = _failed(unit, environ, _properties(unit, scope), now=now)
    journal, problem = _journal(failed.invocation, scope)
    event = event_of(
        recorder,
        as_name(unit, recorder),
        _payload(failed, problem),
        now=now,
        key=f"systemd:{failed.invocation}" if failed.invocation else None,
        source="systemd",
        occurred_at=failed.started_at,
    )
    made = attempt(
        _failure(failed, journal, recorder.masker),
        worker=f"systemd@{socket.gethostname()}",
        started_at=failed.started_at,
        took=failed.finished_at - failed.started_at,
        retry_reason=_REASON,
    )
    new = [EventWithAttempts(event, (made,))]
    ((event_id, _),) = session.write(lambda db: append.observed(db, new, session.policy))
    return event_id


def _failed(unit: str, environ: Mapping[str, str], properties: Mapping[str, str], *, now: int) -> FailedUnit:
    """Put together what is known of the failure."""
    given = environ if environ.get("MONITOR_UNIT") == unit else {}
    invocation = given.get("MONITOR_INVOCATION_ID") or properties.get("InvocationID", "")
    same = invocation == properties.get("InvocationID", "")  # otherwise it has been started again since
    booted = now - time.monotonic_ns() // 1_000
    times = (int(properties.get(f"ExecMain{name}TimestampMonotonic") or 0) for name in ("Exit", "Start"))
    finished_at, started_at = (min(now, booted + time) if same and time else now for time in times)
    exited = properties.get("ExecMainCode", _EXITED) == _EXITED
    status = int(properties.get("ExecMainStatus") or 0) * (1 if exited else -1)
    return FailedUnit(
        unit,
        given.get("MONITOR_SERVICE_RESULT") or properties.get("Result", ""),
        _status(given["MONITOR_EXIT_STATUS"]) if given.get("MONITOR_EXIT_STATUS") else status if same else 0,
        invocation,
        int(properties.get("NRestarts") or 0),
        properties.get("Description", ""),
        min(started_at, finished_at),
        finished_at,
    )


def _status(text: str) -> int:
    """Return an exit status, or minus the number of a signal that has its name without SIG."""
    if text.isdecimal():
        return int(text)
    try:
        return -signal.Signals[f"SIG{text}"]
    except KeyError:
        return 1


def _payload(failed: FailedUnit, problem: str | None) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "unit": failed.name,
        "description": failed.description,
        "result": failed.result,
        "restarts": failed.restarts,
        "invocation": failed.invocation,
        "host": socket.gethostname(),
    }
    if failed.status < 0:
        payload["signal"] = -failed.status
    else:
        payload["exit_status"] = failed.status
    return payload if problem is None else payload | {"journal": problem}


def _failure(failed: FailedUnit, journal: bytes, masker: Masker) -> Failure:
    """Describe the end as `failaware exec` does; for other results than of the process, the type is systemd's word."""
    ended = Ended(failed.status, failed.started_at, failed.finished_at, err=journal, one_stream=True)
    described = describe_end(ended, masker=masker)
    if failed.result in _BY_STATUS and described is not None:
        return described
    result = failed.result or "failed"
    kind = "".join(word.capitalize() for word in result.split("-"))
    if described is None:  # its process ended with the status 0
        text = journal.decode("utf-8", "backslashreplace").strip()
        return failure(kind, result, text or None, masker=masker)
    return described._replace(error_type=kind, error_message=f"{result}: {described.error_message}")


def _properties(unit: str, scope: tuple[str, ...]) -> dict[str, str]:
    output, _ = _output("systemctl", *scope, "show", "--property", ",".join(_PROPERTIES), "--", unit)
    lines = output.decode("utf-8", "backslashreplace").splitlines()
    return {name: value for name, separator, value in (line.partition("=") for line in lines) if separator}


def _journal(invocation: str, scope: tuple[str, ...]) -> tuple[bytes, str | None]:
    """Return the end of what an invocation printed, or else what systemd says of it; and why that is not known."""
    if not invocation:
        return b"", "not read: the invocation is not known"
    _output("journalctl", *scope, "--sync")  # what was printed last may not be written yet
    for field in ("_SYSTEMD_INVOCATION_ID", "INVOCATION_ID", "USER_INVOCATION_ID"):
        lines = ("--quiet", "--no-pager", "--all", "--output", "cat", "--lines", str(_LINES))
        output, problem = _output("journalctl", *scope, *lines, f"{field}={invocation}")
        if output.strip() or problem is not None:
            return output[-TAIL:], problem
    return b"", None


def _output(*command: str) -> tuple[bytes, str | None]:
    """Return the output of a program of systemd, and what went wrong: the failure is recorded in any case."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603 - no shell
    except (OSError, subprocess.SubprocessError) as error:
        return b"", f"not read: {error}"
    if done.returncode:
        return done.stdout, f"not read: {done.stderr.decode('utf-8', 'backslashreplace').strip()[:500]}"
    return done.stdout, None
