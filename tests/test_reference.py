"""Every public name is documented, with its parameters, their units and its errors; docs/api.md has it all."""

import ast
import re
from textwrap import dedent

import pytest

from docs.reference import PAGE, docstring, members, page, public, values

UNITS = {  # how a number's name ends, and what its docstring, or that of its class, must then mention
    r"(_at|since|until|before|now|\bat)$": r"µs|UTC|event_id",
    r"(_s|seconds|lease|patience|base|cap)$": r"second",
    r"(_bytes)$": r"bytes|UTF-8",
}
OPENED = ("Store", "Inspector", "Patterns", "Transaction")  # one does not make them by their names
THINGS = public() | values()


def functions():
    for path, thing in THINGS.items():
        for member in members(thing):
            if member.is_function:
                yield pytest.param(thing, member, id=f"{path}.{member.name}")
        if "__init__" in thing.members and thing.members["__init__"].is_function and not path.endswith(OPENED):
            yield pytest.param(thing, thing.members["__init__"], id=f"{path}()")


def test_the_page_is_what_the_docstrings_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.reference"


@pytest.mark.parametrize("path", THINGS)
def test_it_is_documented(path):
    assert docstring(THINGS[path])
    for name, member in THINGS[path].members.items():
        if not name.startswith("_") and not member.is_alias and (member.is_function or "property" in member.labels):
            assert docstring(member), member.path


@pytest.mark.parametrize(("thing", "function"), [*functions()])
def test_every_parameter_is_told_about_with_its_unit(thing, function):
    text = f"{docstring(thing)}\n{docstring(function)}"
    for parameter in function.parameters:
        if parameter.name in {"self", "cls"} or "variadic" in parameter.kind.value:
            continue
        name = parameter.name
        assert re.search(rf"\b{name}\b", text) or re.search(rf"\b{name.removesuffix('_id').replace('_', ' ')}", text), (
            name
        )
        for ending, unit in UNITS.items():
            if re.search(ending, name) and re.search(r"int|float", str(parameter.annotation)):
                assert re.search(unit, text), (name, unit)


@pytest.mark.parametrize(("thing", "function"), [*functions()])
def test_every_error_that_it_raises_itself_is_told_about(thing, function):
    for node in ast.walk(ast.parse(dedent(function.source))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            assert re.search(rf"\b{node.exc.func.id}\b", f"{docstring(thing)}\n{docstring(function)}"), node.exc.func.id
