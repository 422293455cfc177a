"""Words and patterns that distinguish names from values and codes from numbers, where the form alone does not tell.

Every pattern is linear, as in `templating.py`.
"""

import re

from failaware.derive.grouping.templating import SOURCE_FILE_SUFFIX

_SENTENCE = r"""["'](?:[A-Za-z][\w.']*+ +){4}"""
_MARKER = r"[ \t|-]*+[\^~][ \t^~|-]*+(?:error here|\(line: \d+\))?[ \t]*+"
ECHO_LINE = re.compile(
    rf"""(?m)^(?:[ \t]*+(?:(?!{_SENTENCE})(?:b?'[^'\n]*'|"[^"\n]*")|(?:>[ \t]*+)?\d+[ \t]*+\|[^\n]*|\|)[ \t]*+|"""
    rf"""{_MARKER}|[^\n]*\n{_MARKER})$"""
)
"""A line that only repeats a value, or the source with a mark below the position that it complains about."""
SOURCE_MARK = re.compile(r"(?m)^[ \t]*+\|[ \t|]*+[\^~-]++[ \t^~|-]*+")
"""The mark before a remark on a source line."""

QUOTED = re.compile(
    r"""(?P<q>['"`])(?:(?<![\w\\)\]}].)|(?<=\bb.))(?P<value>(?:(?!(?P=q))[^\n\\]|\\.){0,500}+)(?P=q)(?P<cut>\.{3}|…)?(?!\w)"""
)

GNU_QUOTED = re.compile(r"(?<![\w`])`([^`'\n]{1,200}+)'(?!\w)")
"""A text between a grave accent and an apostrophe, as GNU programs and Ruby quote."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SAYING_NOTHING = _words(
    """
    a again an and been call critical details during encountered error errors exception execution fail failed fails
    failure fatal fault for general generic had happened has have in information internal is job later log logs message
    more no occurred oops operation please process processing request see server something sorry task the there try
    uncaught undefined unexpected unhandled unknown unspecified was went were while whoops wrong
    """
)
"""A message made only of these words says nothing about what failed."""

NAME_CUES = _words(
    """
    column table view relation constraint index key field attribute parameter param argument arg option flag module
    package library name named called function method procedure class interface type property variable schema database
    role sequence operator encoding codec format command step stage phase job task queue exchange topic model enum
    keyword placeholder setting secret bean service component plugin driver object of collection bucket label header
    import from symbol reading reason exec command vhost constructor validating tag extension engine dialect feature
    permission scope metric provider backend algorithm hook failed helper filter macro directive predicate
    """
)
"""Words before a quoted name, in the singular; names are kept."""

VALUE_CUES = _words(
    """
    got value input string text file filename path directory folder literal token user username given received was entry
    for to id host hostname server url email address add find instead found actual customer account tenant date number
    line near parse parsing assert == != at as data content resolve lookup reach open escape zone timezone locale
    scheme weekday month frequency amount price quantity phone duration interval timestamp
    """
)
"""Words before a quoted value; values are masked."""
NULLS = _words("null none undefined - -- . ? *")
"""Texts that somebody entered, unless one of TYPE_CUES precedes."""
TYPE_CUES = _words("got actual found instead to for was given")
NAMED_VALUES = _words("host server file user domain node")
"""Words before `name` whose names are values."""
ENTERED_ARGUMENT = re.compile(
    r"(?i)(?:invalid|extra|ambiguous|unrecognized|bad|illegal)(?: -{1,2}\w{1,30})? arguments?$"
)
"""Words before an argument that somebody entered rather than one of a function."""

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
SOURCE_FILE = re.compile(rf"(?:<path>/)?[^\s<>]*[\w-]\.{SOURCE_FILE_SUFFIX}")
NAME_AFTER = re.compile(
    r" (?:(?:command|method|function|operation|field|column|parameter|argument|option|attribute|property|table|flag|"
    r"header|variable|setting)\b|"
    r"is (?:a )?(?:required|missing|not (?:defined|allowed|permitted|configured|(?:a )?registered))|has no|"
    r"was unexpected|must be set|object |"
    r"is not a (?:supported|known|recognized) (?:option|command|argument|field|parameter)\b)|: invalid identifier"
)
VALUE_AFTER = re.compile(
    r" (?:value (?:has|must|is)\b|does not appear to be|"
    r"is(?: not|n't) (?:a valid|valid|numeric|of type|one of|in |an? )|"
    r"is (?:too|invalid|greater|less|shorter|longer)\b|under radix|"
    r"d(?:oes|o|id) not match|could not be (?:parsed|converted|decoded)|cannot be (?:parsed|converted)|"
    r"was not in a correct|has non-|was not present|should be|to an? \w)"
)
CLAIM_AFTER = re.compile(r" must (?:be|match|have)\b")
"""After a value if a word such as `value` precedes, otherwise after the name of a field."""
SIMPLE_NAME = re.compile(
    r"-\w, --\w[\w-]*+(?: <[\w-]{1,30}>)?|"
    r"(?:\.{0,2}/|--?)?[$@A-Za-z_][\w$-]*+(?:(?:::|->|[./:\\#-])[\w$-]++)*+(?:\(\))?|\.?[^\w\s]{1,3}|%[\w%/:., -]+"
)
OPTION = re.compile(r"(?:-\w, )?--[a-z][\w-]*+ <[\w:-]{1,30}>(?:\.{3})?")
"""An option of a program with the placeholder of its value."""
HOST = re.compile(
    r"(?:[\w-]{1,63}+\.){1,8}+(?:com|net|org|edu|gov|internal|invalid|localdomain|example|lan|corp|svc|arpa)"
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

STATUS_CUES = _words("returned return response <url> <path> http/1.1 http/1.0 http/2")
"""Words before a number that is a code if it is an HTTP status."""
WEAK_STATUS_CUES = _words("result with got many received occurred unexpected")
"""The same, if the message speaks of HTTP."""
HTTP = re.compile(r"(?i)http|status|respon|request|<url>|server|\b(?:get|post|put|patch|delete) ")

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
    r"(?i)(?:.*[._-])?(?:worker|node|host|db|server|pod|replica|shard|broker|thread|cache|web|app|api|vm|instance|user|cpu|gpu|core|disk|eth|card|slot|bank|fan|partition|executor|consumer)\d"
)
"""A numbered machine or process; its number is a value."""

IDENTITY_KEYS = _words(
    "reason code status errno topic op operation state method action type kind error queue task event phase level"
)
"""Keys of key=value whose values identify the failure."""
