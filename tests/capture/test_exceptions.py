"""An exception becomes type, message and traceback: as Python formats it, bounded, even if its methods raise."""

import time
import traceback

import pytest

from failaware import Permanent
from failaware.capture.exceptions import MAX_MESSAGE, MAX_TRACEBACK, describe
from failaware.capture.secrets.masking import Masker
from failaware.model import ERROR_HERE
from tests.capture.misbehaving import MISBEHAVING


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


@pytest.mark.parametrize("name", MISBEHAVING)
@pytest.mark.parametrize("masker", [None, Masker()])
def test_an_exception_loses_only_the_part_that_fails(name, masker):
    error = MISBEHAVING[name]()
    began = time.process_time()
    failure = describe(raised(lambda: (_ for _ in ()).throw(error)), masker=masker)
    assert time.process_time() - began < 5
    assert failure.error_type.endswith(type.__dict__["__name__"].__get__(type(error)))
    assert "Traceback (most recent call last):" in failure.traceback
    assert ERROR_HERE in failure.traceback
    for text in failure:
        assert text is None or (type(text) is str and text.encode() and len(text) <= MAX_TRACEBACK)


def test_what_can_be_said_is_said():
    assert describe(MISBEHAVING["getattr recurses"]()).error_message == "x"
    assert "<unprintable _Unprintable>\na note\n" in describe(MISBEHAVING["a note cannot be shown"]()).traceback
    assert "<notes that cannot be read>\n" in describe(MISBEHAVING["notes raise"]()).traceback
    assert describe(MISBEHAVING["5,000 causes"]()).cause == "ValueError: first"
    assert "4,981 exceptions left out" in describe(MISBEHAVING["5,000 causes"]()).traceback
    assert describe(MISBEHAVING["groups that share members"]()).cause == "ValueError: within"
    assert describe(MISBEHAVING["a group without members"]()).cause == "ValueError: within"


def test_where_nothing_can_be_said_the_type_is():
    class Broken:
        def mask_text(self, text):
            raise MemoryError

    failure = describe(KeyError("x"), masker=Broken())
    assert failure == ("KeyError", "<not described: MemoryError>", None, None, None)


@pytest.mark.parametrize("change", ["file", "edit"])
def test_a_traceback_shows_its_own_file(tmp_path, change):
    def run(file, source):
        file.write_text(source)
        names = {}
        exec(compile(source, file, "exec"), names)
        return describe(raised(names["charge"])).traceback

    source = "def charge():\n    assert 0  # {}\n"
    first = run(tmp_path / "a.py", source.format(1))
    assert f'{tmp_path / "a.py"}", line 2, in charge\n    assert 0  # 1' in first
    if change == "file":
        second = run(tmp_path / "b.py", source.format(2))
        assert f'{tmp_path / "b.py"}", line 2, in charge\n    assert 0  # 2' in second
    else:
        second = run(tmp_path / "a.py", "\n" + source.format("edited"))
        assert "line 3, in charge\n    assert 0  # edited" in second
