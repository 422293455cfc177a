"""Arguments that several commands take, and what they name: numbers, reasons, files, stores that must exist."""

import argparse
from contextlib import suppress
from pathlib import Path

from failaware.errors import StoreMissing, StoreNewer, StoreOlder, UsageError
from failaware.text import has_words, is_url


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="one JSON document; times are µs since the epoch, UTC")


def add_limit(parser: argparse.ArgumentParser, listed: str = "at most N of them") -> None:
    """--limit of a list."""
    parser.add_argument("--limit", type=positive, default=50, metavar="N", help=f"{listed} (default 50)")


def add_before(parser: argparse.ArgumentParser, listed: str) -> None:
    """--before of a list that is read page by page."""
    parser.add_argument("--before", type=fact_id, metavar="ID", help=f"the next page: only {listed} before this one")


def add_decision(parser: argparse.ArgumentParser) -> None:
    """--because and --by of a command that records a decision."""
    help_text = "the reason, stored with the decision"
    parser.add_argument("--because", type=reason, required=True, metavar="TEXT", help=help_text)
    parser.add_argument("--by", metavar="WHO", help="who decided (default: you, as user@host)")


def add_synchronous(parser: argparse.ArgumentParser) -> None:
    """--synchronous of the commands that write much."""
    parser.add_argument(
        "--synchronous",
        choices=["FULL", "NORMAL"],
        default="FULL",
        help="FULL: recorded facts survive power loss (default); NORMAL: survive a killed process only, faster",
    )


def add_sample(parser: argparse.ArgumentParser) -> None:
    """--events and --seed of the commands that make sample data."""
    parser.add_argument("--events", type=int, default=2_000, metavar="N", help="how many events (default 2000)")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="seed of the random history (default 7)")


def positive(value: str) -> int:
    """For argparse: a whole number of 1 or more."""
    if "@" in value:
        raise argparse.ArgumentTypeError(
            f"'{value}' names one of several stores; name its store with --db, and its number"
        )
    if not value.isascii() or not value.isdigit() or not int(value):
        raise argparse.ArgumentTypeError(f"'{value}' is not a whole number of 1 or more")
    return int(value)


def fact_id(value: str) -> str:
    """For argparse: the number of a fact, or that of one of several stores, 42@shop; `Inspector.id_of` reads it."""
    number, at, store = value.partition("@")
    if not number.isascii() or not number.isdigit() or not int(number) or (at and not store):
        raise argparse.ArgumentTypeError(f"'{value}' is not a whole number of 1 or more, nor NUMBER@STORE")
    return value


def reason(value: str) -> str:
    """For argparse: a reason, which has words."""
    if not has_words(value):
        raise argparse.ArgumentTypeError("give the reason in words")
    return value


def must_exist(place: str) -> None:
    """For commands that write, but make no store.

    Raises:
        StoreMissing: there is none.
    """
    if is_url(place):
        from failaware.read.inspector import Inspector

        with suppress(StoreOlder, StoreNewer):  # it exists; opening it for writing says whether it can be written
            Inspector.open(place).close()
    elif not Path(place).exists():
        raise StoreMissing(f"there is no store at {place}; name it with --db")


def read_file(path: str) -> str:
    """The text of a file that was named on the command line.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except (OSError, ValueError) as error:  # no such path either
        raise UsageError(f"cannot read {path}: {error}") from None
