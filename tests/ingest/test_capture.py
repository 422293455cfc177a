"""An exception becomes type, message and traceback: like Python's own, bounded, and whatever the exception does."""

import traceback

import pytest

from failaware import Permanent
from failaware.ingest.capture import MAX_MESSAGE, MAX_TRACEBACK, describe
from failaware.ingest.masking import Masker
from failaware.model import ERROR_HERE


def raised(function):
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError


def full(error, **options):
    """The traceback as it is read: with the type and message in their place."""
    failure = describe(error, **options)
    return failure.traceback.replace(ERROR_HERE, f"{failure.error_type}: {failure.error_message}")


def deep(n):
    if n:
        deep(n - 1)
    raise ValueError("at the bottom")


def chained():
    try:
        {}["missing"]
    except KeyError as error:
        raise RuntimeError("while looking up") from error


def in_context():
    try:
        {}["missing"]
    except KeyError:
        raise RuntimeError("while handling")  # noqa: B904


def suppressed():
    try:
        {}["missing"]
    except KeyError:
        raise RuntimeError("alone") from None


def noted():
    error = ValueError("with a note")
    error.add_note("this happened in line 7 of the input")
    raise error


def multi_line():
    raise ValueError("first\nsecond")


@pytest.mark.parametrize("function", [lambda: deep(3), chained, in_context, suppressed, noted, multi_line])
def test_the_traceback_reads_as_pythons_own_but_for_the_marks(function):
    error = raised(function)
    own = "".join(traceback.format_exception(error))
    without_marks = "".join(
        line for line in own.splitlines(keepends=True) if set(line.strip()) - set("^~") or not line.strip()
    )
    assert full(error) == without_marks


def test_types_are_named_as_one_imports_them():
    class Mine(Exception):
        pass

    assert describe(ValueError("x")).error_type == "ValueError"
    assert describe(Permanent("x")).error_type == "failaware.Permanent"
    assert describe(Mine("x")).error_type.endswith("test_types_are_named_as_one_imports_them.<locals>.Mine")


def test_a_long_stack_keeps_both_ends():
    text = full(raised(lambda: deep(500)))
    assert "frames left out" in text
    assert text.count("  File ") == 40
    assert text.rstrip().endswith("ValueError: at the bottom")


def test_messages_and_tracebacks_are_bounded_at_both_ends():
    failure = describe(raised(lambda: (_ for _ in ()).throw(ValueError("begin" + "x" * 1_000_000 + "end"))))
    assert len(failure.error_message) <= MAX_MESSAGE
    assert failure.error_message.startswith("begin")
    assert failure.error_message.endswith("end")
    assert len(failure.traceback) <= MAX_TRACEBACK


def test_exceptions_that_misbehave_are_described_all_the_same():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError("no text either")

    assert describe(Broken()).error_message == "<unprintable Broken>"
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert "ValueError: a" in full(first)
    assert describe(ValueError("\ud800\x00")).error_message == "\\ud800\\x00"


def test_groups_show_their_members():
    group = ExceptionGroup("several", [ValueError("one"), ExceptionGroup("inner", [KeyError("two")])])
    text = full(raised(lambda: (_ for _ in ()).throw(group)))
    assert "several" in text
    assert "| ValueError: one" in text
    assert "KeyError: 'two'" in text


def test_secrets_in_messages_and_tracebacks_are_masked():
    failure = describe(raised(lambda: (_ for _ in ()).throw(ValueError("password=" + "tr0ub4dor"))), masker=Masker())
    assert failure.error_message == "password=[masked]"
    assert "tr0ub4dor" not in failure.traceback.replace('"password=" + "tr0ub4dor"', "")


def test_failures_at_the_same_place_share_one_traceback():
    texts = {describe(raised(lambda n=n: int(f"x{n}"))).traceback for n in range(3)}
    assert len(texts) == 1
