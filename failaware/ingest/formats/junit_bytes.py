"""Prepares the bytes of a JUnit report for expat: encodings that it does not know, and control characters."""

import codecs
import re

_DECLARED = re.compile(rb"""^[^<]*<\?xml[^>]*\bencoding=["'](?P<encoding>[\w.-]+)["']""")
_OTHERS = frozenset(("gbk", "gb2312", "gb18030", "big5", "shift_jis", "cp932", "euc_jp", "euc_kr", "iso2022_jp"))
_NO_CHARACTER = re.compile(
    rb"[\x01-\x08\x0b\x0c\x0e-\x1f]|&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2\d|3[01]));", re.IGNORECASE
)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")


class ReportBytes:
    """Converts an input part by part.

    Args:
        begins: its beginning.
    """

    def __init__(self, begins: bytes) -> None:
        declared = _DECLARED.match(begins[:1_000])
        encoding = _name(declared["encoding"].decode()) if declared else ""
        self.encoding = "utf-8" if encoding in _OTHERS else None
        """The encoding of what `converted` returns; None if it is the one that the report declares."""
        self._decoder = codecs.getincrementaldecoder(encoding)("backslashreplace") if self.encoding else None
        self._is_utf_16 = begins.startswith(_UTF_16)

    def converted(self, part: bytes) -> bytes:
        """Return a part for expat. Programs print colors and other control characters, which XML cannot contain."""
        if self._decoder is not None:
            part = self._decoder.decode(part).encode("utf-8", "backslashreplace")
        return part if self._is_utf_16 else _NO_CHARACTER.sub(b"?", part)


def _name(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name.replace("-", "_")
    except LookupError:
        return ""
