"""Type, message and root cause in the texts that PHP, Go, Ruby and Rust write of an exception or a panic."""

import re
from typing import NamedTuple

_MAX_HEAD = 16_384  # characters that are looked at where a message may take several lines
_MAX_LINE = 8_192  # characters of a line that is looked at
_PHP_STACK = re.compile(r"\n(?:Stack trace:\n|\n)?#0 ")
_PHP_PLACE = re.compile(r"\S[^\n]*:\d+")
_PHP_HEAD = re.compile(r"(?P<type>[A-Za-z_][\w\\]*)(?:: (?P<message>.*))?", re.DOTALL)
_GO_STACK = re.compile(r"^goroutine \d+ .*\[", re.MULTILINE)
_GO_HEAD = re.compile(r"^[ \t]*(?P<type>panic|fatal error): ", re.MULTILINE)
_GO_REMARK = re.compile(r" \[recovered(?:, repanicked)?\]\s*$|^\[signal .*", re.MULTILINE)
_RUBY_TYPE = re.compile(r"[A-Z]\w*(?:::[A-Z]\w*)*")
_RUST_HEAD = re.compile(r"^thread '[^'\n]*'(?: \(\d+\))? panicked at ", re.MULTILINE)
_RUST_PLACE = re.compile(r"[^\n]+:\d+:\d+")
_RUST_END = re.compile(r"^(?:note: |stack backtrace:)", re.MULTILINE)


class Raised(NamedTuple):
    """What a text says was raised; `cause` is the root cause as "type: message"."""

    error_type: str
    message: str
    cause: str | None


def read_other(text: str) -> Raised | None:
    """What such a text tells; None where it is none."""
    return _go(text) or _rust(text) or _php(text) or _ruby(text)


def _php(text: str) -> Raised | None:
    """The exceptions stand in the order in which they were thrown, each but the first after "Next"."""
    thrown = [head for section in text.split("\n\nNext ") if (head := _php_head(section)) is not None]
    return _chained(thrown[::-1])


def _php_head(section: str) -> tuple[str, str] | None:
    stack = _PHP_STACK.search(section)
    if stack is None:
        return None
    head = section[: stack.start()][-_MAX_HEAD:].rpartition("Uncaught ")[2]
    before, _, place = head.rpartition(" in ")
    match = _PHP_HEAD.fullmatch((before if before and _PHP_PLACE.fullmatch(place) else head).strip())
    return None if match is None else (match["type"], match["message"] or "")


def _go(text: str) -> Raised | None:
    """A panic may be followed by another one, raised while it was handled."""
    stack = _GO_STACK.search(text)
    begun = text[: stack.start()] if stack else ""
    heads = list(_GO_HEAD.finditer(begun[-_MAX_HEAD:]))
    begun = begun[-_MAX_HEAD:]
    ends = [*(head.start() for head in heads[1:]), len(begun)]
    panics = [
        (head["type"], _GO_REMARK.sub("", begun[head.end() : end]).strip())
        for head, end in zip(heads, ends, strict=False)
    ]
    return _chained(panics[::-1])


def _ruby(text: str) -> Raised | None:
    """Causes follow the exception, each on a line without "from"."""
    heads = map(_ruby_head, text.split("\n"))
    return _chained([head for head in heads if head is not None])


def _ruby_head(line: str) -> tuple[str, str] | None:
    """Type and message of a line such as "app.rb:3:in 'pay': declined (Card::Declined)"."""
    place, _, method = line[:_MAX_LINE].rstrip().partition(":in ")
    said = method.partition("': ")[2] if method[:1] in ("`", "'") else ""
    message, _, error_type = said.removesuffix(")").rpartition(" (")
    is_head = not line[:1].isspace() and place.rpartition(":")[2].isdigit() and _RUBY_TYPE.fullmatch(error_type)
    return (error_type, message) if is_head else None


def _rust(text: str) -> Raised | None:
    head = _RUST_HEAD.search(text)
    if head is None:
        return None
    said = text[head.end() :][:_MAX_HEAD]
    end = _RUST_END.search(said)
    said = said[: end.start()] if end else said
    return Raised("panic", _rust_message(said.strip()), None)


def _rust_message(said: str) -> str:
    """What follows the place, which up to Rust 1.72 followed the message in quotes."""
    message, _, place = said.rpartition("', ")
    if message.startswith("'") and _RUST_PLACE.fullmatch(place):
        return message[1:]
    first, _, rest = said.partition("\n")
    return rest if _RUST_PLACE.fullmatch(first.removesuffix(":")) else said


def _chained(raised: list[tuple[str, str]]) -> Raised | None:
    """What was raised last stands first, and what it goes back to last."""
    if not raised:
        return None
    return Raised(*raised[0], ": ".join(filter(None, raised[-1])) if len(raised) > 1 else None)
