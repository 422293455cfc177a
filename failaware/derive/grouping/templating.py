"""The masks of the fingerprint: the parts of a message that are replaced by placeholders.

MASKS are values recognizable by their form, REMAINDERS what masked values leave. Order matters: each mask runs on the
result of those before it. Every pattern is linear: quantifiers are possessive, bounded, or followed by something they
cannot match. `words.py` has the words around values that cannot be recognized by their form.
"""

import re
from dataclasses import dataclass

PLACEHOLDER = r"<[a-z0-9]{1,12}>"
"""A regular expression for any placeholder."""


@dataclass(frozen=True, slots=True)
class Mask:
    """One kind of variable part.

    Attributes:
        kind: its name, for people.
        pattern: its form.
        placeholder: its replacement in a template; may refer to groups of the pattern.
        needs: a text without which the pattern cannot match, tested first because that is fast.
        digits: whether it matches only texts with a digit.
        first: a fast pattern without which the slow one cannot match.
    """

    kind: str
    pattern: re.Pattern[str]
    placeholder: str
    needs: str = ""
    digits: bool = True
    first: re.Pattern[str] | None = None


_COLON_DIGIT = re.compile(r":\d")
_D = r"\d(?<![\w.]\d)"  # the first digit of a number at the beginning of a word; faster than a lookbehind first
_E = r"(?!\w)"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}+"
_MONTH = r"[JFMASOND][a-z]{2}(?<=Jan|Jun|Feb|Mar|May|Apr|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}+"
_ZONE = r"(?:Z\b| ?[+-]\d\d:?\d\d\b| (?:UTC|GMT|[A-Z]{2,3}T)\b)"
_CLOCK = rf"\d?:\d\d(?::\d\d)?(?:[.,]\d{{1,9}})?(?: ?[AaPp]\.?[Mm]\b)?{_ZONE}?"
_YMD = rf"{_D}(?:\d{{3}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d?([-/.])\d{{1,2}}[-/.]\d{{4}})"
_DMY = rf"{_D}\d?[ /-]{_MONTH}[ /-]\d{{2,4}}(?:,?[ :T]\d{_CLOCK})?"
_MDY = rf"{_MONTH} {{1,2}}\d{{1,2}}(?:st|nd|rd|th)?,?(?: \d{{4}})?(?:,? (?:at )?\d{_CLOCK})?(?: \d{{4}})?"
_COMPACT = rf"{_D}(?<=[12])[09]\d{{6}}[ T_-]?\d{{6}}(?:\.\d+)?Z?"
_IPV4 = r"\d{0,2}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
_PORT = r"(?::\d{1,5}(?!\w))?"
_REST = r"\d*+(?:[.,]\d+){0,6}+(?:[eE][-+]?\d+)?"
_N = _D + _REST
_TIME_UNIT = (
    r"(?:[nmuµμ]s|milli(?:second)?s?|micro(?:second)?s?|nanoseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|"
    r"d|days?|weeks?|months?|years?)"
)
_HMS = r"\d{0,4}[dhm] ?(?:\d{1,5}[hm] ?){0,2}\d{1,5}(?:\.\d{1,9})?(?:ms|[hms])"
_HH = "[0-9a-fA-F]{2}"
_LABELS = r"(?:[a-zA-Z0-9][\w-]{0,62}+\.)"
_DATA = (  # data files; names of source files are kept
    r"(?:csv|tsv|txt|log|pdf|png|jpe?g|gif|svg|webp|zip|gz|tgz|bz2|xz|zst|tar|7z|xml|html?|parquet|avro|orc|feather|"
    r"mp[34]|mov|avi|mkv|wav|flac|xlsx?|docx?|pptx?|odt|ods|bin|dat|data|dump|sql|db|sqlite3?|bak|tmp|part|lock|pid|"
    r"sock|json|jsonl|ndjson|eml|ics|npy|npz|pkl|h5|onnx|pt|iso|img|wal|snap|idx|cache|out|err|pem|crt|key|cer|p12)"
)
SOURCE_FILE_SUFFIX = (
    r"(?:pyx?|[cm]?[jt]sx?|java|kts?|scala|rb|go|php|c|cc|cpp|h|hpp|cs|rs|swift|exs?|erl|lua|pl|vue|dart|mm?)"
)
_HOST_END = (
    r"(?:com|net|org|io|dev|co|app|cloud|edu|gov|info|biz|example|test|invalid|local|localdomain|internal|lan|corp|"
    r"home|intra|arpa|svc|de|uk|fr|nl|eu|us|ca|au|jp|cn|in|br|ru|it|es|se|no|ch|at|be|pl|kr|mx|om|tr|za|tw|vn)"
)
_AFTER_PERSON = (
    r" {1,2}(?!unknown|not |is |does |was |has |name |id |request|authentication|\w+ not |<)"
    r"(?:[\w.@+-]+(?= (?:from|used|may|on|by|at) )|[A-Za-z]+[._][A-Za-z]+\b|\S+(?= \[))"
)
_PEOPLE = tuple(
    Mask("user", re.compile(rf"([{first}{first.upper()}]{rest}){_AFTER_PERSON}"), r"\1 <user>", needs, digits=False)
    for first, needs, rest in (
        ("u", "ser", "ser(?:name)?"),
        ("a", "ccount", "ccount"),
        ("c", "aller", "aller"),
        ("c", "ustomer", "ustomer"),
        ("l", "ogin", "ogin"),
    )
)

_CALL = r"(?:f?open\w*|read\w*|write|stat|connect|mkdir|unlink|rename|exec\w*|chdir|bind|socket|[Cc]annot \w+|line)"
_OS_ERRORS = tuple(
    Mask(
        "path",
        re.compile(
            rf"(?:(?<=[:\w] )|^)(?!-|(?:failed|error|{_CALL})[: ]|\S*\.{SOURCE_FILE_SUFFIX}:)"
            r"[\w.@%+~=#$,*&?!/-]{1,200}+"
            rf"(?=: (?:[Cc]annot [a-z]{{1,12}}: )?(?:{errors})| \((?:{errors}))"
        ),
        "<path>",
        needs,
        digits=False,
    )
    for needs, errors in (
        ("irectory", "[Nn]o such file|[Ii]s a directory|[Nn]ot a directory|[Dd]irectory not empty"),
        ("does not exist", "(?:[Ff]ile |[Dd]irectory )?does not exist"),
        ("ermission denied", "[Pp]ermission denied"),
        ("ile exists", "[Ff]ile exists"),
    )
)
_LOOKUPS = tuple(
    Mask(
        "host",
        re.compile(
            rf"\b({before}) (?!failed|error|name\b|<)[\w-]{{1,63}}+(?:\.[\w-]{{1,63}}+){{0,8}}(?: on \S{{1,60}})?"
            r"(?=[:,;)]|$| ssl:| port | failed)"
        ),
        r"\1 <host>",
        needs,
        digits=False,
    )
    for needs, before in (
        ("lookup ", "lookup"),
        ("getaddrinfo for", "getaddrinfo for"),
        ("no address for", "no address for"),
        ("ENOTFOUND", "ENOTFOUND"),
        ("EAI_AGAIN", "EAI_AGAIN"),
        ("address ", "address(?= \\S+: (?:missing|unknown|too many|invalid))"),
        ("host", "[Rr]esolv(?:e|ing)(?: the)? host(?: ?name)?:?|to host|[Uu]nknown host:?"),
    )
)

MASKS = (
    *_PEOPLE,
    Mask(
        "user",
        re.compile(r"\b([Uu]ser|[Aa]ccount|[Cc]ustomer|[Cc]lient) with (name|id|email|login) [^\s<'\"]+"),
        r"\1 with \2 <user>",
        " with ",
        digits=False,
    ),
    *_OS_ERRORS,
    *_LOOKUPS,
    Mask("boolean", re.compile(r"(?<=[:=])( ?)[Tt]rue\b"), r"\1<bool>", "rue", digits=False),
    Mask("boolean", re.compile(r"(?<=[:=])( ?)[Ff]alse\b"), r"\1<bool>", "alse", digits=False),
    Mask(
        "user",
        re.compile(r"(?<= for user )(?!<)[\w.@+-]{1,80}+(?=$|[;,)]|\.(?:\s|$))"),
        "<user>",
        " for user ",
        digits=False,
    ),
    Mask("secret", re.compile(r"(?<![\w*-])(?:[\w-]++\*{3,}+[\w-]*|\*{3,}+[\w-]+)"), "<secret>", "***", digits=False),
    Mask(
        "base64",
        re.compile(
            r"(?<![\w+/.<>~-])(?!/\w{1,12}/)(?=[A-Za-z+/]{0,40}\d)(?=[A-Z0-9+/]{0,40}[a-z])(?=[a-z0-9+/]{0,40}[A-Z])"
            r"[A-Za-z0-9+/]{20,}+={0,2}(?![\w+/.-])"
        ),
        "<id>",
        "/",
    ),
    Mask(
        "source",
        re.compile(
            rf"(?<![\w.:></])(?:~|\.{{1,2}})?(?:/[\w.@+$-]+){{0,40}}/(?=[\w.-]{{1,80}}\.{SOURCE_FILE_SUFFIX}\b)"
        ),
        "<path>/",
        "/",
        digits=False,
    ),
    Mask(
        "path",
        re.compile(
            r"(?<![\w.:></])(?:~|\.{1,2})?(?:/[\w.@%+~=#$,*&?!-]*[\w@%+~=#$*&-]){2,}+/?"
            rf"(?: \d{{1,9}}\.{_DATA}\b)?(?::\d+)*"
        ),
        "<path>",
        "/",
        digits=False,
    ),
    Mask("path", re.compile(r"(?<!\w)(?:[A-Za-z]:\\|\\\\(?=\w))[^\s'\"`<>|]+"), "<path>", "\\", digits=False),
    Mask("position", re.compile(rf"(\.{SOURCE_FILE_SUFFIX}):\d+(?::\d+)?{_E}"), r"\1:<n>", ":", first=_COLON_DIGIT),
    Mask(
        "file",
        re.compile(
            rf"(?<![\w./-])(?:[A-Z][a-z]{{1,30}} (?=\d))?\w[\w-]{{0,80}}+"
            rf"(?:\.[\w-]{{1,40}}+){{0,3}}?\.{_DATA}(?!\w|\.\w)"
        ),
        "<file>",
        ".",
        digits=False,
        first=re.compile(rf"\.{_DATA}(?!\w)"),
    ),
    Mask("uuid", re.compile(r"\{?\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b\}?"), "<uuid>", "-"),
    Mask("timestamp", re.compile(rf"{_YMD}[T _]? ?\d{_CLOCK}"), "<timestamp>", ":", first=_COLON_DIGIT),
    Mask("timestamp", re.compile(rf"{_DMY}{_E}"), "<timestamp>", first=re.compile(_MONTH)),
    Mask("timestamp", re.compile(rf"{_MDY}{_E}"), "<timestamp>"),
    Mask("weekday", re.compile(rf"\b{_DAY},? (?=<timestamp>)"), "", "<timestamp>"),
    Mask("timestamp", re.compile(rf"{_COMPACT}{_E}"), "<timestamp>", first=re.compile(r"\d{8}")),
    Mask(
        "ip",
        re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}\d{1,3}(?:\.\d{1,3}){3}(?![\w:]|\.\d)"),
        "<ip>",
        "::",
        first=re.compile(r"::[0-9a-fA-F]*:?\d"),
    ),
    Mask("ip", re.compile(rf"{_D}{_IPV4}{_PORT}(?:/\d{{1,2}})?(?!\w)(?!\.\d)"), "<ip>", "."),
    Mask("host", re.compile(r"(?<![\w/.<>-])[\w.-]{1,80}+/(?=<ip>)"), "", "/<ip>"),
    Mask("mac", re.compile(rf"\b(?:{_HH}:){{5}}{_HH}{_E}"), "<mac>", ":", first=re.compile(f":{_HH}:")),
    Mask("mac", re.compile(rf"\b(?:{_HH}-){{5}}{_HH}{_E}"), "<mac>", "-"),
    Mask(
        "ip",
        re.compile(
            r"(?<![\w:.])(?:\[(?=[0-9a-fA-F:.]{2,45}\]))?(?=[0-9a-fA-F:.]{0,40}?(?:::[0-9a-fA-F]|(?::[0-9a-fA-F]{1,4}){5}|"
            r"[0-9a-fA-F]::))[0-9a-fA-F:.]{3,45}+(?:%\w{1,15})?\]?(?![\w:])" + _PORT
        ),
        "<ip>",
        ":",
        digits=False,
        first=re.compile(r":(?::|[0-9a-fA-F]{1,4}:)"),
    ),
    Mask("date", re.compile(rf"{_YMD}(?![\w/])"), "<date>"),
    Mask("time", re.compile(rf"{_D}(?<![a-z]-\d){_CLOCK}(?![\w:])"), "<time>", ":", first=_COLON_DIGIT),
    Mask(
        "host",
        re.compile(rf"(?<![\w.]){_LABELS}{{1,8}}[a-zA-Z][\w-]{{0,62}}+(?<!\.java):\d{{1,5}}{_E}"),
        "<host>",
        ":",
        first=_COLON_DIGIT,
    ),
    Mask(
        "host",
        re.compile(rf"(?<![\w.@-]){_LABELS}{{2,8}}{_HOST_END}(?![\w.-]){_PORT}"),
        "<host>",
        ".",
        digits=False,
        first=re.compile(rf"\.{_HOST_END}(?![\w.-])"),
    ),
    Mask(
        "host",
        re.compile(
            r"((?:(?<!\S)(?:to|at|from|on|via|host|server|broker|peer|address|proxy|upstream|dial|tcp|node|with|"
            r"[A-Za-z]{0,7}connect[a-z]{0,4}|Old:|New:) )['\"(\[]?|(?<!\w)(?=localhost:|[a-z]{1,30}[0-9-]))"
            r"[a-z][a-z0-9-]{1,40}+:\d{2,5}(?!\w|:\S|\.\w)"
        ),
        r"\1<host>",
        ":",
        first=re.compile(r"[a-z0-9-]:\d\d"),
    ),
    Mask("address", re.compile(r"\b0[xX][0-9a-fA-F]+\b"), "<address>", "0", first=re.compile("0[xX]")),
    Mask("duration", re.compile(rf"{_D}(?:{_HMS}|{_REST} ?{_TIME_UNIT}){_E}"), "<duration>"),
    Mask("duration", re.compile(r"\bP(?=\d|T\d)(?:\d+[YMWD])*+(?:T(?:[\d.]+[HMS])+)?+(?!\w)"), "<duration>", "P"),
    Mask(
        "quantity",
        re.compile(
            rf"{_N}(?: ?(?:[kKMGTPE]i?[Bb]?(?:ps)?|[Bb]ytes?|B|octets?|[kMG]?bits?|[kMGT]?Hz|[mk]?V|[mk]W|dBm?|ppm|"
            rf"rpm|RPM)(?:/s)?{_E}|[CF]{_E}| ?°[CF]?| C(?=[,.;)]|$))"
        ),
        "<size>",
    ),
    Mask("percent", re.compile(rf"{_N} ?%"), "<percent>", "%"),
)
"""Values recognizable by their form, the most specific first."""

ADDRESSES = (
    Mask("color", re.compile(r"\x1b\[[\d;]{0,20}[A-Za-z]"), "", "\x1b", digits=False),
    Mask(
        "url",
        re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}+://[^\s'\"`<>|)\]}]+(?<![.,;:!?])"),
        "<url>",
        "://",
        digits=False,
    ),
    Mask(
        "email",
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+)++"),
        "<email>",
        "@",
        digits=False,
    ),
)
"""Values that may contain any other value, so they are masked first."""

REMAINDERS = (
    Mask("between for and from", re.compile(r"(?<= for )(?!<)[^\s<]+(?= from <)"), "<user>", " for "),
    Mask("sign", re.compile(r"[-+#~*<$€£](?=<[a-z]+>)(?<![\w>)\]].)"), "", "<"),
    Mask("padding", re.compile(r"(?<=>)={1,2}(?![\w=<'\"])"), "", "="),
    Mask("repetition", re.compile(rf"({PLACEHOLDER})(?:(?:[\s,;|/:+×x-]|\.\.){{1,3}}{PLACEHOLDER})+"), r"\1", "<"),
    Mask("list", re.compile(r"(?<=[\s:=])\[ ?\]"), "[<list>]", "["),
    Mask(
        "list",
        re.compile(
            rf"\[(?:[\w.-]{{1,80}}+, ?){{0,8}}+{PLACEHOLDER}(?:, ?(?:{PLACEHOLDER}|[\w.-]{{1,80}}+)){{0,30}}+\]"
        ),
        "[<list>]",
        "[",
    ),
    Mask("restatement", re.compile(rf"({PLACEHOLDER}) \({PLACEHOLDER}\)(?! of)"), r"\1", "> (<"),
    Mask(
        "list",
        re.compile(
            rf"(?<![\w<.-])(?:[\w.-]{{1,80}}+,){{0,8}}+{PLACEHOLDER}(?:,(?:{PLACEHOLDER}|[\w.-]{{1,80}}+)(?=[,\s\])]|$)){{1,30}}+"
        ),
        "<list>",
        ",",
    ),
    Mask(
        "plural",
        re.compile(
            r"(?<=> )(?!(?:does|has|was|this|its)\b)((?:[a-z]+ )?[a-z]{2,30}?)(?:(?<=[^suiae])s|(?<=e)s|\(s\))\b"
            r"(?! of )(?: (?:are|were|have)\b)?"
        ),
        r"\1",
        "> ",
    ),
    Mask("verb", re.compile(r"(?<=<n> )([a-z]{2,30}) (?:is|are|was|were|has|have)\b"), r"\1", "<n> "),
)
"""What masked values leave: signs, repetitions, the plural after a number."""
