"""Filters that were used before."""

from .state_files import keep_state, read_state

_FILE = "filters.json"
_MOST = 50


def kept_filters() -> list[str]:
    """The newest is last."""
    filters = read_state(_FILE)
    return [text for text in filters if isinstance(text, str)] if isinstance(filters, list) else []


def keep_filter(text: str) -> None:
    """Remember it as the newest."""
    keep_state(_FILE, [*(other for other in kept_filters() if other != text), text][-_MOST:])
