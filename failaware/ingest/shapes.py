"""What secrets look like in running text: two tables and the functions that walk them. All patterns are linear.

A shape tells a secret by itself. A lead is a place where a name announces a value: the name is judged by `names`, so
that texts and decoded JSON obey one table of words.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

MASK = "[masked]"


class Shape(NamedTuple):
    """`pattern` is tried only where one of `hints` stands in the text in lower case; its group `keep` is kept.

    `unbroken`: it ends in 16 or more letters, digits, - and _ in a row.
    """

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    unbroken: bool = False

    @property
    def replacement(self) -> str:
        """What stands instead, as a template for `sub`."""
        return r"\g<keep>" + MASK if "keep" in self.pattern.groupindex else MASK


class Lead(NamedTuple):
    """`before` finds the name; the secret begins where it ends and is what `value` matches there (group `v`)."""

    name: str
    before: re.Pattern[str]
    value: re.Pattern[str]


def _token(name: str, hints: str, pattern: str) -> Shape:
    """The key of a provider who gives it a prefix."""
    return Shape(name, tuple(hints.split()), re.compile(rf"(?<![A-Za-z0-9_])(?:{pattern})"), unbroken=True)


SHAPES = (
    Shape(  # to its end mark, or as far as 16 KiB when that is missing: a cut key is still a key
        "private key",
        ("-----begin",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END)[\s\S]){0,16384}"
            r"(?:-----END [A-Z0-9 ]{0,40}-----)?"
        ),
    ),
    Shape(  # up to the last @ before a blank, ? or #: passwords hold @ and /; host:8080/ is a port, not a password
        "password in a URL",
        ("://",),
        re.compile(
            r"(?P<keep>://[^\s:/?#@\"'<>]{0,256}:)(?!\[masked\]@|\d{1,5}(?:[/?#\s\"']|$))"
            r"(?:[^\s\"'<>?#]{1,256}|[^\s\"'<>]{1,256}?)(?=@[\w.\[-])"
        ),
    ),
    Shape(  # a long user with a digit in it, and no password
        "token in a URL",
        ("://",),
        re.compile(r"(?P<keep>://)(?=[^@/\s]{0,255}\d)[A-Za-z0-9_.~%-]{12,256}(?=@[\w\[])"),
    ),
    Shape(  # the scheme stays; 'Basic authentication failed' has a word there
        "credentials after their scheme",
        ("bearer ", "basic ", "negotiate ", "apikey "),
        re.compile(
            r"(?i:(?P<keep>\b(?:bearer|basic|negotiate|apikey) {1,3}))(?![A-Za-z]?[a-z]+\b(?![+/=._~-]))"
            r"(?=[^\s]{0,256}[0-9A-Z=])[A-Za-z0-9+/=._~-]{8,}"
        ),
    ),
    Shape(
        "JSON web token", ("eyj",), re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,3}")
    ),
    Shape(
        "signature in a URL",
        ("sig", "hmac"),
        re.compile(r"(?i:(?P<keep>[?&;](?:amp;)?(?:x-(?:amz|goog)-signature|signature|sig|hmac)=))[\w%+/=.~-]{8,}"),
    ),
    Shape(
        "webhook address",
        ("hooks.slack.com/", "/api/webhooks/", "webhook.office.com/"),
        re.compile(
            r"(?P<keep>hooks\.slack\.com/(?:services|workflows|triggers)/|/api/webhooks/\d{5,25}/|webhook\.office\.com/)"
            r"[\w/@-]{8,}"
        ),
    ),
    _token("AWS key id", "akia asia", r"(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    _token(
        "GitHub", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}"
    ),
    _token("GitLab", "glpat- gldt- glrt- glcbt- glptt- glsoat-", r"gl(?:pat|dt|rt|cbt|ptt|soat)-[A-Za-z0-9_.-]{20,}"),
    _token("Slack", "xox xapp-", r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,}"),
    _token("Stripe", "k_live k_test whsec_", r"[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{20,}"),
    _token("Google", "aiza gocspx- 1//0 ya29.", r"AIza[\w-]{35}|GOCSPX-[\w-]{20,}|1//0[\w-]{30,}|ya29\.[\w.-]{20,}"),
    _token("OpenAI, Anthropic and the like", "sk-", r"sk-(?:[a-z0-9]{2,12}-){0,4}(?=[A-Za-z_-]{0,64}\d)[\w-]{20,}"),
    _token("Hugging Face, Groq, Replicate", "hf_ gsk_ r8_", r"(?:hf|gsk|r8)_[A-Za-z0-9]{30,}"),
    _token("npm", "npm_", r"npm_[A-Za-z0-9]{30,}"),
    _token("PyPI", "pypi-", r"pypi-[\w-]{40,}"),
    _token("SendGrid", "sg.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    _token("Twilio", "sk", r"SK[0-9a-f]{32}\b"),
    _token("Mailgun", "key-", r"key-[0-9a-f]{32}\b"),
    _token("DigitalOcean", "do", r"do[opr]_v1_[0-9a-f]{60,}"),
    _token("Shopify", "shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _token("Square", "sq0", r"sq0[a-z]{3}-[\w-]{22,}"),
    _token("HashiCorp Vault", "hvs. hvb.", r"hv[sb]\.[\w-]{24,}"),
    _token("Databricks", "dapi", r"dapi[0-9a-f]{32}"),
    _token("Telegram", ":aa", r"\d{8,10}:AA[\w-]{32,}"),
    _token("Heroku", "hrku-", r"HRKU-[\w-]{16,}"),
    _token("age", "age-secret", r"AGE-SECRET-KEY-1[0-9A-Z]{40,}"),
    _token("Atlassian, Linear, Notion", "atatt3 lin_api_ ntn_", r"(?:ATATT3|lin_api_|ntn_)[\w=-]{30,}"),
)
"""Shapes of secrets that need no name."""
_BROKEN_SHAPES = tuple(shape for shape in SHAPES if not shape.unbroken)

_VALUE = re.compile(
    r"\"(?P<double>(?:[^\"\\]|\\.){1,8192})"  # the end mark may be cut off
    r"|'(?P<single>(?:[^'\\]|\\.){1,8192})"
    r"|\\{1,7}[\"'](?P<escaped>(?:[^\\]|\\(?!\\{0,6}[\"'])){1,8192})"  # JSON in JSON
    r"|(?P<bare>(?:[^\s\"'&;,<>\\]|,(?!\s|[\w\"'.-]{1,64}[=:])){1,8192})",
    re.DOTALL,
)
_REST = re.compile(r"(?![\"'\\])(?P<bare>[^\r\n\"']{1,8192}(?:(?<==)\"[^\r\n\"]{0,1024}\"[^\r\n\"']{0,1024}){0,16})")
_ELEMENT = re.compile(r"(?P<bare>[^<]{1,8192})(?=</)")
_NAME = r"(?<![\w.-])-{0,2}(?P<name>[A-Za-z_][\w.-]{0,99})"
_QUOTE = r"(?:\\{0,7}[\"'])"

LEADS = (
    Lead(
        "name=value, name: value", re.compile(rf"{_NAME}{_QUOTE}?\]?\s{{0,3}}(?:=>|:=|==?|:|%3[Dd])\s{{0,3}}"), _VALUE
    ),
    Lead("--name value", re.compile(r"(?<![\w-])--?(?P<name>[A-Za-z][\w-]{1,60})(?:[\"']?,? {1,3})(?!-)"), _VALUE),
    Lead("<name>value</name>", re.compile(r"<(?P<name>[A-Za-z][\w:.-]{0,60})>"), _ELEMENT),
    Lead("('name', 'value')", re.compile(rf"(?<!\w)[(\[]{_QUOTE}(?P<name>[\w.-]{{2,60}}){_QUOTE},\s?"), _VALUE),
    Lead(
        '{"name": …, "value": …}',
        re.compile(
            rf"{_QUOTE}(?:name|key){_QUOTE}\s?:\s?{_QUOTE}(?P<name>[\w.-]{{2,60}}){_QUOTE},\s?{_QUOTE}value{_QUOTE}\s?:\s?"
        ),
        _VALUE,
    ),
    Lead(
        "login … password …",
        re.compile(r"(?i:\b(?:login|identified by|with)\s+(?:\S{1,64}\s+)?(?P<name>password)\s+)"),
        _VALUE,
    ),
    Lead("IDENTIFIED BY '…'", re.compile(r"(?i:\bidentified\s(?P<name>by)\s+)(?=['\"])"), _VALUE),
    Lead("sshpass -p …", re.compile(r"(?<!\S)(?P<name>sshpass) -p ?(?=\S)"), _VALUE),
    Lead("-u user:password", re.compile(r"(?<!\S)(?P<name>-u|--user)[ =]['\"]?[^\s:'\"]{1,64}:"), _VALUE),
    Lead(
        "password is …",
        re.compile(r"(?i:\b(?P<name>pass(?:word|phrase|code|wd)|pwd|secret|token)\s(?:is|was)(?:\s|:\s?)\s?)"),
        _VALUE,
    ),
)
"""Places where a name announces a value; in what order does not matter."""

_ALWAYS = frozenset(("-u", "--user", "sshpass", "by", "BY", "By"))
_HEADERS = ("authorization", "cookie")
_NO_SECRET = re.compile(
    r"\W*(?:none|null|nil|true|false|undefined|n/a|empty|unset|redacted|masked|\*+|x{3,}|\.+)\W*"
    r"|\$\{?[A-Za-z_]\w*\}?|\{\{?[^}]*\}\}?|%\(?\w*\)?s?|<[^>]*>?|\W{0,3}",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?:await )?[A-Za-z_][\w.]*[(\[]|self\.\w+|(?:os|args|settings|config|request)\.")
_ODD = re.compile(r"[0-9!@#$%^&*+=]|[a-z][A-Z]")


def mask_shapes(text: str, lower: str, *, unbroken: bool) -> tuple[str, int]:
    """The text without what has the shape of a secret, and how many there were.

    Args:
        text: any text.
        lower: the text in lower case.
        unbroken: whether 16 letters, digits, - and _ stand in a row in it.
    """
    hits = 0
    for shape in SHAPES if unbroken else _BROKEN_SHAPES:
        for hint in shape.hints:
            if hint in lower:
                text, found = shape.pattern.subn(shape.replacement, text)
                hits += found
                break
    return text, hits


def mask_named(text: str, says_secret: Callable[[str], bool]) -> tuple[str, int]:
    """The text without the values that a name announces, and how many there were."""
    hits = 0
    for lead in LEADS:
        parts, done = [], 0
        for match in lead.before.finditer(text):
            name = match["name"]
            if match.start() < done or not (name in _ALWAYS or says_secret(name)):
                continue
            value = _value_at(lead, match, text)
            if value is not None:
                parts += [text[done : value[0]], MASK]
                done = value[1]
        if parts:
            text = "".join(parts) + text[done:]
            hits += len(parts) // 2
    return text, hits


def _value_at(lead: Lead, match: re.Match[str], text: str) -> tuple[int, int] | None:
    """Where the value begins and ends, or None when there is none that could be a secret."""
    header = match["name"].lower().endswith(_HEADERS)
    value = (header and _REST.match(text, match.end())) or lead.value.match(text, match.end())
    if value is None:
        return None
    group = value.lastgroup or ""
    secret = value[group]
    if group == "bare" and not header:
        secret = secret.rstrip(")]}.:,")
    if len(secret) < 3 or MASK[:-1] in secret[:64] or _NO_SECRET.fullmatch(secret):
        return None
    if _is_prose(lead, match["name"], secret, group):
        return None
    return value.start(group), value.start(group) + len(secret)


def _is_prose(lead: Lead, name: str, secret: str, group: str) -> bool:
    """A word of a sentence or a piece of code, rather than a secret."""
    if name.lower().endswith(_HEADERS):
        return len(secret) < 24 and not re.search(r"[=\d]", secret)
    if group == "bare" and (_CODE.match(secret) or secret == name):
        return True
    if " is " in lead.name or lead.name.startswith("password") or lead.name.startswith("login"):
        return group == "bare" and (len(secret) < 4 or not _ODD.search(secret))
    return name.lower() == "token" and len(secret) < 16 and secret.isalpha() and secret.islower()
