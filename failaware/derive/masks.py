"""The variable parts of messages, as a table: what a mask is called in a template, and what it looks like.

Order matters: at one place in a text the first mask that fits wins. Every pattern is linear. A pattern begins where a
word begins; `_EDGE` keeps masks from biting into the middle of a word.
"""

from dataclasses import dataclass

_EDGE = r"(?<![\w])"
_DATE = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_NUMBER = r"[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?"


@dataclass(frozen=True, slots=True)
class Mask:
    """One kind of variable part."""

    kind: str
    pattern: str


KEEP = Mask(
    "keep",
    r"(?i:\bHTTP(?:/\d(?:\.\d)?)?[ :]{1,2}(?:status |error |code )?\d{3}\b|"
    r"\b(?:status|code|status[_ ]code|exit|exit status|exit code|returncode|errno|error|errorcode|SQLSTATE|signal|"
    r"returned|response)[ :=#]{1,3}\(?\d{1,5}(?![\w.:/-])|"
    r"\b(?:column|table|relation|constraint|index|key|field|attribute|parameter|argument)s? [\"'`][a-z_]\w{0,63}|"
    r"\[(?:errno|winerror) -?\d+\]|\b\d{3}(?= (?:client|server) error)|\(\d{4,5}, |"
    r"\b(?:utf|sha|md|base|int|uint|float|latin|iso|cp|x|ipv|http|tlsv?|sslv?|v|python|s)-?\d{1,5}(?:[-.]\d{1,3})?\b)|"
    r"\b(?:[1-5]\d\d)(?= (?:Bad|Unauthorized|Forbidden|Not|Method|Conflict|Gone|Too|Internal|Service|Gateway|"
    r"Unprocessable|Payment|Request|OK|Created|Moved|Found)\b)|\b(?:ORA|E|W|C|F|PGRST|TS|CS)-?\d{3,5}\b|"
    r"\b[a-z]{2}-(?:north|south|east|west|central|northeast|southeast)-\d\b",
)
"""Codes and names with digits that carry meaning: they stay as they are."""

MASKS = (
    Mask("url", _EDGE + r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s'\"<>)\],;]+"),
    Mask("email", _EDGE + r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"),
    Mask("uuid", _EDGE + r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}(?!\w)"),
    Mask(
        "timestamp",
        _EDGE + rf"(?:{_DATE}[T ]{_TIME}(?:Z|[ ]?[+-]\d{{2}}:?\d{{2}}| UTC| GMT)?|"
        rf"(?:[A-Z][a-z]{{2}},? )?\d{{1,2}} {_MONTH} \d{{4}}(?: {_TIME})?|"
        rf"(?:[A-Z][a-z]{{2}} )?{_MONTH} \d{{1,2}},?(?: \d{{4}})? {_TIME}(?: \d{{4}})?)(?!\w)",
    ),
    Mask("date", _EDGE + rf"(?:{_DATE}|\d{{1,2}}/\d{{1,2}}/\d{{4}}|{_MONTH} \d{{1,2}}, \d{{4}})(?![\w/])"),
    Mask("time", _EDGE + r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?!\w)"),
    Mask("ip", _EDGE + rf"{_OCTET}(?:\.{_OCTET}){{3}}(?:/\d{{1,2}})?(?![\w.]\d)"),
    Mask("ip", r"(?<![\w:.])\[?(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){0,6}(?![\w:])\]?"),
    Mask("host", _EDGE + r"(?:[a-zA-Z0-9][\w-]{0,62}\.){1,8}[a-zA-Z][\w-]{1,62}(?=:\d{1,5}(?!\w))"),
    Mask("address", _EDGE + r"0[xX][0-9a-fA-F]+(?!\w)"),
    Mask("path", r"(?<![\w.:])(?:~|\.{1,2})?(?:/[\w.@%+~=#$-]+){2,}/?(?::\d+)*|(?<!\w)[A-Za-z]:\\[^\s'\"<>|]+"),
    Mask(
        "duration",
        _EDGE + rf"{_NUMBER} ?(?:ns|µs|us|ms|milliseconds?|microseconds?|nanoseconds?|s|sec|secs|seconds?|m|min|mins|"
        r"minutes?|h|hrs?|hours?|d|days?|weeks?)(?!\w)",
    ),
    Mask("size", _EDGE + rf"{_NUMBER} ?(?:[kKMGTP]i?[Bb]?|[Bb]ytes?|B|octets)(?!\w)"),
    Mask("percent", _EDGE + rf"{_NUMBER} ?%"),
    Mask("hash", _EDGE + r"(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{7,128}(?!\w)"),
    Mask("id", _EDGE + r"(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*(?![\w])"),
    Mask("n", r"(?<![\w.])[-+#]?" + r"\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?(?!\w)"),
)
"""The kinds, the more particular ones first."""
