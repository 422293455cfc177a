"""`failaware completion SHELL`: the script that makes a shell complete our words, and the answers it then asks for.

The answers are argcomplete's: commands, options, choices; values from the store are looked up here, read-only, and
briefly: a store that cannot be read, or is slow, completes to nothing.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from itertools import pairwise
from threading import Timer

from failaware.cli import stores
from failaware.cli.commandline import parser_of
from failaware.cli.commands import COMMANDS, command_in
from failaware.errors import FailawareError
from failaware.read.inspector import Inspector

_LONG_S = 0.1
_SEVERAL_S = 0.4  # to open several stores
_MOST = 50
_MOST_TYPES = 200
_FILES = {"FILE", "PATH"}
_EVENT_FILTERS = {"events", "requeue", "dismiss"}

Words = Iterable[str]
Ask = Callable[[Inspector, str], Words]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SHELL."""
    parser.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help="bash, zsh or fish")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from argcomplete.shell_integration import shellcode

    sys.stdout.write(shellcode(["failaware"], shell=args.shell))
    return 0


def answer() -> None:
    """Answer the shell, and exit: it asks by the environment, and reads file descriptor 8."""
    import argcomplete
    from argcomplete.lexers import split_line

    written = split_line(os.environ.get("COMP_LINE", ""), int(os.environ.get("COMP_POINT", "0")))[3]
    command = command_in(written[1:])
    dbs = _named_in(written[1:]) or [os.environ.get("FAILAWARE_DB", "failaware.db")]
    parser = parser_of(command)
    for action in _actions(parser):
        action.completer = _completer(action, command, dbs)  # type: ignore[attr-defined] # it is argcomplete's
    argcomplete.autocomplete(parser, always_complete_options=False, validator=_begins)


def _named_in(words: list[str]) -> list[str]:
    """The values of --db: argcomplete does not run an action of ours."""
    following = pairwise(words)
    joined = [word.removeprefix("--db=") for word in words if word.startswith("--db=")]
    return [value for option, value in following if option == "--db"] + joined


def _begins(word: str, prefix: str) -> bool:
    return word.lower().startswith(prefix.lower())


def _actions(parser: argparse.ArgumentParser) -> Iterable[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for sub in action.choices.values():
                yield from _actions(sub)
        else:
            yield action


def _completer(action: argparse.Action, command: str | None, dbs: list[str]) -> Callable[..., Words]:
    """What a value may be, by the name it has in the help; `dbs` are the stores."""
    from argcomplete.completers import FilesCompleter

    ask = _asks(action, command)
    if ask is not None:
        return _from_store(ask, dbs)
    if action.dest == "db":
        return _stores
    if action.metavar in _FILES:
        return FilesCompleter()
    known = list(action.choices or (_explained() if action.dest == "what" else ()))
    return lambda **_: known


def _asks(action: argparse.Action, command: str | None) -> Ask | None:
    """What to ask the store for a value, if it knows."""
    name = command if action.dest == "id" else action.dest
    if name in {"filter", "where"}:
        clusters = command not in _EVENT_FILTERS
        return lambda inspector, prefix: _filter_words(inspector, prefix, clusters=clusters)
    return {"cluster": _clusters, "event": _events, "events": _events, "entity": _entities}.get(name or "")


def _explained() -> Words:
    from failaware.cli.help import topics

    return [*(name for name, _ in topics()), *COMMANDS]


def _stores(prefix: str, **unused: object) -> Words:
    """Files, or groups of stores."""
    from argcomplete.completers import FilesCompleter

    if not prefix.startswith("@"):
        return list(FilesCompleter()(prefix, **unused))
    from failaware.federation.places import groups

    try:
        return [f"@{name}" for name in groups()]
    except FailawareError:
        return ()


def _from_store(ask: Ask, dbs: list[str]) -> Callable[..., Words]:
    """Ask the stores that the line names; nothing, if they cannot be read or take long."""

    def complete(prefix: str, **_: object) -> Words:
        try:
            with _opened(argparse.Namespace(db=dbs[-1], dbs=dbs)) as inspector:
                limit = Timer(_LONG_S, inspector.connections.interrupt)
                limit.daemon = True
                limit.start()
                try:
                    return list(ask(inspector, prefix))
                finally:
                    limit.cancel()
        except FailawareError:
            return ()

    return complete


def _opened(args: argparse.Namespace) -> Inspector:
    if not stores.are_several(args):
        return Inspector.open(args.db, busy_timeout_s=_LONG_S)
    from failaware.federation import open_stores

    return open_stores(stores.places_of(args), patience_s=_SEVERAL_S, first_s=_SEVERAL_S)


def _clusters(inspector: Inspector, _prefix: str) -> Words:
    return [str(cluster.cluster_id) for cluster in inspector.clusters(limit=_MOST)]


def _events(inspector: Inspector, prefix: str) -> Words:
    """The newest that are unresolved: those one asks about; any other, once it is written out."""
    matches = [str(event.event_id) for event in inspector.events("status:unresolved", limit=_MOST)]
    return [number for number in matches if number.startswith(prefix)]


def _types(inspector: Inspector) -> Words:
    """The types of events; of several stores those that have failed."""
    if inspector.connections.names():
        return sorted({cluster.event_type for cluster in inspector.clusters(limit=_MOST_TYPES)})
    sql = "SELECT DISTINCT event_type FROM event_counts ORDER BY 1 LIMIT ?"
    return [event_type for (event_type,) in inspector.db.query(sql, (_MOST_TYPES,))]


def _entities(inspector: Inspector, prefix: str) -> Words:
    kind, slash, _ = prefix.partition("/")
    if not slash:
        return ["event/", "cluster/"]
    return [f"{kind}/{number}" for number in (_events(inspector, "") if kind == "event" else _clusters(inspector, ""))]


def _filter_words(inspector: Inspector, prefix: str, *, clusters: bool) -> Words:
    """A filter's word: its field, or a value of it."""
    from failaware.read.filter import CLUSTER_FIELDS, EVENT_FIELDS, values_of

    negation = prefix[:1] if prefix[:1] in {"-", "!"} else ""
    field, colon, value = prefix[len(negation) :].partition(":")
    if not colon:
        fields = [
            *(CLUSTER_FIELDS if clusters else EVENT_FIELDS),
            *(["store"] if inspector.connections.names() else []),
        ]
        return [f"{negation}{name}:" for name in fields]
    head = value.rpartition(",")[0]
    head = f"{negation}{field}:{head},".replace(":,", ":") if head else f"{negation}{field}:"
    if field in {"cluster", "last"}:
        matches: Words = _clusters(inspector, value)
    elif field == "store":
        matches = inspector.connections.names()
    elif field == "type":
        matches = _types(inspector)
    else:
        matches = values_of(field, clusters=clusters)
    return [head + one for one in matches]
