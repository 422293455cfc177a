"""The corpus of secrets and look-alikes in `corpus/*.txt`, one text a line, and how it is measured.

A secret is marked ⟦so⟧, a line break is ⏎, and {a36} are 36 random characters of an alphabet: the same ones in every
run. So no secret of a real shape is in these files, which scanners of repositories read. A line that begins with `!` is
one that masking is known to get wrong.
"""

import random
import re
import string
from pathlib import Path
from typing import NamedTuple

from failaware.capture.secrets.masking import Masker

_FOLDER = Path(__file__).parent / "corpus"
_ALPHABETS = {
    "a": string.ascii_letters + string.digits,
    "b": string.ascii_letters + string.digits + "+/",
    "d": string.digits,
    "h": "0123456789abcdef",
    "l": string.ascii_lowercase + string.digits,
    "u": string.ascii_uppercase + "234567",
    "w": string.ascii_letters + string.digits + "_-",
}
_RANDOM = re.compile(r"\{([abdhluw])(\d+)\}")
_SECRET = re.compile("⟦(.*?)⟧", re.DOTALL)


class Sample(NamedTuple):
    """One text of the corpus; `secrets` are the parts of it that must be gone, and `known_miss` that they are not."""

    text: str
    secrets: tuple[str, ...]
    known_miss: bool

    def is_right(self) -> bool:
        """Whether masking does with it what it should: no half of a secret is left, and nothing else is touched."""
        masked, hits = Masker().mask_text(self.text)
        if not self.secrets:
            return hits == 0
        return all(half not in masked for secret in self.secrets for half in _halves(secret))


def read(name: str) -> list[Sample]:
    """The samples of one file of `corpus`, by its name without .txt."""
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [_sample(line) for line in lines if line and not line.startswith("# ")]


def _sample(line: str) -> Sample:
    source = random.Random(line.removeprefix("!"))
    marked = _RANDOM.sub(lambda match: _random(source, match), line.removeprefix("!")).replace("⏎", "\n")
    secrets = tuple(match[1] for match in _SECRET.finditer(marked))
    return Sample(marked.replace("⟦", "").replace("⟧", ""), secrets, line.startswith("!"))


def _random(source: random.Random, match: re.Match[str]) -> str:
    return "".join(source.choices(_ALPHABETS[match[1]], k=int(match[2])))


def _halves(secret: str) -> tuple[str, str]:
    size = max(len(secret) // 2, min(len(secret), 5))
    return secret[:size], secret[-size:]
