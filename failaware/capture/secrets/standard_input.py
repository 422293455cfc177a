"""Recognizes passwords that a command reads instead of being given them: `echo X | kinit bob`, `docker login … <<< X`.

Linear: what is searched around a command is bounded.
"""

import re
from collections.abc import Iterator

from failaware.capture.secrets.arguments import is_secret, split_arguments

Spans = Iterator[tuple[int, int]]

_HINTS = (
    *("kinit", "k5start", "passwd", "sudo", "stdin", "-fd", "with-token", "cryptsetup", "ssh-add", "pdbedit"),
    *("su ", "doas", "login", "signin", "unlock"),
)
_READER = re.compile(
    r"(?<![\w.-])(?<!etc/)(?:kinit|k5start|kadmin|\w*passwd|pdbedit|cryptsetup|ssh-add|doas|su)(?=[\s'\"\\]|$)"
    r"|\bsudo(?:[ \t]+-\w+)*[ \t]+-\w*S\b"
    r"|[ \t]--?[\w-]*(?:pass|password|passphrase|token|secret|key)-(?:stdin\b|fd[ =]0\b)"
    r"|[ \t]--(?:with-token|stdin)\b|[ \t]-pass(?:in)?[ \t]+stdin\b"
    r"|(?<![\w.-])(?:op|bw|vault|az|oc|cf|gh|lpass)[ \t]+(?:auth[ \t]+)?(?:login|signin|unlock)\b",
)
_NEAR = 400  # characters before and after a command in which its input is searched
_ENDS = re.compile(r"[;\n]|&&|\|\|")
_HERE_STRING = re.compile(r"<<<[ \t]*")
_PRINTED = re.compile(r"\b(?:echo|printf)(?=[ \t])")
_HERE_DOCUMENT = re.compile(  # also in JSON
    r"<<-?[ \t]*['\"]?(?P<word>[A-Za-z_]\w{0,40})['\"]?[^\n\\]{0,400}+(?:\n|\\n)"
    r"(?P<lines>.{1,400}?)(?:\n|\\n)[ \t]*(?P=word)\b",
    re.DOTALL,
)
_FORMAT = re.compile(r"(?:%s|\\+[nr]|-\w+)+")

_SENT = re.compile(  # by expect, and by pexpect
    r"send(?<!\wsend)(?:(?:[ \t]+--)?[ \t]+|line\()\\{0,7}(?P<quote>['\"])(?P<secret>[^\s'\"\\]{3,100})"
    r"(?:(?<=[^\\])\\{1,8}[rn]){0,2}\\{0,7}(?P=quote)"
)
_PROMPT = re.compile(r"(?i:passw|passphrase|password)")
_ODD = re.compile(r"(?=.*[A-Za-z])(?=.*[\d!@#$%^&*+=])")


INPUT_HINTS = ("<<", "|", "send")
"""One of these is in every text in which `secret_input` finds something."""


def secret_input(text: str) -> Spans:
    """Yield where secrets begin and end that a command reads."""
    is_fed = "<<" in text or ("|" in text and ("echo" in text or "printf" in text))
    if is_fed and any(map(text.__contains__, _HINTS)):
        before = after = 0
        for reader in _READER.finditer(text):
            yield from _piped(text, max(before, reader.start() - _NEAR), reader.start())
            before = reader.end()
            line_end = text.find("\n", before, before + _NEAR)
            end = line_end if line_end >= 0 else min(len(text), before + _NEAR)
            yield from _redirected(text, max(after, reader.start()), end)
            after = end
    if "send" in text:
        yield from _sent(text)


def _piped(text: str, begin: int, end: int) -> Spans:
    """Yield the secrets on the left side of the pipe before a command: `(echo X; echo X) | smbpasswd -s bob`."""
    begin = max(begin, text.rfind("\n", begin, end) + 1)
    pipe = text.rfind("|", begin, end)
    if pipe < 0 or text[pipe - 1 : pipe] == "|" or _ENDS.search(text, pipe + 1, end):
        return
    left = text[begin:pipe].rstrip(" \t\\")
    start = max(left.rfind("("), left.rfind("{")) if left.endswith((")", "}")) else -1
    if start < 0:
        start = max((end.end() for end in _ENDS.finditer(left)), default=0)
    for printed in _PRINTED.finditer(text, begin + start, pipe):
        yield from _arguments(text, printed.end(), pipe, most=8)
    yield from _redirected(text, begin + start, pipe)


def _redirected(text: str, begin: int, end: int) -> Spans:
    """Yield the secrets in the here-strings and the here-document of a command's line."""
    begin = text.find("<<", begin, end)
    if begin < 0:
        return
    if document := _HERE_DOCUMENT.match(text, begin):
        if is_secret(document["lines"].lstrip()):
            yield document.span("lines")
    else:
        yield from _here_strings(text, begin, end)


def _here_strings(text: str, begin: int, end: int) -> Spans:
    for here in _HERE_STRING.finditer(text, begin, end):
        yield from _arguments(text, here.end(), end, most=1)


def _arguments(text: str, begin: int, end: int, *, most: int) -> Spans:
    for start, stop in split_arguments(text, begin, end, most=most):
        argument = text[start:stop]
        if is_secret(argument) and not _FORMAT.fullmatch(argument):
            yield start, stop


def _sent(text: str) -> Spans:
    for sent in _SENT.finditer(text):
        if _ODD.match(sent["secret"]) or _PROMPT.search(text, max(0, sent.start() - 100), sent.start()):
            yield sent.span("secret")
