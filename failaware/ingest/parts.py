"""What comes in several records: lines that a container's log has split, and the output of tests."""

from typing import Any, NamedTuple

from failaware.ingest.expressions import is_true
from failaware.ingest.format import Format
from failaware.ingest.functions import text
from failaware.ingest.joining import Origin

_MAX_SIZE = 1_048_576  # characters of a line that is put together
_MAX_OUTPUT = 65_536  # characters kept of the output of a test: its end
_MAX_TESTS = 10_000


class PartialLines:
    """The beginnings of lines whose end has not come, by stream."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[list[str], list[bytes], int]] = {}

    def __bool__(self) -> bool:
        return bool(self._parts)

    @property
    def first_index(self) -> int | None:
        """The index of the first line of the input of which the end has not come."""
        return min((index for _, _, index in self._parts.values()), default=None)

    def add(self, name: str, part: str, origin: Origin) -> None:
        """Keep a part of a line."""
        texts, raws, _ = self._parts.setdefault(name, ([], [], origin.position))
        if sum(map(len, texts)) < _MAX_SIZE:
            texts.append(part)
            raws.append(origin.raw)

    def completed(self, name: str, part: str, origin: Origin) -> tuple[str, bytes, int]:
        """Return the line that this part ends, what was read of it, and the index at which it begins."""
        texts, raws, index = self._parts.pop(name, ([], [], origin.position))
        return "".join([*texts, part]), b"".join([*raws, origin.raw]), index

    def discard(self) -> None:
        """Forget all."""
        self._parts.clear()


class AccumulatedRecord(NamedTuple):
    """The record that ends others, with their text as `output`."""

    values: dict[str, Any]
    raw: bytes


class Accumulated:
    """The texts of records that belong together, such as the output of one test, until the last of them comes."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def add(self, of: Format, values: dict[str, Any], raw: bytes) -> AccumulatedRecord | None:
        """Add a record; return it with the text of those before if it is the last one."""
        by, part, until = (of.expression(f"join.{name}") for name in ("by", "text", "until"))
        assert by is not None
        assert part is not None
        assert until is not None
        name = repr(by(values))
        if not is_true(until(values)):
            self._texts[name] = (self._texts.pop(name, "") + (text(part(values)) or ""))[-_MAX_OUTPUT:]
            if len(self._texts) > _MAX_TESTS:
                del self._texts[next(iter(self._texts))]
            return None
        output = self._texts.pop(name, "")
        return AccumulatedRecord({**values, "output": output}, raw + output.encode("utf-8", "backslashreplace"))
