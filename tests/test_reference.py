"""Every public name is documented, with its parameters, their units and its errors; docs/api.md has it all."""

import ast
import re
from textwrap import dedent

from docs.reference import PAGE, docstring, members, page, public, values

UNITS = {  # how a number's name ends, and what its docstring, or that of its class, must then mention
    r"(_at|since|until|before|now|\bat)$": r"µs|UTC|event_id",
    r"(_s|seconds|lease|patience|base|cap)$": r"second",
    r"(_bytes)$": r"bytes|UTF-8",
}
OPENED = ("Store", "Inspector", "Patterns", "Transaction", "Watch")  # one does not make them by their names


def functions():
    """Each public function with the class that it is of, and the text of both docstrings."""
    for path, thing in (public() | values()).items():
        of_class = [member for member in members(thing) if member.is_function]
        if "__init__" in thing.members and thing.members["__init__"].is_function and not path.endswith(OPENED):
            of_class.append(thing.members["__init__"])
        for function in of_class:
            yield function, f"{docstring(thing)}\n{docstring(function)}"


def test_the_page_is_what_the_docstrings_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.reference"


def test_each_is_documented():
    for path, thing in (public() | values()).items():
        assert docstring(thing), path
        for name, member in thing.members.items():
            if not name.startswith("_") and not member.is_alias and (member.is_function or "property" in member.labels):
                assert docstring(member), member.path


def test_every_parameter_is_explained_with_its_unit():
    for function, text in functions():
        for parameter in function.parameters:
            if parameter.name in {"self", "cls"} or "variadic" in parameter.kind.value:
                continue
            name = parameter.name
            words = name.removesuffix("_id").replace("_", " ")
            assert re.search(rf"\b{name}\b|\b{words}", text), (function.path, name)
            for ending, unit in UNITS.items():
                if re.search(ending, name) and re.search(r"int|float", str(parameter.annotation)):
                    assert re.search(unit, text), (function.path, name, unit)


def test_every_error_that_a_function_raises_itself_is_documented():
    for function, text in functions():
        for node in ast.walk(ast.parse(dedent(function.source))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
                assert re.search(rf"\b{node.exc.func.id}\b", text), (function.path, node.exc.func.id)
