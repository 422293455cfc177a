"""What `y` offers to copy, for each kind of item, and the commands that `c` and `C` copy. Pure."""

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from failaware.federation.ssh import target_of
from failaware.model import Attempt, Cluster, EventDetail, EventSummary
from failaware.model.patterns import RecoveredCluster
from failaware.model.stores import InStore, StoreId, number_of
from failaware.place import resolve
from failaware.text import is_url, shown_place

from .documents import as_json

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # and halves of characters, which nothing can encode
_LINE_END = re.compile(r"\r\n?")


def copies_of(item: object) -> dict[str, tuple[str, str]]:
    """The texts of an item that can be copied, each with its name, by the key that chooses it."""
    offered: dict[str, tuple[str, str | None]] = {}
    if isinstance(item, Cluster | RecoveredCluster):
        offered = {
            "i": ("id", str(item.cluster_id)),
            "j": ("row as JSON", as_json(item)),
            "m": ("message", item.template),
        }
    elif isinstance(item, EventSummary):
        message = _message(item.last_error_type, item.last_error)
        offered = {"i": ("id", str(item.event_id)), "j": ("row as JSON", as_json(item)), "m": ("message", message)}
    elif isinstance(item, EventDetail):
        offered = {"i": ("id", str(item.event_id)), "j": ("event as JSON", as_json(item))}
        offered["p"] = ("payload", item.event_payload)
    elif isinstance(item, Attempt):
        message = _message(item.error_type, item.error_message)
        offered = {
            "m": ("message", message),
            "t": ("traceback", item.traceback),
            "j": ("attempt as JSON", as_json(item)),
        }
    return {key: (name, text) for key, (name, text) in offered.items() if text}


def _message(error_type: str | None, message: str | None) -> str | None:
    return None if error_type is None else f"{error_type}: {message}"


def pasteable(text: str) -> str:
    r"""The text with escapes such as `\x1b` for all controls but line ends and tabs: they could end a paste early."""
    return _OBEYED.sub(lambda match: _escape(ord(match[0])), _LINE_END.sub("\n", text))


def full_place(place: str) -> str:
    """The place for a command that is run in any folder."""
    return str(resolve(place))


def decision_commands(
    places: Mapping[str, str],
    decision: str,
    subjects: Sequence[tuple[str, int]],
    parts_of: Callable[[int], Sequence[InStore]],
) -> str:
    """The command that records a decision; with several stores one for each that has something of the subjects.

    Args:
        places: the stores by their names; a single one has an empty name.
        decision: as for `decision_command`.
        subjects: as for `decision_command`.
        parts_of: the parts of a cluster in the stores.
    """
    if "" in places:
        return decision_command(places[""], decision, subjects)
    own: dict[str, list[tuple[str, int]]] = {}
    for kind, number in subjects:
        if isinstance(number, StoreId):
            own.setdefault(number.store, []).append((kind, number_of(number)))
        else:
            for part in parts_of(number):
                own.setdefault(part.store, []).append((kind, part.cluster_id))
    return " && ".join(decision_command(places[store], decision, of) for store, of in own.items())


def decision_command(place: str, decision: str, subjects: Sequence[tuple[str, int]]) -> str:
    """The command that records a decision, without its reason: as it is the command line refuses it.

    Args:
        place: the store, as a full path or a URL; a password in it is left out.
        decision: requeue or dismiss.
        subjects: what it is about, all of one kind: 'cluster' or 'event', and its id.
    """
    numbers = [str(number) for _, number in subjects]
    of = " ".join(numbers)
    if subjects[0][0] == "cluster":
        of = f"--cluster {of}" if len(numbers) == 1 else f"--where last:{','.join(numbers)}"
    if place.startswith("ssh://"):
        host, path = target_of(place)
        there = f"failaware --db {shlex.quote(path)} {decision} {of} --because ''"
        return " ".join(["ssh", *map(quoted, host), quoted(there)])
    return f"failaware --db {quoted(_without_password(place))} {decision} {of} --because ''"


def quoted(word: str) -> str:
    """A word for a shell, on one line; controls, and bytes that are no text, need the quotes of bash and zsh."""
    if not _OBEYED.search(word) and "\n" not in word and "\t" not in word:
        return shlex.quote(word)
    pieces = (
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02x}" for byte in os.fsencode(word)
    )
    return f"$'{''.join(pieces)}'"


def _without_password(place: str) -> str:
    """A URL without its password, which the environment or a password file gives; a path as it is."""
    return (
        re.sub(r":\*\*\*(?=@)|\b(?:ssl)?password=\*\*\*&?", "", shown_place(place)).rstrip("?&")
        if is_url(place)
        else place
    )


def _escape(number: int) -> str:
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
