"""Makes docs/api.md, the reference of the public names, from their docstrings: `python -m docs.reference`."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import griffe

import failaware

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "api.md"
VERIFY = "failaware.ledger.verify.verify"
RETURNED_BY_INSPECTOR = ("failaware.read.patterns.Patterns", "failaware.read.inspector.AsOfInspector")
INTEGRATIONS = (
    "failaware.integrations.watch.Watch",
    "failaware.integrations.logging.FailureHandler",
    "failaware.integrations.sentry.Transport",
    "failaware.integrations.celery.TaskRecorder",
    "failaware.integrations.rq.Recorded",
    "failaware.integrations.dramatiq.Recorder",
    "failaware.integrations.huey.TaskRecorder",
    "failaware.integrations.arq.JobRecorder",
    "failaware.integrations.taskiq.Recorder",
    "failaware.integrations.apscheduler.JobRecorder",
    "failaware.integrations.airflow.Recorder",
    "failaware.integrations.prefect.Recorder",
    "failaware.integrations.django.Failures",
)
_MODULES_OF_VALUES = (
    "model.facts",
    "model.answers",
    "model.patterns",
    "model.differences",
    "rules",
    "derive.grouping.groups",
    "ledger.erase",
    "ledger.verify",
)
_CHAPTERS = {  # by their first entry
    "failaware.Event": "The package",
    RETURNED_BY_INSPECTOR[0]: "Objects returned by the inspector",
    INTEGRATIONS[0]: "Integrations",
    "failaware.errors.PayloadError": "More errors",
}
_HEAD = """# API reference

Made from the docstrings by `python -m docs.reference`. The names on this page follow
[Semantic Versioning](https://semver.org/); all other names may change in any version. Unless stated otherwise, times
are whole microseconds since 1970, UTC; the names of such values end in `_at`.
"""
_OPENED = {
    "Store",
    "Inspector",
    "Patterns",
    "AsOfInspector",
    "Transaction",
    "Watch",
}  # users do not call their constructors
_BASES = {
    "Inspector": ("failaware.read.questions.Questions",),
    "Store": ("failaware.recording.Recording",),
}  # documented as part of the class
_CALLED_BY_OTHERS = {  # only the observed library calls these
    *("emit", "capture_envelope", "record_lost_event", "is_healthy"),
    *("before_process_message", "after_process_message", "after_skip_message", "before_enqueue"),
    *("after_ack", "after_nack", "pre_execute", "post_send", "on_error", "post_execute"),
    "ready",
}
_WORD = re.compile(r"[A-Za-z_]\w*")


@cache
def _package() -> griffe.Object:
    return griffe.load("failaware", search_paths=[ROOT])


def find(path: str) -> griffe.Object:
    """Return the object at a dotted path, where it is defined."""
    thing = _package()[path.removeprefix("failaware.")]
    return thing.final_target if isinstance(thing, griffe.Alias) else thing


def public() -> dict[str, griffe.Object]:
    """Return the documented objects by their import paths."""
    names = {f"failaware.{name}": find(f"failaware.{name}") for name in failaware.__all__ if name != "__version__"}
    errors = {f"failaware.errors.{name}": thing for name, thing in find("failaware.errors").classes.items()}
    errors = {path: thing for path, thing in errors.items() if thing not in names.values()}
    return names | {path: find(path) for path in (*RETURNED_BY_INSPECTOR, VERIFY, *INTEGRATIONS)} | errors


def docstring(thing: griffe.Object) -> str:
    """Return the docstring, or an empty text."""
    return thing.docstring.value if thing.docstring else ""


def members(thing: griffe.Object) -> Iterator[griffe.Object]:
    """Yield the public methods, properties and documented attributes of a class, then those of its internal bases."""
    bases = [find(path) for path in _BASES.get(thing.name, ())]
    for name, member in {key: value for owner in (thing, *bases) for key, value in owner.members.items()}.items():
        internal = name.startswith(("_", "handle_")) or name in _CALLED_BY_OTHERS
        if not internal and not member.is_alias and docstring(member):
            yield member


def values() -> dict[str, griffe.Object]:
    """Return by name the named tuples that public methods return, and those inside them."""
    modules = [find(f"failaware.{module}") for module in _MODULES_OF_VALUES]
    known = {
        name: member
        for module in modules
        for name, member in module.members.items()
        if not member.is_alias and _is_tuple(member)
    }
    reached: dict[str, griffe.Object] = {}
    left = list(public().values())
    while left:
        for name in _named_by(left.pop()):
            if name in known and name not in reached and f"failaware.{name}" not in public():
                reached[name] = known[name]
                left.append(known[name])
    return dict(sorted(reached.items()))


def _named_by(thing: griffe.Object) -> set[str]:
    """Return the words in the annotations of a class: those of fields, parameters and return values."""
    hints = [field.annotation for field in thing.attributes.values() if not field.name.startswith("_")]
    for function in [thing] if thing.is_function else members(thing):
        if function.is_function:
            hints += [function.returns, *(parameter.annotation for parameter in function.parameters)]
    return {word for hint in hints for word in _WORD.findall(str(hint or ""))}


def _signature(function: griffe.Object) -> str:
    parts, bare = [], False
    for parameter in function.parameters:
        if parameter.name in {"self", "cls"}:
            continue
        kind = parameter.kind.value
        if kind == "keyword-only" and not bare and "*" not in "".join(parts):
            parts.append("*")
        bare = bare or kind == "keyword-only"
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        text = f"{stars}{parameter.name}" + (f": {parameter.annotation}" if parameter.annotation else "")
        parts.append(text + (f" = {parameter.default}" if parameter.default is not None and not stars else ""))
    returned = str(function.returns or "None").strip("'\"")
    parameters = ", ".join(parts).replace('"', "") if "'" in returned else ", ".join(parts)
    name = function.parent.name if function.name == "__init__" else function.name
    asynchronous = "async " if "async" in function.labels else ""
    return (
        f"```python\n{asynchronous}{name}({parameters})"
        + ("" if function.name == "__init__" else f" -> {returned}")
        + "\n```\n"
    )


def _prose(thing: griffe.Object) -> Iterator[str]:
    if thing.docstring is None:
        return
    for section in thing.docstring.parse("google", warn_unknown_params=False, warn_missing_types=False):
        if section.kind.value == "text":
            yield section.value + "\n"
            continue
        title = {"parameters": "Parameters", "raises": "Raises", "attributes": "Attributes"}.get(section.kind.value)
        assert title, (thing.path, section.kind)
        yield f"*{title}*\n"
        yield "".join(f"- `{_name(item)}`: {' '.join(item.description.split())}\n" for item in section.value)


def _name(item: griffe.DocstringElement) -> str:
    return str(getattr(item, "name", None) or item.annotation).strip("()")


def _fields(thing: griffe.Object) -> str:
    rows = [
        f"| `{attribute.name}` | `{str(attribute.annotation).replace('|', chr(92) + '|').strip(chr(39))}` |\n"
        for attribute in thing.attributes.values()
        if attribute.annotation
    ]
    return "| field | type |\n| --- | --- |\n" + "".join(rows)


def _is_tuple(thing: griffe.Object) -> bool:
    return thing.is_class and any(str(base) == "NamedTuple" for base in thing.bases)


def _entry(path: str, thing: griffe.Object) -> Iterator[str]:
    name = path.rpartition(".")[2]
    yield f"### {name}\n"
    if path.count(".") > 1:
        yield f"`{path}`\n"
    yield from _prose(thing)
    if thing.is_function:
        yield _signature(thing)
        return
    if _is_tuple(thing):
        yield _fields(thing)
    if any(str(base) == "StrEnum" for base in thing.bases):
        yield (
            "Values: "
            + ", ".join(f"`{value.name}`" for value in thing.attributes.values() if value.name.isupper())
            + "\n"
        )
    constructor = thing.members.get("__init__")
    if constructor is not None and name not in _OPENED:
        yield _signature(constructor)
        yield from _prose(constructor)
    for member in members(thing):
        yield f"#### {name}.{member.name}\n"
        if member.is_function:
            yield _signature(member)
        yield from _prose(member)


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for path, thing in public().items():
        if path in _CHAPTERS:
            parts.append(f"## {_CHAPTERS[path]}\n")
        parts += _entry(path, thing)
    parts.append("## Values\n\nNamed tuples; `--json` writes them as objects of these fields.\n")
    for name, thing in values().items():
        parts += _entry(name, thing)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
