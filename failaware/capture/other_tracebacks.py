"""Reads error type, message and root cause from the tracebacks of PHP, Go, Ruby and Rust."""

import re
from typing import NamedTuple

_MAX_HEAD = 16_384  # characters searched for a message of several lines
_MAX_LINE = 8_192  # characters searched of a line
_PHP_STACK = re.compile(r"\n(?:Stack trace:\n|\n)?#0 ")
_PHP_PLACE = re.compile(r"\S[^\n]*:\d+")
_PHP_HEAD = re.compile(r"(?P<type>[A-Za-z_][\w\\]*)(?:: (?P<message>.*))?", re.DOTALL)
_GO_STACK = re.compile(r"^goroutine \d+ .*\[", re.MULTILINE)
_GO_HEAD = re.compile(r"^[ \t]*(?P<type>panic|fatal error): ", re.MULTILINE)
_GO_REMARK = re.compile(r" \[recovered(?:, repanicked)?\]\s*$|^\[signal .*", re.MULTILINE)
_RUBY_TYPE = re.compile(r"[A-Z]\w*(?:::[A-Z]\w*)*")
_RAILS_HEAD = re.compile(r"(?P<type>[A-Z]\w*(?:::[A-Z]\w*)+) \((?P<message>.*)\):")
_RUST_HEAD = re.compile(r"^thread '[^'\n]*'(?: \(\d+\))? panicked at ", re.MULTILINE)
_RUST_PLACE = re.compile(r"[^\n]+:\d+:\d+")
_RUST_END = re.compile(r"^(?:note: |stack backtrace:)", re.MULTILINE)


class Raised(NamedTuple):
    """An exception or a panic read from a text; `cause` is the root cause as "type: message"."""

    error_type: str
    message: str
    cause: str | None


def read_other(text: str) -> Raised | None:
    """Return the exception or panic in a text of one of these languages; None if there is none."""
    return _go(text) or _rust(text) or _php(text) or _ruby(text)


def _php(text: str) -> Raised | None:
    """PHP writes exceptions in the order in which they were thrown, each except the first after "Next"."""
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
    """A panic may be followed by another one that was raised while it was handled."""
    stack = _GO_STACK.search(text)
    before = text[: stack.start()][-_MAX_HEAD:] if stack else ""
    heads = list(_GO_HEAD.finditer(before))
    ends = [*(head.start() for head in heads[1:]), len(before)]
    panics = [
        (head["type"], _GO_REMARK.sub("", before[head.end() : end]).strip())
        for head, end in zip(heads, ends, strict=False)
    ]
    return _chained(list(dict.fromkeys(panics[::-1])))  # a panic that was recovered may be raised again


def _ruby(text: str) -> Raised | None:
    """Causes follow the exception, each on a line without "from"."""
    heads = map(_ruby_head, text.split("\n"))
    return _chained([head for head in heads if head is not None])


def _ruby_head(line: str) -> tuple[str, str] | None:
    """Return type and message of a line such as "app.rb:3:in 'pay': declined (Card::Declined)"; or as Rails has it."""
    of_rails = _RAILS_HEAD.fullmatch(line[:_MAX_LINE].rstrip())
    if of_rails is not None:
        return of_rails["type"], of_rails["message"]
    place, _, method = line[:_MAX_LINE].rstrip().partition(":in ")
    description = method.partition("': ")[2] if method[:1] in ("`", "'") else ""
    message, _, error_type = description.removesuffix(")").rpartition(" (")
    is_head = not line[:1].isspace() and place.rpartition(":")[2].isdigit() and _RUBY_TYPE.fullmatch(error_type)
    return (error_type, message) if is_head else None


def _rust(text: str) -> Raised | None:
    head = _RUST_HEAD.search(text)
    if head is None:
        return None
    description = text[head.end() :][:_MAX_HEAD]
    end = _RUST_END.search(description)
    description = description[: end.start()] if end else description
    return Raised("panic", _rust_message(description.strip()), None)


def _rust_message(description: str) -> str:
    """Return the message. Up to Rust 1.72 it is quoted and before the location; later it follows the location."""
    message, _, place = description.rpartition("', ")
    if message.startswith("'") and _RUST_PLACE.fullmatch(place):
        return message[1:]
    first, _, rest = description.partition("\n")
    return rest if _RUST_PLACE.fullmatch(first.removesuffix(":")) else description


def _chained(raised: list[tuple[str, str]]) -> Raised | None:
    """Combine a chain, newest first: the last one is the root cause."""
    if not raised:
        return None
    return Raised(*raised[0], ": ".join(filter(None, raised[-1])) if len(raised) > 1 else None)
