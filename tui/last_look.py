"""When one last looked at a store: kept in the user's own folder for state, since the store itself is only read."""

import contextlib
import json
import os
from pathlib import Path

from failaware.text import is_url, shown_place

_MOST = 200  # stores that are remembered


def last_look(place: str) -> int | None:
    """When the inspector was last closed on this store (µs); None if that is not known."""
    at = _all().get(_name(place))
    return at if isinstance(at, int) and not isinstance(at, bool) else None


def keep_look(place: str, at: int) -> None:
    """Remember; where that cannot be written, there is nothing to remember."""
    looks = {name: look for name, look in _all().items() if is_url(name) or Path(name).exists()}
    looks.pop(_name(place), None)
    looks = dict([*looks.items(), (_name(place), at)][-_MOST:])
    file = state_file("looks.json")
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(looks), encoding="utf-8")
        unfinished.replace(file)


def _all() -> dict[str, object]:
    with contextlib.suppress(OSError, ValueError):
        looks = json.loads(state_file("looks.json").read_text(encoding="utf-8"))
        if isinstance(looks, dict):
            return looks
    return {}


def state_file(name: str) -> Path:
    """A file in the user's folder for state."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "failaware" / name


def _name(place: str) -> str:
    return shown_place(place) if is_url(place) else str(Path(place).resolve())
