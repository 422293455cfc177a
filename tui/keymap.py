"""Keys that the user has changed: the table `keys` of the settings gives each key of the help another one."""

from collections.abc import Mapping

from textual.binding import Binding


class Keymap:
    """Which key does what another one does by default; that other one does nothing then."""

    def __init__(self, table: object) -> None:
        changes: Mapping[object, object] = table if isinstance(table, Mapping) else {}
        self._of_default = {
            _name(default): _name(key)
            for default, key in changes.items()
            if isinstance(default, str) and isinstance(key, str) and default and key
        }
        self._to_default = {key: default for default, key in self._of_default.items()}

    def default(self, key: str) -> str:
        """The key that does by default what this one does; "" if nothing."""
        return self._to_default.get(key) or ("" if key in self._of_default else key)

    def shown(self, default: str) -> str | None:
        """The key that does what this one does by default; None if that is itself."""
        return self._of_default.get(default)


def _name(key: str) -> str:
    """The name of a key, such as slash for /."""
    return next(iter(Binding.make_bindings([Binding(key, "none")]))).key
