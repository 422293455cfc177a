"""Families of failures that programs printed, and lines of system logs: what the grouping as a whole is measured with.

The values are those that different people would have put into the slots of `observed.toml`: words and names, hosts,
paths, dates, quantities with their signs and units, and what is no number where one is expected.
"""

import random
import re
import string
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.derive.families import Sample

_SLOT = re.compile(r"\{([a-z]+8?)\d*\}")
_WORDS = """
    amber birch copper delta ember falcon garnet harbor indigo juniper kestrel lantern meadow nectar onyx prairie quartz
    raven saffron thistle umber violet willow xenon yonder zephyr cobalt dune fjord grove heron islet jasper kelp linden
    maple nimbus opal pebble quill ripple slate tundra vesper wren yarrow
"""
_PEOPLE = "ada bob chloe dmitri elena farid greta hugo ines jonas kaya lars mina noor otto priya rosa sven uma"
_FAMILY_NAMES = "adler berg costa diaz eriksen fischer garcia haas ito jansen kumar meyer novak silva weber"
_SUFFIXES = "csv json txt log pdf parquet xlsx zip png xml sql bak"


def observed(times: int = 16, every: int = 1) -> Iterator[Sample]:
    """The failures of every nth family of observed.toml, each with different values in its slots."""
    values = _Values(random.Random(5))
    families = tomllib.loads((Path(__file__).parent / "observed.toml").read_text())
    for family, table in list(families.items())[::every]:
        for number, (error_type, text) in enumerate(table["failures"]):
            for message in dict.fromkeys(values.fill(text) for _ in range(times)):
                yield Sample(family, f"{family}/{number}", error_type or None, message)


class _Values:
    """Draws the value for a slot by its kind."""

    def __init__(self, chance: random.Random) -> None:
        self._random = chance

    def fill(self, text: str) -> str:
        """The text with a value in each slot, equal slots with equal values; {{ and }} are braces."""
        values: dict[str, str] = {}
        for slot in _SLOT.finditer(text := text.replace("{{", "\0").replace("}}", "\1")):
            values.setdefault(slot[0], _KINDS[slot[1]](self))
        return _SLOT.sub(lambda slot: values[slot[0]], text).replace("\0", "{").replace("\1", "}")

    def of(self, *options: str) -> str:
        return self._random.choice(options)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def draw(self, letters: str, count: int) -> str:
        return "".join(self._random.choices(letters, k=count))

    def word(self) -> str:
        return self.of(*_WORDS.split())

    def integer(self) -> str:
        return str(self.number(*self._random.choice([(1, 99), (100, 9_999), (10_000, 99_999_999)])))

    def fraction(self) -> str:
        return self.of("", "", "-") + self.of(f"{self._random.random():.6f}", f"{self._random.random() * 9_999:.1f}")

    def date(self) -> str:
        return f"{self.number(2019, 2027)}-{self.number(1, 12):02}-{self.number(1, 28):02}"

    def file(self) -> str:
        word = self.word()
        name = self.of(word, word.title(), f"{word}_{self.integer()}", f"{word}-{self.date()}", self.hexadecimal(16))
        return f"{name}.{self.of(*_SUFFIXES.split())}"

    def path(self) -> str:
        top = self.of("/srv", "/var/lib", "/mnt/data", "/opt", "/data")
        folders = [self.of(self.word(), self.integer(), self.date()) for _ in range(self.number(1, 3))]
        return "/".join([top, *folders, self.of(self.file(), self.word())])

    def hexadecimal(self, digits: int) -> str:
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"

    def user(self) -> str:
        one, other = self.of(*_PEOPLE.split()), self.of(*_FAMILY_NAMES.split())
        return self.of(one, f"{one}{self.number(1, 99)}", f"{one}.{other}", f"{one}_{other}", one[0] + other)

    def host(self) -> str:
        word, number = self.word(), self.number(1, 40)
        return self.of(
            word, f"{word}-{number}", f"{word}{number:02}", f"{word}.internal", f"db-{number}.{word}.example.net"
        )

    def address(self) -> str:
        return f"127.{self.number(0, 255)}.{self.number(0, 255)}.{self.number(1, 254)}"

    def no_number(self) -> str:
        return self.of(
            *(self.word(), "n/a", f"{self.number(2, 97)},{self.number(2, 97)}", f"{self.word()}{self.number(2, 97)}"),
            *(
                f"{self.number(2, 97)}x",
                f"{self.number(2, 97)}%",
                f"{self.word()} {self.word()}",
                f"{self.word()}@b.io",
            ),
        )

    def no_date(self) -> str:
        day, year = self.number(1, 28), self.number(2019, 2027)
        return self.of(f"{year}-{day + 12}-{day:02}", f"{day}/{day}/{year}", self.word(), "tomorrow", f"Q3 {year}")

    def token(self) -> str:
        return self.draw(string.ascii_letters + string.digits, self._random.choice([16, 20, 24, 32]))

    def identifier(self) -> str:
        return self.of(self.integer(), str(uuid.UUID(int=self._random.getrandbits(128))), f"ord_{self.token()}")

    def several(self, item: Callable[[], str], least: int) -> list[str]:
        return [item() for _ in range(self.number(least, 4))]


_KINDS: dict[str, Callable[[_Values], str]] = {
    "word": _Values.word,
    "words": lambda v: " ".join([v.word(), *v.several(v.word, 1)]),
    "n": _Values.integer,
    "int": lambda v: v.of("", "", "-") + v.integer(),
    "small": lambda v: str(v.number(2, 97)),
    "big": lambda v: str(v.number(10**19, 10**24)),
    "float": _Values.fraction,
    "port": lambda v: str(v.number(20_001, 64_000)),
    "hex": lambda v: v.hexadecimal(v._random.choice([8, 12, 24, 40])),
    "hex8": lambda v: v.hexadecimal(8),
    "uuid": lambda v: str(uuid.UUID(int=v._random.getrandbits(128))),
    "id": _Values.identifier,
    "user": _Values.user,
    "host": _Values.host,
    "ip": _Values.address,
    "path": _Values.path,
    "filens": _Values.file,
    "rel": lambda v: v.of(v.file(), f"{v.word()}/{v.file()}", f"./{v.file()}"),
    "url": lambda v: f"https://{v.host()}/{v.word()}/{v.integer()}?q={v.word()}",
    "ver": lambda v: f"{v.number(50, 99)}.{v.number(0, 20)}" + v.of("", f".{v.number(0, 30)}", "rc1"),
    "notnum": _Values.no_number,
    "baddate": _Values.no_date,
    "text": lambda v: v.of(v.word(), f"{v.word()} {v.word()}", v.no_number(), v.date(), v.identifier()),
    "block": lambda v: f"blk_{v.of('', '-')}{v.number(10**15, 9 * 10**18)}",
    "addresses": lambda v: " ".join(f"{address}:50010" for address in v.several(v.address, 1)),
    "sent": lambda v: v.of(f"{v.number(1, 999)} bytes", f"{v.number(1_024, 9**7)} bytes ({v.number(1, 900)}.5 KB)"),
    "lifetime": lambda v: v.of("<1 sec", f"00:{v.number(10, 59)}", f"{v.number(10, 23)}:{v.number(10, 59)}:07"),
    "tty": lambda v: v.of("", "ssh", "tty1", "pts/3"),
    "rhost": lambda v: v.of("", v.address(), f"{v.word()}.example.com"),
    "temperature": lambda v: f"{v.of('-', '')}{v.number(1, 90)}.{v.number(0, 9)}{v.of('C', ' C', '°C')}",
    "voltage": lambda v: f"{v.number(0, 12)}.{v.number(10, 99)}{v.of(' V', 'V')}",
    "memory": lambda v: v.of(f"{v.number(1, 999)}.{v.number(0, 9)} {v.of('KB', 'MB')}", f"{v.number(0, 999)} B"),
    "took": lambda v: v.of(f"{v.number(1, 999)} ms", f"{v._random.random() * 60:.3f} s", f"{v.number(1, 9)}m5s"),
    "share": lambda v: v.of(f"{v.number(0, 100)}%", f"{v._random.random() * 100:.1f} %", f"{v._random.random():.2f}"),
    "members": lambda v: f"[{', '.join([*v.several(v.host, 0), v.address()])}]",
    "numbers": lambda v: f"[{', '.join(v.several(v.integer, 0))}]",
    "flag": lambda v: v.of("true", "false", "True", "False"),
}
