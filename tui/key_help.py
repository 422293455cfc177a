"""The help: the keys that a screen has now, grouped by what one wants to do, in columns. No widget."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from failaware.text import cells

COLUMN = 25  # cells of a key and what it does
_KEYS = 9  # cells of the keys
_GROUPS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Go through a list or text": {
        "move": ("move(1)", "move(-1)", "scroll_down", "scroll_up"),
        "page": ("page(1)", "page(-1)", "page_down", "page_up"),
        "half a page": ("page(0.5)", "page(-0.5)", "half_page(1)", "half_page(-1)"),
        "first, last": ("end(-1)", "end(1)", "scroll_home", "scroll_end"),
        "open": ("open",),
        "all of it": ("in_full",),
        "back": ("back", "leave", "clear"),
        "next pane": ("focus_next",),
    },
    "Choose a period": {
        "select a bar": ("bar(-1)", "bar(1)"),
        "select more": ("bar(-1, True)", "bar(1, True)"),
        "filter by it": ("select",),
        "24 h or 7 d": ("period",),
    },
    "Find": {
        "filter": ("filter",),
        "search the text": ("search",),
        "next match": ("match(1)", "match(-1)"),
        "severity": ("cycle('severity')",),
        "status": ("cycle('status')",),
        "this type only": ("this_type",),
        "sort, reverse": ("sort(1)", "reverse"),
        "next change": ("to_mark(1)", "to_mark(-1)"),
        "new rows, sort": ("take_in",),
        "go to an ID": ("go_to",),
    },
    "Understand a failure": {
        "traceback": ("tab('failure')",),
        "payload": ("tab('payload')",),
        "why so severe": ("tab('why')", "over_time('why')"),
        "its impact": ("tab('impact')", "over_time('impact')"),
        "history": ("tab('history')",),
        "other attempt": ("attempt(1)", "attempt(-1)"),
        "other event": ("sibling(1)", "sibling(-1)"),
        "library frames": ("fold",),
        "its cluster": ("cluster",),
    },
    "See what happens": {
        "all events": ("place('events')",),
        "retries due": ("place('due')",),
        "recovered": ("place('recovered')",),
        "what changed": ("what_changed",),
        "other period": ("other_period",),
        "mark all seen": ("seen",),
        "pick a period": ("histogram",),
        "one scale": ("scale",),
        "time travel": ("as_of",),
        "an hour": ("step(-1)", "step(1)"),
        "a day": ("step(-24)", "step(24)"),
        "one fact": ("change(-1)", "change(1)"),
        "play": ("play",),
    },
    "Decide": {
        "mark this row": ("choose",),
        "copy requeue": ("copy_command('requeue')",),
        "copy dismiss": ("copy_command('dismiss')",),
    },
    "Take along": {
        "copy": ("copy",),
        "write to a file": ("export",),
        "open in $EDITOR": ("edit",),
    },
    "The screen": {
        "only this pane": ("zoom",),
        "hide the side": ("detail",),
        "pause": ("pause",),
        "refresh": ("reload", "again"),
        "commands, theme": ("command_palette",),
        "suspend": ("suspend_process",),
        "this help": ("keys",),
        "quit": ("quit",),
    },
}
NOT_OURS = {"scroll_left", "scroll_right", "page_left", "page_right", "focus_previous", "copy_text"}
"""Actions that Textual gives every widget, and that have no effect here or need no help."""


class Group(NamedTuple):
    """What one wants to do, and the keys for it, each with what it does."""

    title: str
    keys: tuple[tuple[str, str], ...]


def name_of(action: str) -> str:
    """An action without the name of what it belongs to."""
    return action.partition("(")[0].rpartition(".")[2] + "".join(action.partition("(")[1:])


def groups(keys: Iterable[tuple[str, str, str]]) -> list[Group]:
    """The groups that have keys, of (key, action, description); a key that belongs to none is among the last."""
    left: dict[str, list[str]] = {}
    descriptions = {}
    for key, action, description in keys:
        if (name := name_of(action)) not in NOT_OURS:
            left.setdefault(name, []).append(key)
            descriptions[name] = description
    present = []
    for title, entries in _GROUPS.items():
        listed = []
        for does, actions in entries.items():
            if of_each := [left.pop(action) for action in actions if action in left]:
                listed.append((_shown(of_each), does))
        present.append(Group(title, tuple(listed)))
    rest = tuple((_shown([each]), descriptions[name]) for name, each in left.items())
    return [group for group in (*present, Group("More", rest)) if group.keys]


def _shown(of_each: Sequence[Sequence[str]]) -> str:
    """A key of each action, the shortest; and further ones, while they fit."""
    layers = list(zip_longest(*(sorted(keys, key=cells) for keys in of_each)))
    texts = [" ".join(key for layer in layers[:number] for key in layer if key) for number in range(len(layers), 0, -1)]
    return next((text for text in texts if cells(text) <= _KEYS), layers[0][0])


def columns(shown: Sequence[Group], number: int) -> list[list[tuple[str, str]]]:
    """The lines of so many columns of about the same height; a title has no key, and no group is divided."""
    blocks = [[("", group.title), *group.keys, ("", "")] for group in shown]
    height = max(map(len, blocks), default=0)
    while True:
        filled: list[list[tuple[str, str]]] = [[]]
        for block in blocks:
            if len(filled[-1]) + len(block) > height:
                filled.append([])
            filled[-1] += block
        if len(filled) <= number:
            return [column[:-1] for column in filled]
        height += 1


def cell(key: str, does: str) -> str:
    """A line of a column, without its style: a title begins at the edge."""
    return (f"{key:>{_KEYS}} {does}" if key else f" {does}").ljust(COLUMN)
