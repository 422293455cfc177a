"""What is copied: texts without what a terminal obeys when it is pasted, and commands for the shell. Pure."""

import os
import re
import shlex

from failaware.text import is_url, shown_place

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # and halves of characters, which nothing can encode
_LINE_END = re.compile(r"\r\n?")


def pasteable(text: str) -> str:
    r"""The text with escapes such as `\x1b` for all controls but line ends and tabs: they could end a paste early."""
    return _OBEYED.sub(lambda match: _escape(ord(match[0])), _LINE_END.sub("\n", text))


def decision_command(place: str, decision: str, subject: tuple[str, int]) -> str:
    """The command that records a decision, without its reason: as it is the command line refuses it.

    Args:
        place: the store, as a full path or a URL; a password in it is left out.
        decision: requeue or dismiss.
        subject: 'cluster' or 'event', and its id.
    """
    kind, number = subject
    of = f"--cluster {number}" if kind == "cluster" else str(number)
    return f"failaware --db {quoted(_without_password(place))} {decision} {of} --because ''"


def quoted(word: str) -> str:
    """A word for a shell, on one line; controls, and bytes that are no text, need the quotes of bash and zsh."""
    if not _OBEYED.search(word) and "\n" not in word and "\t" not in word:
        return shlex.quote(word)
    pieces = (
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02x}" for byte in os.fsencode(word)
    )
    return f"$'{''.join(pieces)}'"


def _without_password(place: str) -> str:
    """A URL without its password, which the environment or a password file gives; a path as it is."""
    return (
        re.sub(r":\*\*\*(?=@)|\b(?:ssl)?password=\*\*\*&?", "", shown_place(place)).rstrip("?&")
        if is_url(place)
        else place
    )


def _escape(number: int) -> str:
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
