"""Small JSON files in the user's own folder for state, since a store is only read."""

import contextlib
import json
import os
from pathlib import Path


def read_state(name: str) -> object:
    """What was kept under this name; None if there is nothing, or it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        content: object = json.loads(_file(name).read_text(encoding="utf-8"))
        return content
    return None


def keep_state(name: str, content: object) -> None:
    """Replace what is kept under this name; where that cannot be written, nothing is kept."""
    file = _file(name)
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(content), encoding="utf-8")
        unfinished.replace(file)


def _file(name: str) -> Path:
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "failaware" / name
