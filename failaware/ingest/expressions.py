"""JMESPath expressions, compiled to closures: jmespath parses them, and evaluates what is not compiled here.

Its interpreter takes 5 to 20 µs for an expression, a closure about 1 µs; a format evaluates one for each line.
"""

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, cast

from failaware.errors import UsageError
from failaware.ingest.functions import FUNCTIONS

Evaluate = Callable[[Any], Any]

_ORDER = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}
_VARARGS = 0x04  # inspect.CO_VARARGS, without loading inspect
_NUMBERS = (int, float)
_TYPES = {str: "string", int: "number", float: "number", bool: "boolean", list: "array", type(None): "null"}


class _Node(Protocol):
    def __getitem__(self, name: str) -> Any: ...


@lru_cache(maxsize=512)
def compiled(expression: str) -> Evaluate:
    """Return a function that evaluates the expression on a value.

    Raises:
        UsageError: it is not JMESPath, or calls an unknown function; the returned function raises it for a value of a
            wrong type.
    """
    from jmespath import exceptions, parser

    try:
        parsed = parser.Parser().parse(expression).parsed
        evaluate = _compiled(parsed)
    except exceptions.JMESPathError as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise UsageError(f"the expression '{expression}' is not JMESPath: {reason}") from None

    if parsed["type"] in ("field", "literal"):  # which cannot fail
        return evaluate

    def guarded(value: Any) -> Any:
        try:
            return evaluate(value)
        except exceptions.JMESPathError as error:
            raise UsageError(f"the expression '{expression}' cannot be evaluated: {error}") from None

    return guarded


def is_true(value: Any) -> bool:
    """Whether a value counts as true in JMESPath: numbers do, also 0."""
    return not (value is None or value is False or (value in ("", [], {}) and not isinstance(value, _NUMBERS)))


def _compiled(node: _Node) -> Evaluate:
    compile_node = _COMPILERS.get(node["type"])
    return _interpreted(node) if compile_node is None else compile_node(node)


def _children(node: _Node) -> list[Evaluate]:
    return [_compiled(child) for child in node["children"]]


def _field(node: _Node) -> Evaluate:
    name = node["value"]
    return lambda value: value.get(name) if isinstance(value, dict) else None


def _literal(node: _Node) -> Evaluate:
    literal = node["value"]
    return lambda _value: literal


def _chain(node: _Node) -> Evaluate:
    steps = _children(node)

    def evaluate(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return evaluate


def _index(node: _Node) -> Evaluate:
    index = node["value"]
    return lambda value: value[index] if isinstance(value, list) and -len(value) <= index < len(value) else None


def _or(node: _Node) -> Evaluate:
    first, second = _children(node)

    def evaluate(value: Any) -> Any:
        result = first(value)
        return result if is_true(result) else second(value)

    return evaluate


def _and(node: _Node) -> Evaluate:
    first, second = _children(node)

    def evaluate(value: Any) -> Any:
        result = first(value)
        return second(value) if is_true(result) else result

    return evaluate


def _not(node: _Node) -> Evaluate:
    (inner,) = _children(node)
    return lambda value: not is_true(inner(value))


def _comparison(node: _Node) -> Evaluate:
    order = _ORDER.get(node["value"])
    if order is None:
        return _interpreted(node) if node["value"] not in ("eq", "ne") else _equality(node)
    left, right = _children(node)

    def evaluate(value: Any) -> Any:
        one, other = left(value), right(value)
        both_numbers = type(one) in _NUMBERS and type(other) in _NUMBERS
        return order(one, other) if both_numbers or (isinstance(one, str) and isinstance(other, str)) else None

    return evaluate


def _equality(node: _Node) -> Evaluate:
    left, right = _children(node)
    wanted = node["value"] == "eq"

    def evaluate(value: Any) -> Any:
        one, other = left(value), right(value)
        return (one == other and isinstance(one, bool) == isinstance(other, bool)) == wanted

    return evaluate


def _list(node: _Node) -> Evaluate:
    members = _children(node)
    return lambda value: None if value is None else [member(value) for member in members]


def _call(node: _Node) -> Evaluate:
    function = FUNCTIONS.get(node["value"]) or _FAST.get(node["value"])
    if function is None:
        return _interpreted(node)
    code, arguments = function.__code__, _children(node)
    count, takes_any = code.co_argcount, bool(code.co_flags & _VARARGS)
    if not takes_any and not count - len(function.__defaults__ or ()) <= len(arguments) <= count:
        raise UsageError(f"the function {node['value']}() takes {count} arguments, not {len(arguments)}")
    if len(arguments) == 1:
        (only,) = arguments
        return lambda value: function(only(value))
    return lambda value: function(*(argument(value) for argument in arguments))


def _type(value: Any) -> str:
    return _TYPES.get(type(value), "object")


def _starts_with(text: Any, prefix: Any) -> bool:
    return isinstance(text, str) and isinstance(prefix, str) and text.startswith(prefix)


def _ends_with(text: Any, suffix: Any) -> bool:
    return isinstance(text, str) and isinstance(suffix, str) and text.endswith(suffix)


_FAST: dict[str, Callable[..., Any]] = {"type": _type, "starts_with": _starts_with, "ends_with": _ends_with}
"""Functions of JMESPath that are often used for recognition; a value of another type is no error here."""


def _interpreted(node: _Node) -> Evaluate:
    """Evaluate a part with jmespath's interpreter, in which our functions are known as well."""
    from jmespath import functions, visitor

    class Functions(functions.Functions):  # type: ignore[misc]
        def call_function(self, name: str, arguments: list[Any]) -> Any:
            own = FUNCTIONS.get(name)
            return super().call_function(name, arguments) if own is None else own(*arguments)

    _check_functions(node, set(functions.Functions.FUNCTION_TABLE) | set(FUNCTIONS))
    interpreter = visitor.TreeInterpreter(visitor.Options(custom_functions=Functions()))
    return lambda value: interpreter.visit(node, value)


def _check_functions(node: _Node, known: set[str]) -> None:
    """Refuse an unknown function now, not at the first line."""
    if node["type"] == "function_expression" and node["value"] not in known:
        raise UsageError(f"there is no function {node['value']}(); ours are {', '.join(sorted(FUNCTIONS))}")
    for child in node["children"]:
        _check_functions(cast("_Node", child), known)


_COMPILERS: dict[str, Callable[[_Node], Evaluate]] = {
    "field": _field,
    "literal": _literal,
    "current": lambda _node: lambda value: value,
    "identity": lambda _node: lambda value: value,
    "subexpression": _chain,
    "index_expression": _chain,
    "pipe": _chain,
    "index": _index,
    "or_expression": _or,
    "and_expression": _and,
    "not_expression": _not,
    "comparator": _comparison,
    "multi_select_list": _list,
    "function_expression": _call,
}
