"""Exceptions that fail when they are asked about themselves, each of a class of its own, made fresh by each call."""

import sys
from dataclasses import dataclass


class Odd(BaseException):
    """Not an Exception, and not of Python itself."""


class _GetattrRaises(Exception):
    def __getattr__(self, name):
        raise KeyError(name)


class _GetattrRecurses(Exception):
    def __getattr__(self, name):
        return getattr(self.response, name)


class _GetattributeRaises(Exception):
    def __getattribute__(self, name):
        raise RuntimeError(name)


class _AnswersAll(Exception):
    def __getattr__(self, name):
        return self


class _FingerprintRaises(Exception):
    @property
    def failaware_fingerprint(self):
        raise RuntimeError("the session is gone")


class _FingerprintIsNoText(Exception):
    failaware_fingerprint = b"\xff"


class _ClassLies(Exception):
    @property
    def __class__(self):
        return BaseExceptionGroup


class _ClassRaises(Exception):
    @property
    def __class__(self):
        raise RuntimeError("no class")


class _OwnSlots(Exception):
    @property
    def __cause__(self):
        raise RuntimeError("no cause")

    __context__ = __suppress_context__ = __traceback__ = __cause__


@dataclass(frozen=True)
class _Frozen(Exception):
    sku: str


@dataclass(frozen=True, slots=True)
class _FrozenWithSlots(Exception):
    sku: str


def _str_raises(raised):
    class StrRaises(Exception):
        def __str__(self):
            raise raised

    return StrRaises("x")


class _StrExits(Exception):
    def __str__(self):
        return sys.exit(3)


class _StrIsNone(Exception):
    def __str__(self):
        return None  # noqa: PLE0307


class _OddText(str):
    def __len__(self):
        raise Odd

    __hash__ = __eq__ = __str__ = __format__ = isascii = encode = __len__


class _StrIsOddText(Exception):
    def __str__(self):
        return _OddText("x")


class _Meta(type):
    @property
    def __module__(cls):
        raise RuntimeError("no module")

    __name__ = __mro__ = __module__

    def __getattribute__(cls, name):
        raise RuntimeError(name)


class _OfOddClass(Exception, metaclass=_Meta):
    pass


class _ModuleIsNoText(Exception):
    __module__ = 5


class _Equal(Exception):
    def __eq__(self, other):
        raise RuntimeError("not comparable")

    __hash__ = None


class _Unprintable:
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


class _Endless(list):
    def __iter__(self):
        while True:
            yield "and so on"


def _with_notes(notes):
    error = LookupError("x")
    error.__notes__ = notes
    return error


class _NotesRaise(Exception):
    @property
    def __notes__(self):
        raise Odd


def _circle():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    return first


def _context_circle():
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    return first


def _chain(attribute, length=5_000):
    error = ValueError("first")
    for _ in range(length):
        later = ValueError("later")
        setattr(later, attribute, error)
        error = later
    return error


def _nested_groups(levels=500):
    error = ValueError("within")
    for _ in range(levels):
        error = ExceptionGroup("around", [error])
    return error


def _shared_groups(levels=60):
    """A group that holds one group twice, which holds one group twice ...: 2 to the 60th members."""
    error = ValueError("within")
    for _ in range(levels):
        error = ExceptionGroup("around", [error, error])
    return error


def _group_of_itself():
    error = ValueError("within")
    group = ExceptionGroup("around", [error])
    error.__cause__ = group
    return group


class _GroupWithoutMembers(ExceptionGroup):
    @property
    def exceptions(self):
        raise RuntimeError("no members")


MISBEHAVING = {
    "getattr raises": lambda: _GetattrRaises("x"),
    "getattr recurses": lambda: _GetattrRecurses("x"),
    "getattribute raises": lambda: _GetattributeRaises("x"),
    "getattr answers all": lambda: _AnswersAll("x"),
    "fingerprint raises": lambda: _FingerprintRaises("x"),
    "fingerprint is no text": lambda: _FingerprintIsNoText("x"),
    "class lies": lambda: _ClassLies("x"),
    "class raises": lambda: _ClassRaises("x"),
    "own slots": lambda: _OwnSlots("x"),
    "frozen dataclass": lambda: _Frozen("x"),
    "frozen dataclass with slots": lambda: _FrozenWithSlots("x"),
    "str raises": lambda: _str_raises(RuntimeError("no text")),
    "str raises no Exception": lambda: _str_raises(Odd()),
    "str raises GeneratorExit": lambda: _str_raises(GeneratorExit()),
    "str raises KeyboardInterrupt": lambda: _str_raises(KeyboardInterrupt()),
    "str raises SystemExit": lambda: _str_raises(SystemExit(3)),
    "str exits": lambda: _StrExits("x"),
    "str gives None": lambda: _StrIsNone("x"),
    "str gives an odd text": lambda: _StrIsOddText("x"),
    "an integer of 5,000 digits": lambda: ValueError(10**5_000),
    "metaclass": lambda: _OfOddClass("x"),
    "module is no text": lambda: _ModuleIsNoText("x"),
    "not comparable": lambda: _Equal("x"),
    "notes are None": lambda: _with_notes(None),
    "notes are a number": lambda: _with_notes(5),
    "notes are a text": lambda: _with_notes("a note"),
    "notes cannot be shown": lambda: _with_notes(_Unprintable()),
    "a note cannot be shown": lambda: _with_notes([_Unprintable(), "a note"]),
    "notes without end": lambda: _with_notes(_Endless()),
    "notes raise": lambda: _NotesRaise("x"),
    "a huge note": lambda: _with_notes(["x" * 10_000_000]),
    "a huge message": lambda: ValueError("x" * 50_000_000),
    "surrogates and NUL": lambda: ValueError("\ud800\x00"),
    "causes in a circle": _circle,
    "contexts in a circle": _context_circle,
    "5,000 causes": lambda: _chain("__cause__"),
    "5,000 contexts": lambda: _chain("__context__"),
    "500 groups in groups": _nested_groups,
    "groups that share members": _shared_groups,
    "a group that a member goes back to": _group_of_itself,
    "a group without members": lambda: _GroupWithoutMembers("x", [ValueError("within")]),
    "a group of 10,000": lambda: ExceptionGroup("x", [ValueError(str(n)) for n in range(10_000)]),
}
