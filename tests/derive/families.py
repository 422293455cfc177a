"""Families of look-alike failures with values of every kind in their slots: what the grouping is measured with.

`families.toml` holds failures as other programs word them, `raised.toml` expressions that fail for real in the standard
library. Everything is drawn from one seed: a run can be repeated.
"""

import contextlib
import importlib
import random
import re
import sqlite3
import string
import tomllib
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

_HERE = Path(__file__).parent
_SLOT = re.compile(r"\{([a-z0-9]+)\}")
_MODULES = """
    array asyncio base64 binascii bisect bz2 calendar collections concurrent.futures configparser contextvars copy csv
    dataclasses decimal email enum fractions functools gettext graphlib grp gzip hashlib heapq hmac html http.client
    importlib inspect io ipaddress json locale logging logging.config lzma marshal math mmap multiprocessing operator os
    pathlib pickle plistlib pwd queue quopri random re secrets select shelve shlex shutil signal sqlite3 ssl statistics
    string struct tarfile textwrap threading time tomllib urllib.parse uuid weakref xml.etree.ElementTree zipfile zlib
    zoneinfo
"""


class Sample(NamedTuple):
    """One message of a failure; `label` says which failure it is, `family` among which look-alikes."""

    family: str
    label: str
    error_type: str | None
    message: str


def written(times: int = 8) -> Iterator[Sample]:
    """The failures of families.toml, each with different values in its slots."""
    values = Values(7)
    for family, table in tomllib.loads((_HERE / "families.toml").read_text()).items():
        for number, (error_type, text) in enumerate(table["failures"]):
            for message in dict.fromkeys(values.fill(text) for _ in range(times)):
                yield Sample(family, f"{family}/{number}", error_type or None, message)


def raised(times: int = 6) -> Iterator[Sample]:
    """What the expressions of raised.toml raise."""
    with contextlib.closing(sqlite3.connect(":memory:")) as memory:
        values, names = Values(11), {**_names(), "memory": memory}
        for family, table in tomllib.loads((_HERE / "raised.toml").read_text()).items():
            for number, expression in enumerate(table["expressions"]):
                errors = dict.fromkeys(_raised_by(values.fill(expression), names) for _ in range(times))
                for error in filter(None, errors):
                    yield Sample(family, f"{family}/{number}", *error)


def _names() -> dict[str, object]:
    names: dict[str, object] = {"import_module": importlib.import_module, "dt": importlib.import_module("datetime")}
    for module in _MODULES.split():
        importlib.import_module(module)
        root = module.partition(".")[0]
        names[root] = importlib.import_module(root)
    return names


def _raised_by(expression: str, names: dict[str, object]) -> tuple[str, str] | None:
    """The error type and message; None for the few values that happen not to fail."""
    with warnings.catch_warnings(action="ignore"):
        try:
            eval(expression, dict(names))
        except Exception as error:
            return type(error).__qualname__, str(error)
    return None


class Values:
    """Draws the value for a slot by its kind."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def fill(self, text: str) -> str:
        """The text with a value in each slot; {{ and }} are braces."""
        text = text.replace("{{", "\0").replace("}}", "\1")
        return _SLOT.sub(lambda slot: self._kinds[slot[1]](self), text).replace("\0", "{").replace("\1", "}")

    def _number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def _one_of(self, words: str) -> str:
        return self._random.choice(words.split())

    def _hex(self, digits: int) -> str:
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=count))

    def _folder(self) -> str:
        return "".join("/" + self._one_of("var data srv home jobs in out spool") for _ in range(self._number(2, 5)))

    _kinds: ClassVar[dict[str, Callable[["Values"], str]]] = {
        "n": lambda v: str(v._number(1, 99_999)),
        "small": lambda v: str(v._number(1, 40)),
        "big": lambda v: str(v._number(10**9, 10**12)),
        "float": lambda v: f"{v._random.random() * 100:.3f}",
        "money": lambda v: f"{v._number(1, 900)}.{v._number(10, 99)}",
        "pct": lambda v: f"{v._number(1, 99)}%",
        "uuid": lambda v: str(uuid.UUID(int=v._random.getrandbits(128))),
        "hex": lambda v: v._hex(40),
        "hex12": lambda v: v._hex(12),
        "oid": lambda v: v._hex(24),
        "sha": lambda v: "sha256:" + v._hex(64),
        "addr": lambda v: "0x" + v._hex(12),
        "ip": lambda v: f"10.{v._number(0, 255)}.{v._number(0, 255)}.{v._number(1, 254)}",
        "port": lambda v: str(v._number(1_024, 65_000)),
        "host": lambda v: f"{v._one_of('db cache web mq')}-{v._number(1, 30)}.{v._one_of('prod eu')}.example.com",
        "shost": lambda v: f"{v._one_of('alpha beta gamma delta')}{v._number(1, 9)}",
        "pod": lambda v: f"api-{v._hex(9)}-{''.join(v._random.choices('bcdfghjklmnpqrstvwxz2456789', k=5))}",
        "dir": lambda v: v._folder(),
        "path": lambda v: f"{v._folder()}/{v._one_of('a report export')}_{v._number(1, 99_999)}.{v._one_of('csv txt')}",
        "url": lambda v: (
            f"https://api.example.com/{v._one_of('v1/users orders x/y')}/{v._number(1, 999)}?q={v._hex(4)}"
        ),
        "email": lambda v: (
            f"{v._one_of('ann bob joe.b x_y')}{v._number(1, 99)}@{v._one_of('example.com mail.test.org')}"
        ),
        "user": lambda v: v._one_of("alice bob deploy svc_etl root www"),
        "word": lambda v: v._one_of("lorem ipsum dolor banana kiwi hello"),
        "text": lambda v: v._random.choice(["hello world", "12,5", "n/a", "abc def", "-- x", "tomorrow"]),
        "dur": lambda v: f"{v._number(1, 59)}{v._one_of('s ms m')}",
        "ts": lambda v: (
            f"2026-{v._number(1, 12):02}-{v._number(1, 28):02}T{v._number(0, 23):02}:{v._number(0, 59):02}:07Z"
        ),
        "date": lambda v: f"2026-{v._number(1, 12):02}-{v._number(1, 28):02}",
        "size": lambda v: f"{v._number(1, 900)}{v._one_of('MB KiB GB MiB')}",
        "gib": lambda v: f"{v._number(1, 80)}.{v._number(10, 99)} GiB",
        "mib": lambda v: f"{v._number(1, 80)}.{v._number(10, 99)} MiB",
        "ver": lambda v: f"{v._number(1, 9)}.{v._number(0, 20)}.{v._number(0, 20)}",
        "sku": lambda v: f"SKU-{v._number(100, 999)}-{v._one_of('A B C')}",
        "nano": lambda v: v._letters(20),
        "jwt": lambda v: v._letters(43),
        "cust": lambda v: "cus_" + v._letters(14),
    }
