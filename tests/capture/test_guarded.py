"""Others' code is asked behind a guard, which lets through only what a signal raises."""

import functools
import os
import signal
import sys

import pytest

from failaware.capture.exceptions import describe
from failaware.capture.guarded import guarded
from tests.capture.misbehaving import MISBEHAVING


class _Interrupted(Exception):
    def __str__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return "interrupted"


def _exit(_number, _frame):
    sys.exit(143)


def _exit_with(_status, *_of_signal):
    raise SystemExit(143)


@pytest.fixture
def on_signal():
    before = signal.getsignal(signal.SIGTERM)
    yield functools.partial(signal.signal, signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("handler", [_exit, functools.partial(_exit_with, 1)])
def test_a_process_that_is_to_end_ends_while_an_exception_is_described(on_signal, handler):
    on_signal(handler)
    with pytest.raises(SystemExit):
        describe(_Interrupted())


def test_ctrl_c_ends_while_an_exception_is_described(on_signal):
    on_signal(signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        describe(_Interrupted())


@pytest.mark.parametrize("name", ["str raises", "str raises no Exception", "str raises KeyboardInterrupt", "str exits"])
def test_what_an_object_raises_itself_gives_the_default(name):
    error = MISBEHAVING[name]()
    assert guarded(lambda: str(error), "default") == "default"
