"""The exceptions of a Sentry event as a traceback, in the notation of the language that raised them.

Python prints the frame that raised last, other languages first. There, the frames of the program itself (`in_app`) come
before those of libraries, which are listed after a line that says so.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from failaware.capture.root_cause import is_mechanism_named
from failaware.model import ERROR_HERE, MEMBER
from failaware.text import counted

SdkException = Mapping[str, Any]
_Frame = Mapping[str, Any]
_EMPTY: Mapping[str, Any] = {}

_LED_TO = "\nThe above exception led to the following exception:\n\n"
_CONTEXT = "__context__"
_JOINTS = {
    "__cause__": "\nThe above exception was the direct cause of the following exception:\n\n",
    _CONTEXT: "\nDuring handling of the above exception, another exception occurred:\n\n",
}
_OF_GROUP = re.compile(r"\w+\[\d+\]")  # the name of a member: exceptions[0], errors[0], InnerExceptions[0]
_WITH_MODULE = ("python", "java")
_PYTHON = "python"


def traceback(exceptions: list[SdkException], platform: str) -> str:
    """Return the traceback, with ERROR_HERE for the type and message of the last exception."""
    root = _tree(exceptions)
    return "".join(_python(root, ERROR_HERE) if platform == _PYTHON else _newest_first(root, ERROR_HERE, platform))


def stack(parent: Mapping[str, Any], platform: str) -> str:
    """Return the frames of an exception or a thread."""
    return "".join(_python_stack(parent) if platform == _PYTHON else _frames_newest_first(parent, platform))


def cause(exceptions: list[SdkException], platform: str) -> str | None:
    """Return the root cause of a chain, or those of the members of a group."""
    if len(exceptions) == 1:
        return None
    root = _tree(exceptions)
    causes = [node.exception for node in _roots(root, platform) if node is not root]
    return MEMBER.join(dict.fromkeys(_type_and_message(each, platform) for each in causes)) or None


def type_of(exception: SdkException, platform: str) -> str:
    """Return the type's name, qualified as in our tracebacks where the language does so."""
    name, module = str(exception.get("type") or "Error"), exception.get("module")
    plain = platform not in _WITH_MODULE or module in (None, "", "builtins", "__main__")
    return name if plain else f"{module}.{name}"


def in_app(given: list[_Frame]) -> list[_Frame]:
    """Return the frames of the program itself, or all of them if none is marked."""
    return [frame for frame in given if _is_own(frame)] or given


def message_of(exception: SdkException, platform: str) -> str:
    """Return the message; Ruby's has the type at its end, since its SDK sends what Ruby prints."""
    message = str(exception.get("value") or "")
    return message.replace(f" ({exception.get('type')})", "", 1) if platform == "ruby" else message


def frames(parent: Mapping[str, Any]) -> list[_Frame]:
    """Return the frames of an exception or a thread, the newest last."""
    given = mapping(parent, "stacktrace").get("frames")
    return [frame for frame in given if isinstance(frame, dict)] if isinstance(given, list | tuple) else []


def values(interface: Any) -> list[Mapping[str, Any]]:
    """Return the values of an SDK interface, which may be a list, a single value, or an object with `values`."""
    if isinstance(interface, dict):
        interface = interface.get("values", [interface])
    return [item for item in interface if isinstance(item, dict)] if isinstance(interface, list | tuple) else []


def mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a member if it is an object, else an empty one."""
    value = parent.get(name)
    return value if isinstance(value, dict) else _EMPTY


class _Node:
    """An exception with its cause and, if it is a group, its members."""

    __slots__ = ("cause", "exception", "members", "source")

    def __init__(self, exception: SdkException, source: str) -> None:
        self.exception, self.source = exception, source
        self.cause: _Node | None = None
        self.members: list[_Node] = []

    def chain(self) -> list["_Node"]:
        """The exception, its cause, the cause of that, and so on."""
        chain = [self]
        while (cause := chain[-1].cause) is not None:
            chain.append(cause)
        return chain


def _tree(exceptions: list[SdkException]) -> _Node:
    """Return the exception that was raised last, which is the last one of the list.

    Before it in the list is its cause, before that the cause of that, and so on. A member of a group has the number of
    the group, and its own causes are before it.
    """
    root = previous = _Node(exceptions[-1], "")
    nodes: dict[int | None, _Node] = {_number(root, "exception_id"): root}
    for exception in exceptions[-2::-1]:
        node = _Node(exception, str(mapping(exception, "mechanism").get("source") or ""))
        if _OF_GROUP.fullmatch(node.source):
            nodes.get(_number(node, "parent_id"), root).members.append(node)
        else:
            previous.cause = node
        if (number := _number(node, "exception_id")) is not None:
            nodes[number] = node
        previous = node
    return root


def _number(node: _Node, name: str) -> int | None:
    number = mapping(node.exception, "mechanism").get(name)
    return number if isinstance(number, int) else None


def _roots(node: _Node, platform: str) -> Iterator[_Node]:
    """Yield the root cause of an exception; of a group, those of its members.

    An error while handling another one is not its effect. SDKs distinguish it from `raise … from …` only in a group.
    """
    chain = node.chain()
    length = next((n for n, link in enumerate(chain) if link.source == _CONTEXT), len(chain))
    for root in chain[length - 1 :: -1]:
        if root.members:
            for member in root.members:
                yield from _roots(member, platform)
        elif is_mechanism_named(type_of(root.exception, platform)):
            continue
        else:
            yield root
        return


def _type_and_message(exception: SdkException, platform: str) -> str:
    return ": ".join(part for part in (type_of(exception, platform), message_of(exception, platform)) if part)


def _python(node: _Node, title: str) -> Iterator[str]:
    """Yield the traceback as Python prints it; `title` is the type and message of the exception itself."""
    for link in reversed(node.chain()):
        yield from _python_stack(link.exception)
        yield (title if link is node else _type_and_message(link.exception, _PYTHON)) + "\n"
        for number, member in enumerate(link.members, start=1):
            yield f"  +---------------- {number} ----------------\n"
            for line in "".join(_python(member, _type_and_message(member.exception, _PYTHON))).splitlines():
                yield f"  | {line}\n"
        if link is not node:
            yield _JOINTS.get(link.source, _LED_TO)


def _python_stack(parent: Mapping[str, Any]) -> Iterator[str]:
    given = frames(parent)
    if given:
        yield "Traceback (most recent call last):\n"
    for frame in given:
        yield f'  File "{_file(frame)}", line {frame.get("lineno") or "?"}, in {frame.get("function") or "?"}\n'
        source = str(frame.get("context_line") or "").strip()
        if source:
            yield f"    {source}\n"


def _newest_first(node: _Node, title: str, platform: str) -> Iterator[str]:
    """Yield the traceback as other languages print it: what was caught last, then its causes."""
    for link in node.chain():
        yield (title if link is node else f"Caused by: {_type_and_message(link.exception, platform)}") + "\n"
        yield from _frames_newest_first(link.exception, platform)
        for member in link.members:
            yield from _newest_first(member, f"Member: {_type_and_message(member.exception, platform)}", platform)


def _frames_newest_first(parent: Mapping[str, Any], platform: str) -> Iterator[str]:
    write = _NOTATIONS.get(platform, _javascript)
    own: list[str] = []
    libraries: list[str] = []
    for frame in reversed(frames(parent)):
        (own if _is_own(frame) else libraries).append(write(frame))
    yield from own
    if own and libraries:
        yield f"    … and {counted(len(libraries), 'frame')} of libraries:\n"
    yield from libraries


def _is_own(frame: _Frame) -> bool:
    """Whether a frame is the program's own; in a browser, SDKs do not know the packages among its files."""
    return bool(frame.get("in_app") and "/node_modules/" not in str(frame.get("filename")))


def _file(frame: _Frame) -> str:
    return str(frame.get("abs_path") or frame.get("filename") or "?")


def _place(frame: _Frame) -> str:
    """The file, with the line and the column as far as they are known."""
    line, column = frame.get("lineno"), frame.get("colno")
    return _file(frame) + (f":{line}" if line else "") + (f":{column}" if column else "")


def _javascript(frame: _Frame) -> str:
    function, place = frame.get("function"), _place(frame)
    if function in (None, "", "?"):
        return f"    at {place}\n"
    return f"    at {function} ({place})\n" if place != "?" else f"    at {function}\n"


def _java(frame: _Frame) -> str:
    name = ".".join(str(frame[part]) for part in ("module", "function") if frame.get(part))
    file = frame.get("filename") or "Unknown Source"
    return f"\tat {name}({file}{f':{number}' if (number := frame.get('lineno')) else ''})\n"


def _go(frame: _Frame) -> str:
    name = ".".join(str(frame[part]) for part in ("module", "function") if frame.get(part))
    return f"{name}(...)\n\t{_file(frame)}:{frame.get('lineno') or '?'}\n"


def _ruby(frame: _Frame) -> str:
    return f"\tfrom {_file(frame)}:{frame.get('lineno') or '?'}:in '{frame.get('function') or '<main>'}'\n"


def _php(frame: _Frame) -> str:
    function = frame.get("function")
    return f"  {_file(frame)}({frame.get('lineno') or '?'}): {f'{function}()' if function else '{main}'}\n"


def _elixir(frame: _Frame) -> str:
    return f"    {_place(frame)}: {frame.get('function') or '?'}\n"


def _dotnet(frame: _Frame) -> str:
    function = str(frame.get("function") or "?")  # newer SDKs send its whole signature, with its class
    name = function if "(" in function or not frame.get("module") else f"{frame['module']}.{function}"
    known = frame.get("filename") or frame.get("abs_path")
    return f"   at {name}" + (f" in {_file(frame)}:line {frame.get('lineno') or '?'}\n" if known else "\n")


_NOTATIONS = {"java": _java, "go": _go, "ruby": _ruby, "php": _php, "csharp": _dotnet, "elixir": _elixir}
