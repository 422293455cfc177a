"""The errors of random histories: with and without messages, causes, members and words of the caller; numbers vary."""

from failaware import Permanent

HOSTS = ("amber", "birch", "cedar", "delta")


def value(number):
    raise ValueError(f"bad value {number}")


def peer(_number):
    raise ConnectionError("refused by peer")


def disk(number):
    raise OSError(f"disk {number} is full")


def token(number):
    raise Permanent(f"wrong token {number}")


def only_a_number(number):
    raise KeyError(number)


def check_total(_number):
    raise AssertionError


def check_stock(_number):
    raise AssertionError


def route(number):
    raise ConnectionError(f"no route to {HOSTS[number % 4]} from here")


def sync(number):
    try:
        peer(number)
    except ConnectionError as error:
        raise RuntimeError(f"sync {number} failed") from error


def two(number):
    raise ExceptionGroup("two of them", [ValueError(f"bad value {number}"), OSError(f"disk {number} is full")])


def one(number):
    raise ExceptionGroup("one of them", [ValueError(f"bad value {number}")])


def says_what(number):
    error = ValueError(f"bad value {number}")
    error.failaware_fingerprint = "as the caller says"
    raise error


def says_where(number):
    error = ValueError(f"bad value {number}")
    error.failaware_fingerprint = "{{ default }} in Europe"
    raise error


ERRORS = (
    *(value, value, peer, peer, disk, token, only_a_number, route, route, route),
    *(check_total, check_stock, sync, two, one, says_what, says_where),
)
"""Functions of a number, each of which raises."""

RAISED = (ValueError, OSError, Permanent, KeyError, AssertionError, RuntimeError, ExceptionGroup)
RULES = (
    {"error": "OSError", "group": "the disks"},
    {"message": r"bad value (?P<digit>\d)", "split": "digit"},
    {"name": "stock", "traceback": "check_stock", "apart": True},
    {"name": "all of b", "type": "b", "group": "whatever b does"},
    {"message": "wrong token", "apart": True},
    {"traceback": "check_total", "group": "{{ default }}, checked"},
)
"""Rules of a user, of which some are in force at a time."""
