"""When one last looked at a store."""

from pathlib import Path

from failaware.text import is_url, shown_place

from .state_files import keep_state, read_state

_FILE = "looks.json"
_MOST = 200  # stores that are remembered


def last_look(place: str) -> int | None:
    """When the inspector was last closed on this store (µs); None if that is not known."""
    at = _all().get(_name(place))
    return at if isinstance(at, int) and not isinstance(at, bool) else None


def keep_look(place: str, at: int) -> None:
    """Remember it."""
    looks = {name: look for name, look in _all().items() if is_url(name) or Path(name).exists()}
    looks.pop(_name(place), None)
    keep_state(_FILE, dict([*looks.items(), (_name(place), at)][-_MOST:]))


def _all() -> dict[str, object]:
    looks = read_state(_FILE)
    return looks if isinstance(looks, dict) else {}


def _name(place: str) -> str:
    return shown_place(place) if is_url(place) else str(Path(place).resolve())
