"""Temporary."""

import re

_BAD = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\u061c\ufeff\ud800-\udfff]")


def visible(text, *, keep_newlines=False):
    def sub(m):
        c = m[0]
        if keep_newlines and c in "\n\t":
            return "\n" if c == "\n" else "    "
        o = ord(c)
        return f"\\x{o:02x}" if o < 256 else f"\\u{o:04x}"

    return _BAD.sub(sub, text)


def one_line(text, width=None):
    t = visible(text.replace("\r\n", "\n").replace("\n", " ⏎ "))
    return t if width is None or len(t) <= width else t[: width - 1] + "…"


def bounded(text, limit):
    return text if len(text) <= limit else text[: limit // 2] + " … " + text[-limit // 2 + 10 :]


def storable(text):
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
