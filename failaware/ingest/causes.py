"""Root causes read out of the text of a traceback, where there is no exception to ask: Python's chains, Java's."""

import re
from itertools import dropwhile, takewhile

TRACEBACK = "Traceback (most recent call last):"
_FROM = "The above exception was the direct cause of the following exception:"
_MAX_CHAIN = 20
_RAISED = re.compile(r"(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?")
_CAUSED_BY = re.compile(r"^\s*Caused by: (?P<cause>[\w.$]+(?:: .*)?)$", re.MULTILINE)


def root_cause(text: str) -> str | None:
    """What an explicit chain goes back to, as "type: message"; None when the text shows none."""
    caused_by = _CAUSED_BY.findall(text)
    if caused_by:
        return str(caused_by[-1]).strip()
    return cause_before(text, text.rfind(TRACEBACK))


def cause_before(text: str, start: int) -> str | None:
    """What the traceback that begins at `start` goes back to by `raise … from …`."""
    cause, before = None, text[: max(start, 0)].rstrip()
    for _ in range(_MAX_CHAIN):
        if not before.endswith(_FROM):
            break
        before = before.removesuffix(_FROM)
        start = max(before.rfind(TRACEBACK), 0)
        cause = raised(before[start:]) or cause
        before = before[:start].rstrip()
    return None if cause is None else ": ".join(part for part in cause if part)


def raised(traceback: str) -> tuple[str, str] | None:
    """Type and message of one traceback: what follows its frames, up to an empty line."""
    lines = traceback.strip().splitlines()[1:]
    ending = list(dropwhile(lambda line: line[:1] in ("", " "), lines))
    match = _RAISED.fullmatch(ending[0]) if ending else None
    if match is None:
        return None
    more = takewhile(str.strip, ending[1:])
    return match["type"], "\n".join([match["message"] or "", *more]).strip()
