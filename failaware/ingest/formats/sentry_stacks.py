"""The exceptions of a Sentry event as a traceback, in the notation of the language that raised them.

Python prints the frame that raised last, other languages first. There, the frames of the program itself (`in_app`) come
before those of libraries, which are listed after a line that says so.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from failaware.capture.root_cause import is_mechanism_named
from failaware.model import ERROR_HERE, MEMBER

SdkException = Mapping[str, Any]
_Frame = Mapping[str, Any]
_EMPTY: Mapping[str, Any] = {}

_LED_TO = "\nThe above exception led to the following exception:\n\n"
_JOINTS = {
    "__cause__": "\nThe above exception was the direct cause of the following exception:\n\n",
    "__context__": "\nDuring handling of the above exception, another exception occurred:\n\n",
}
_OF_GROUPS = ("exceptions[", "errors[")  # how the members of Python's groups and JavaScript's AggregateError are named
_WITH_MODULE = ("python", "java")
_PYTHON = "python"


def traceback(exceptions: list[SdkException], platform: str) -> str:
    """Return the traceback, with ERROR_HERE for the type and message of the last exception."""
    return "".join(_python(exceptions) if platform == _PYTHON else _newest_first(exceptions, platform))


def stack(parent: Mapping[str, Any], platform: str) -> str:
    """Return the frames of an exception or a thread."""
    return "".join(_python_stack(parent) if platform == _PYTHON else _frames_newest_first(parent, platform))


def cause(exceptions: list[SdkException], platform: str) -> str | None:
    """Return the root cause of a chain, or the members of a group.

    Only in a group do SDKs distinguish `raise … from …` from an error while handling another one; elsewhere the
    first exception is the cause.
    """
    members = _members(exceptions)
    if members:
        return MEMBER.join(dict.fromkeys(_type_and_message(member, platform) for member in members))
    causes = [exception for exception in exceptions if not is_mechanism_named(type_of(exception, platform))]
    return _type_and_message(causes[0], platform) if causes and causes[0] is not exceptions[-1] else None


def type_of(exception: SdkException, platform: str) -> str:
    """Return the type's name, qualified as in our tracebacks where the language does so."""
    name, module = str(exception.get("type") or "Error"), exception.get("module")
    plain = platform not in _WITH_MODULE or module in (None, "", "builtins", "__main__")
    return name if plain else f"{module}.{name}"


def in_app(exception: SdkException) -> list[_Frame]:
    """Return the frames of the program itself, or all of them if none is marked, the newest last."""
    own = [frame for frame in frames(exception) if frame.get("in_app")]
    return own or frames(exception)


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


def _members(exceptions: list[SdkException]) -> list[SdkException]:
    """Return the exceptions of a group, in its order."""
    sources = [str(mapping(exception, "mechanism").get("source", "")) for exception in exceptions]
    pairs = zip(exceptions, sources, strict=True)
    return [exception for exception, source in pairs if source.startswith(_OF_GROUPS)][::-1]


def _type_and_message(exception: SdkException, platform: str) -> str:
    return ": ".join(part for part in (type_of(exception, platform), str(exception.get("value") or "")) if part)


def _python(exceptions: list[SdkException]) -> Iterator[str]:
    """Yield the traceback as Python prints it."""
    *before, last = exceptions
    members = _members(exceptions)
    for exception in [] if members else before:
        source = mapping(exception, "mechanism").get("source")
        yield from _python_stack(exception)
        yield _type_and_message(exception, _PYTHON) + "\n" + _JOINTS.get(str(source), _LED_TO)
    yield from _python_stack(last)
    yield ERROR_HERE + "\n"
    for number, member in enumerate(members, start=1):
        yield f"  +---------------- {number} ----------------\n"
        for line in ("".join(_python_stack(member)) + _type_and_message(member, _PYTHON)).splitlines():
            yield f"  | {line}\n"


def _python_stack(parent: Mapping[str, Any]) -> Iterator[str]:
    given = frames(parent)
    if given:
        yield "Traceback (most recent call last):\n"
    for frame in given:
        yield f'  File "{_file(frame)}", line {frame.get("lineno") or "?"}, in {frame.get("function") or "?"}\n'
        source = str(frame.get("context_line") or "").strip()
        if source:
            yield f"    {source}\n"


def _newest_first(exceptions: list[SdkException], platform: str) -> Iterator[str]:
    """Yield the traceback as other languages print it: what was caught last, then its causes."""
    *before, last = exceptions
    yield ERROR_HERE + "\n"
    yield from _frames_newest_first(last, platform)
    members = _members(exceptions)
    for exception in members or before[::-1]:
        yield ("Member: " if members else "Caused by: ") + _type_and_message(exception, platform) + "\n"
        yield from _frames_newest_first(exception, platform)


def _frames_newest_first(parent: Mapping[str, Any], platform: str) -> Iterator[str]:
    write = _NOTATIONS.get(platform, _javascript)
    newest_first = frames(parent)[::-1]
    own = [frame for frame in newest_first if frame.get("in_app")]
    for frame in own:
        yield write(frame)
    libraries = [frame for frame in newest_first if not frame.get("in_app")]
    if own and libraries:
        yield f"    … and {len(libraries)} frames of libraries:\n"
    for frame in libraries:
        yield write(frame)


def _file(frame: _Frame) -> str:
    return str(frame.get("abs_path") or frame.get("filename") or "?")


def _place(frame: _Frame) -> str:
    """The file, with the line and the column as far as they are known."""
    numbers = [frame[name] for name in ("lineno", "colno") if frame.get(name)]
    return ":".join(map(str, (_file(frame), *numbers)))


def _javascript(frame: _Frame) -> str:
    function = frame.get("function")
    return f"    at {function} ({_place(frame)})\n" if function else f"    at {_place(frame)}\n"


def _java(frame: _Frame) -> str:
    name = ".".join(str(frame[part]) for part in ("module", "function") if frame.get(part))
    file = frame.get("filename") or "Unknown Source"
    return f"\tat {name}({file}{f':{number}' if (number := frame.get('lineno')) else ''})\n"


def _go(frame: _Frame) -> str:
    name = ".".join(str(frame[part]) for part in ("module", "function") if frame.get(part))
    return f"{name}(...)\n\t{_file(frame)}:{frame.get('lineno') or '?'}\n"


def _ruby(frame: _Frame) -> str:
    return f"\tfrom {_file(frame)}:{frame.get('lineno') or '?'}:in '{frame.get('function') or '?'}'\n"


def _php(frame: _Frame) -> str:
    return f"  {_file(frame)}({frame.get('lineno') or '?'}): {frame.get('function') or '?'}()\n"


def _dotnet(frame: _Frame) -> str:
    name = ".".join(str(frame[part]) for part in ("module", "function") if frame.get(part))
    known = frame.get("filename") or frame.get("abs_path")
    return f"   at {name}" + (f" in {_file(frame)}:line {frame.get('lineno') or '?'}\n" if known else "\n")


_NOTATIONS = {"java": _java, "go": _go, "ruby": _ruby, "php": _php, "csharp": _dotnet}
