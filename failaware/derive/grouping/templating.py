"""The tables of the fingerprint: which parts of a message are masked, and which never are.

MASKS are values recognizable by their form, LIBRARY the messages of particular libraries. The word lists distinguish
quoted names from quoted values, and codes from numbers. Order matters: each mask runs on the result of those before it.
Every pattern is linear: quantifiers are possessive, bounded, or followed by something they cannot match.
"""

import re
from dataclasses import dataclass


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
_CODE = r"(?:pyx?|[cm]?[jt]sx?|java|kts?|scala|rb|go|php|c|cc|cpp|h|hpp|cs|rs|swift|exs?|erl|lua|pl|vue|dart|mm?)"
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

MASKS = (
    *_PEOPLE,
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
        re.compile(rf"(?<![\w.:></])(?:~|\.{{1,2}})?(?:/[\w.@+$-]+){{0,40}}/(?=[\w.-]{{1,80}}\.{_CODE}\b)"),
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
    Mask("position", re.compile(rf"(\.{_CODE}):\d+(?::\d+)?{_E}"), r"\1:<n>", ":", first=_COLON_DIGIT),
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
    Mask("time", re.compile(rf"{_D}{_CLOCK}(?![\w:])"), "<time>", ":", first=_COLON_DIGIT),
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
        re.compile(r"\b(?:localhost|[a-z][a-z0-9-]{1,40}+):\d{2,5}(?![\w:]|\.\w)"),
        "<host>",
        ":",
        first=_COLON_DIGIT,
    ),
    Mask("address", re.compile(r"\b0[xX][0-9a-fA-F]+\b"), "<address>", "0", first=re.compile("0[xX]")),
    Mask("duration", re.compile(rf"{_D}(?:{_HMS}|{_REST} ?{_TIME_UNIT}){_E}"), "<duration>"),
    Mask("duration", re.compile(r"\bP(?=\d|T\d)(?:\d+[YMWD])*+(?:T(?:[\d.]+[HMS])+)?+(?!\w)"), "<duration>", "P"),
    Mask("size", re.compile(rf"{_N} ?(?:[kKMGTPE]i?[Bb]?(?:ps)?|[Bb]ytes?|B|octets?|bits?)(?:/s)?{_E}"), "<size>"),
    Mask("percent", re.compile(rf"{_N} ?%"), "<percent>", "%"),
)
"""Values recognizable by their form, the most specific first."""

ADDRESSES = (
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

LIBRARY = (
    Mask("postgresql", re.compile(r"(?m)^LINE \d+:.*(?:\n[ \t]*\^[ \t^~]*$)?"), "", "LINE "),
    Mask("sqlalchemy", re.compile(r"(?s)\n\[SQL: .*|\n\(Background on this error at: .*"), "", "\n"),
    Mask("spring", re.compile(r"\] \[(?:insert|update|delete|select) .*", re.DOTALL), "]", "] ["),
    Mask("jsonschema", re.compile(r"(?s)\n\s*On instance(?=[\[:]).*"), "", "On instance"),
    Mask(
        "pydantic",
        re.compile(r"(?m), input_value=.*?, input_type=\w+(?=\]\n|\]$)|^ +For further information.*"),
        "",
        "\n",
    ),
    Mask("failing row", re.compile(r"(?<=Failing row contains )\([^\n]*"), "<row>", "Failing row"),
    Mask("detail", re.compile(r"(?m)(^[ \t]+[A-Z][\w ]{0,30}:)(?: {2,}|\t)\S[^\n]*"), r"\1 <value>", "\n"),
    Mask(
        "remainder",
        re.compile(r"(?m)(data remains|\b(?:unable to|cannot|could not) (?:parse|decode|convert)): \S[^\n]*$"),
        r"\1: <text>",
        ": ",
        first=re.compile(r"(?:remains|parse|decode|convert): "),
    ),
    Mask(
        "remainder",
        re.compile(r"(?m)(\bis not an? (?:valid )?[a-z]{1,30}): \S[^\n]*$"),
        r"\1: <text>",
        "is not a",
    ),
    Mask("key value", re.compile(r"(\(\w[\w, ]{0,200}\)=)\([^\n]{1,300}?\)(?= |$)"), r"\1(<value>)", ")=("),
    Mask("call log", re.compile(r"(?m)^\s+- navigating to .*"), "", "navigating"),
    Mask("command", re.compile(r"'\['([\w./-]{1,80})', [^\n\[\]]{0,1900}+\]'"), r"[\1 <arguments>]", "'['"),
    Mask(
        "django", re.compile(r"(header: )'[^']*'(\. You may need to add )'[^']*'"), r"\1'<host>'\2'<host>'", "header: "
    ),
    Mask("duplicate key", re.compile(r"(duplicate key value is )\([^\n]*?\)(?=\.|$)"), r"\1(<value>)", "key value is"),
    Mask(
        "request",
        re.compile(r"\b(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (?!<)\S+ HTTP/\d(?:\.\d)?"),
        r"\1 <path>",
        "HTTP/",
    ),
    Mask("url path", re.compile(r"(?<= url: )/\S*"), "<path>", " url: "),
    Mask(
        "enum constant", re.compile(r"(No enum constant (?:[A-Za-z_]\w*+\.)+)[^\n]*"), r"\1<value>", "No enum constant"
    ),
    Mask(
        "resolver",
        re.compile(r"(?m)^[\w.-]{1,253}+(?=: (?:Name or service|Temporary failure in name|nodename nor))"),
        "<host>",
        "name",
    ),
    Mask("pod", re.compile(r"\bpod [\w.-]{1,253}?_(\w[\w-]*)\([^)]*\)"), r"pod <pod>_\1", "pod "),
)
"""Values in the messages of particular libraries, mostly repeated input."""

ECHO_LINE = re.compile(r"""(?m)^[ \t]*(?:b?'[^'\n]*'|"[^"\n]*"|[\^~][ \t^~]*)[ \t]*$""")
"""A line that only repeats a value or points at one."""

QUOTED = re.compile(
    r"""(?P<q>['"`])(?:(?<![\w\\].)|(?<=\bb.))(?P<value>(?:(?!(?P=q))[^\n\\]|\\.){0,500}+)(?P=q)(?P<cut>\.{3}|…)?(?!\w)"""
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAME_CUES = _words(
    """
    column table view relation constraint index key field attribute parameter param argument arg option flag module
    package library name named called function method procedure class interface type property variable schema database
    role sequence operator encoding codec format command step stage phase job task queue exchange topic model enum
    keyword placeholder setting secret bean service component plugin driver object of collection bucket label header
    import from symbol reading reason exec command vhost constructor validating tag extension engine dialect feature
    permission scope metric provider backend algorithm hook failed
    """
)
"""Words before a quoted name, in the singular; names are kept."""

VALUE_CUES = _words(
    """
    got value input string text file filename path directory folder literal token user username given received was entry
    for to id host hostname server url email address add find instead found actual customer account tenant date number
    line near parse parsing assert == != at as data content resolve lookup reach open
    """
)
"""Words before a quoted value; values are masked."""

MESSAGE_CUES = _words(
    """
    message msg detail desc description error reason type title cause status code state method selector severity
    grpc_message errmsg grpc_status
    """
)
"""Keys whose quoted text is the message itself."""

SCHEMA_CUES = _words(
    """
    column columns table view relation constraint index field attribute parameter param argument option flag module
    package library function method procedure class type property schema keyword codec encoding extension feature
    """
)
"""Words before a quoted name from a schema or a program; its digits are kept."""
SCHEMA_NAME = re.compile(r"(?:--?|\.)?[A-Za-z_$]\w*(?:[.:-]{1,2}[A-Za-z_$]\w*)*(?:\(\))?(?<!\d{5})(?<![0-9a-f]{12})")
KEY_NAME = re.compile(r"[A-Za-z]+\d{0,2}|(?=.*[_.-])[A-Za-z]+\d{0,4}(?:[_.-]+[A-Za-z]+\d{0,4})*")
"""A name that is a whole message, as KeyError shows it: `phone_e164`, `address2`; not `user_17`."""
STATUS_LINE = re.compile(r"[1-5]\d\d(?: [A-Z][A-Za-z'-]+){1,5}")
"""An HTTP status with its phrase."""
REQUEST_LINE = re.compile(r"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \S")
SENTENCE = re.compile(r"(?:[A-Za-z][a-z']*+[ ,]+){4}")
"""Several words; in quotes, a message rather than a name or a value."""
WHOLE_QUOTED = re.compile(r"""(?P<q>['"])(?P<value>(?:(?!(?P=q))[^\\]|\\.)++)(?P=q)""", re.DOTALL)
"""A message that is one quoted literal."""
SOURCE_FILE = re.compile(rf"(?:<path>/)?[^\s<>]*[\w-]\.{_CODE}")
NAME_AFTER = re.compile(
    r" (?:is (?:a )?(?:required|missing|not (?:defined|allowed|permitted|configured|registered))|has no|was unexpected|"
    r"must be set|object )|: invalid identifier"
)
VALUE_AFTER = re.compile(
    r" (?:does not appear to be|is not (?:a valid|valid|of type|one of|in |an? )|"
    r"is (?:too|invalid|greater|less|shorter|longer)\b|under radix|"
    r"d(?:oes|o|id) not match|could not be (?:parsed|converted|decoded)|cannot be (?:parsed|converted)|"
    r"was not in a correct|has non-|was not present|should be|must be|to an? \w)"
)
SIMPLE_NAME = re.compile(
    r"(?:\.{0,2}/)?[$@A-Za-z_][\w$-]*+(?:(?:::|->|[./:\\#-])[\w$-]++)*+(?:\(\))?|\.?[^\w\s]{1,3}|%[\w%/:., -]+"
)
TYPE_NAME = re.compile(
    r"(?:None(?:Type)?|u?int(?:eger)?\d*|str(?:ing)?|float\d*|number|bool(?:ean)?|list|dict|tuple|set|bytes|object|array|"
    r"null|undefined|function|type|date(?:time)?|Decimal|[A-Z]\w*(?:Error|Exception|Type))"
)

CODE_CUES = _words(
    """
    status code statuscode status_code status-code exit errno error error_code errorcode error-code winerror sqlstate
    sqlcode signal grpc_status rc hresult returncode return_code retcode base phase step stage msg http
    """
)
"""Words before a number that is a code."""

STATUS_CUES = _words(
    "returned return response result with got many received occurred <url> <path> http/1.1 http/1.0 http/2 unexpected"
)
"""Words before a number that is a code if it is an HTTP status."""

PROTOCOL_BEFORE = re.compile(r"(?i)(?:http|tls|ssl|smtp|mqtt|amqp|rtsp|sip|spdy)[/ ]?v?$")
MAIL_STATUS_BEFORE = re.compile(r"\b[245]\d\d[ -]$")
CODE_AFTER = re.compile(
    r" (?:Client Error|Server Error|Bad|Unauthorized|Payment|Forbidden|Not |Method|Conflict|Gone|Precondition|Too Many|"
    r"Internal|Service|Gateway|Unprocessable|Moved|Found|OK\b|Created|No Content|error resp|[245]\.\d{1,2}\.\d)"
)
TUPLE_AFTER = re.compile(r", b?['\"]|: [A-Z]")

KEEP_WORD = re.compile(
    r"(?:utf-?\d{1,2}(?:-?[lb]e)?|iso-?\d{4}(?:-\d{1,2})?|latin-?\d{1,2}|cp-?\d{3,4}|windows-\d{4}|koi8-[ru]|"
    r"md\d|sha\d{1,3}(?:[-_]\d{3})?|blake\d\w?|crc-?\d{1,2}|base\d\d|aes-?\d{3}(?:-\w{3})?|rsa-?\d{4}|[hr]s\d{3}|es\d{3}|ed25519|"
    r"b?u?(?:int|float)\d{1,3}(?:_t)?|[iuf](?:8|16|32|64)|vec\d|mat\d|x86(?:[-_]64)?|amd64|arm(?:64|v\d\w?)|i[36]86|win(?:32|64)|"
    r"ipv[46]|tcp[46]|udp[46]|http/?\d(?:\.\d)?|h2c?|tlsv?\d(?:\.\d)?|sslv?\d(?:\.\d)?|oauth\d?|socks\d\w?|s3|ec2|k8s|i18n|l10n|"
    r"e2e|p2p|b2b|x509|gpt-[\w.-]+|claude-[\w.-]+|[a-z]{2}-(?:gov-)?(?:north|south|east|west|central|northeast|southeast|northwest|southwest)-?\d[a-z]?|"
    r"log4j\d?|rfc-?\d{3,4}|slf4j|mp[34]|h26[45]|python\d|ssh\d|lib\w+\.so(?:\.\d+)*)(?!\w)",
    re.IGNORECASE,
)
CODE_WORD = re.compile(
    r"(?:ORA|DPY|DPI|TNS|PLS|SQL|CS|TS|MSB|NU|CA|BC|EF|PGRST|AADSTS|KB|HY|HTTP|ERR|ERROR|RUF|PLR|PL|SC|DL|SIM|[EWCFNDS])-?\d{3,6}[A-Z]?"
    r"|SQLSTATE|[0-9]{2}[0-9A-Z]\d{2}(?=\])"
)
_CAMEL = r"(?:[a-z]{2,}+(?:[A-Z][a-z]++|[A-Z]{2,9}(?![a-z]))*+|(?:[A-Z][a-z]++|[A-Z]{2,9}(?![a-z]))++)"
NUMBERED_NAME = re.compile(
    rf"(?:{_CAMEL}\d?(?:[a-z]{{2,}})?|[A-Z])(?:[_.$-](?:{_CAMEL}\d?(?:[a-z]{{2,}})?|[A-Za-z]|v\d{{1,3}}))*"
)
"""A name that contains digits: `merge1`, `emails_v2`, `Base64Codec`."""
CASE_CHANGE = re.compile(r"[a-z][A-Z]")
MIXED_CASE = re.compile(
    r"\b(?=[A-Za-z]{10}|[A-Za-z]{1,12}_[A-Za-z]{8})(?=[a-z_]{0,30}[A-Z]{1,30}[a-z]|[a-z_]{1,30}[A-Z])[A-Za-z_]{10,100}+\b"
)
"""A long word in mixed case: a name or random letters."""
CASE_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
SHORT_WORDS = _words("id is in of on to at by no do it up as or my be if so db io ui os ip")
MACHINE_BEFORE = re.compile(
    r"(?i)\b(?:on|host|hostname|server|node|machine|peer|replica|broker|instance|connect(?:ing|ed)? to) $"
)
MACHINE = re.compile(
    r"(?i)(?:.*[._-])?(?:worker|node|host|db|server|pod|replica|shard|broker|thread|cache|web|app|api|vm|instance|user)\d"
)
"""A numbered machine or process; its number is a value."""

IDENTITY_KEYS = _words(
    "reason code status errno topic op operation state method action type kind error queue task event phase level"
)
"""Keys of key=value whose values identify the failure."""
