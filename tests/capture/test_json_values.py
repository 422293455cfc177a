"""Any value becomes JSON that any process can read, and nothing it does is raised."""

import json
import math
import time
from collections import OrderedDict, UserDict, UserList, deque
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from types import FunctionType, MappingProxyType, SimpleNamespace
from typing import NamedTuple

import pytest

from failaware.capture.json_values import as_json
from tests.capture.misbehaving import Odd


def circular_dict():
    value = {"name": "root"}
    value["self"] = value
    return value


def circular_list():
    value = [1]
    value.append(value)
    return value


def deep(kind):
    value = kind()
    for _ in range(5_000):
        value = {"in": value} if kind is dict else [value]
    return value


def shared(levels=60):
    value = ["leaf"]
    for _ in range(levels // 2):
        value = [value, value]
    return value


class ItemsRaise(dict):
    def items(self):
        raise RuntimeError("the session is closed")


class ItemsExit(dict):
    def items(self):
        raise Odd


class ItemsAreNoPairs(dict):
    def items(self):
        return [1, 2]


class IterRaises(list):
    def __iter__(self):
        yield 1
        raise RuntimeError("the cursor is closed")


class Endless(list):
    def __iter__(self):
        while True:
            yield "and so on"


class ReprRaises:
    def __repr__(self):
        raise LookupError("instance is not bound to a session")


class ReprIsNone:
    def __repr__(self):
        return None


class ClassRaises:
    @property
    def __class__(self):
        raise RuntimeError("no class")


class ClassLies:
    __class__ = dict


class Proxy:
    def __getattr__(self, name):
        return getattr(self.target, name)


class OddText(str):
    def __len__(self):
        raise Odd

    __hash__ = str.__hash__
    __iter__ = __str__ = encode = __len__


class OddNumber(int):
    def __int__(self):
        raise Odd

    __index__ = __repr__ = __str__ = __int__


class Color(Enum):
    RED = 1


class Level(IntEnum):
    HIGH = 3


class Kind(StrEnum):
    ORDER = "order"


@dataclass
class Order:
    n: int


@dataclass
class Node:
    next: object = None


def circular_node():
    node = Node()
    node.next = node
    return node


class Point(NamedTuple):
    x: int
    y: int


VALUES = {
    "plain": ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
    "tuples": ((1, Point(2, 3)), [1, [2, 3]]),
    "subclasses": (OrderedDict(level=Level.HIGH, kind=Kind.ORDER), {"level": 3, "kind": "order"}),
    "enum": (Color.RED, "<Color.RED: 1>"),
    "circular dict": (circular_dict(), {"name": "root", "self": "<dict: circular>"}),
    "circular list": (circular_list(), [1, "<list: circular>"]),
    "the same list twice": ([circular_list()[:1]] * 2, [[1], [1]]),
    "items raise": (ItemsRaise(a=1), "{'a': 1}"),
    "items raise no Exception": (ItemsExit(a=1), "{'a': 1}"),
    "items are no pairs": (ItemsAreNoPairs(a=1), "{'a': 1}"),
    "iter raises": (IterRaises([1, 2]), "[1, 2]"),
    "repr raises": ([ReprRaises()], ["<ReprRaises>"]),
    "repr gives None": (ReprIsNone(), "<ReprIsNone>"),
    "an integer of 5,000 digits": (10**5_000, "<int: about 5,001 digits>"),
    "nan and inf": ([math.nan, -math.inf], ["nan", "-inf"]),
    "bytes": (b"\xff\x00", "b'\\xff\\x00'"),
    "many bytes": (lambda: b"x" * 100_000_000, "b'" + "x" * 198),
    "names that are no texts": (
        {1: "a", "1": "b", None: "c", (1, 2): "d", 2.5: "e"},
        {"1": "a", "1'": "b", "None": "c", "(1, 2)": "d", "2.5": "e"},
    ),
    "a name of 5,000 digits": ({10**5_000: 1}, {"<int: about 5,001 digits>": 1}),
    "a name that cannot be shown": ({ReprRaises(): 1}, {"<ReprRaises>": 1}),
    "odd text": ([OddText("x")], ["x"]),
    "odd number": ([OddNumber(5)], [5]),
    "dataclass": (Order(5), "Order(n=5)"),
    "circular dataclass": (circular_node(), "Node(next=...)"),
    "set": ({2}, "{2}"),
    "a large set": (lambda: set(range(1_000_000)), "<set: 1,000,000 members>"),
    "a large deque": (lambda: deque(range(1_000_000)), "<deque: 1,000,000 members>"),
    "other mappings": ([MappingProxyType({"a": 1}), UserDict(a=1)], ["mappingproxy({'a': 1})", "{'a': 1}"]),
}
READABLE = {
    "deep list": deep(list),
    "deep dict": deep(dict),
    "shared lists": shared(),
    "endless": Endless(),
    "class raises": ClassRaises(),
    "class lies": ClassLies(),
    "proxy": Proxy(),
    "surrogates": ["\ud800", {"\ud800": 1}],
    "a text many times": lambda: ["x" * 1_000_000] * 10_000,
}


def value_of(name):
    value = VALUES[name][0] if name in VALUES else READABLE[name]
    return value() if type(value) is FunctionType else value  # a large one is not kept


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_kept_as_what_json_can_hold(name):
    value, kept = value_of(name), VALUES[name][1]
    assert as_json(value) == kept
    assert json.loads(json.dumps(as_json(value), allow_nan=False)) == kept


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.thinned
def test_a_value_without_end_has_one(name):
    began = time.process_time()
    text = json.dumps(as_json(value_of(name)), allow_nan=False)
    json.loads(text)
    assert len(text) < 100_000_000
    assert time.process_time() - began < 5


def test_where_the_stack_is_nearly_used_up_less_is_kept():
    def near_the_end():
        try:
            return near_the_end()
        except RecursionError:
            return as_json([[[["x"]]]])

    json.dumps(near_the_end())


def test_a_group_whose_members_are_shared_is_shown_without_them():
    group = ExceptionGroup("all", [ValueError("x")])
    for _ in range(60):
        group = ExceptionGroup("all", [group, group])
    assert as_json([group, {"by": group}]) == [shown := "ExceptionGroup('all (2 sub-exceptions)')", {"by": shown}]


@dataclass
class Pair:
    one: object
    other: object = None


def doubled(make):
    """A value whose repr would have 2^40 members."""
    value = make([1, 2])
    for _ in range(40):
        value = make([value, value])
    return value


SHARED = {
    "deque": deque,
    "UserList": UserList,
    "SimpleNamespace": lambda pair: SimpleNamespace(one=pair[0], other=pair[1]),
    "mappingproxy": lambda pair: MappingProxyType(dict(enumerate(pair))),
    "Pair": lambda pair: Pair(*pair),
    "ValueError": lambda pair: ValueError(*pair),
    "UserDict": lambda pair: UserDict(enumerate(pair)),
}


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.thinned
def test_a_repr_that_would_grow_without_end_is_not_made(name):
    began = time.monotonic()
    assert as_json(doubled(SHARED[name])) == f"<{name}: too large to show>"
    assert time.monotonic() - began < 5


def test_a_repr_of_long_texts_is_not_made_and_a_usual_one_is():
    assert as_json(deque(["x" * 20_000_000])) == "<deque: too large to show>"
    assert as_json(deque([1, "a"])) == "deque([1, 'a'])"
    assert as_json(Pair(1, [2])).endswith("Pair(one=1, other=[2])")
    assert as_json({1: 2}.values()) == "dict_values([2])"
