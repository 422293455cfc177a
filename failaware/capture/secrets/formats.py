"""Recognizes secrets in text by their format, without a name: keys, URLs, headers. All patterns are linear."""

import re
from collections.abc import Iterator
from typing import NamedTuple


class Format(NamedTuple):
    """A format of secrets that needs no name.

    `pattern` is searched only if the lower-case text contains one of `hints`, and one of `only_with` if there are any.
    Its group `keep` is not secret.
    """

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    only_with: tuple[str, ...] = ()


_NOT_MASKED = r"(?!\[masked\])"
_QUOTE = r"(?:\\{0,7}[\"'])"
_KEY_NAME = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"

FORMATS = (
    Format(  # up to its end mark, or 16 KiB if that is missing: a truncated key is still a key
        "private key",
        ("-----",),
        re.compile(rf"-----BEGIN {_KEY_NAME}(?:(?!-----END)[\s\S]){{0,16384}}(?:-----END [A-Z0-9 ]{{0,40}}-----)?"),
    ),
    Format(
        "private key of PuTTY",
        ("user-key-file",),
        re.compile(r"(?P<keep>Private-Lines: \d{1,4}\s{1,2})[A-Za-z0-9+/=\s]{16,}"),
    ),
    Format(  # up to the last @ before a blank, ? or #: passwords may contain @ and /; host:8080/ is a port
        "password in a URL",
        ("@",),
        re.compile(
            r"(?P<keep>://[^\s:/?#@\"'<>]{0,256}:)(?=[^\s\"'<>@]{1,256}+@)(?!\[masked\]@|\d{1,5}(?:[/?#\s\"']|$))"
            r"(?:[^\s\"'<>?#]{1,256}|[^\s\"'<>]{1,256}?)(?=@[\w.\[-])"
        ),
        only_with=("//",),
    ),
    Format(  # a long user with a digit in it, and no password
        "token in a URL",
        ("@",),
        re.compile(r"(?P<keep>://)(?=[^@/\s]{0,255}\d)[A-Za-z0-9_.~%-]{12,256}(?=@[\w\[])"),
        only_with=("//",),
    ),
    Format(
        "password in an address that is not a URL",
        ("@",),
        re.compile(
            rf"(?P<keep>(?<![:\w])\w{{3,20}}//\w{{1,64}}:|\bthin:\w{{1,64}}/){_NOT_MASKED}[^\s\"'<>/@]{{3,256}}(?=@[\w/.-])"
        ),
        only_with=("//", "thin:"),
    ),
    Format(
        "key in a query",
        ("key=", "?code=", "&code="),
        re.compile(r"(?P<keep>[?&](?:key|code)=)(?=[^&\s]{0,64}\d)[\w.~%/+-]{16,}"),
    ),
    Format(  # the scheme is kept; 'Basic authentication failed' has a word there
        "credentials after their scheme",
        ("bearer ", "basic ", "apikey "),
        re.compile(
            r"(?i:(?P<keep>\b(?:bearer|basic|negotiate|apikey|flyv1|ssws) {1,3}))(?![A-Za-z]?[a-z]+\b(?![+/=._~-]))"
            r"(?=[^\s]{0,256}[0-9A-Z=])[A-Za-z0-9+/=._~-]{8,}"
        ),
    ),
    Format(
        "JSON web token", ("eyj",), re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,3}")
    ),
    Format(
        "signature in a URL",
        ("sig=", "signature=", "hmac="),
        re.compile(
            r"(?i:(?P<keep>(?:[?&;](?:amp;)?(?:x-(?:amz|goog)-signature|sig|hmac)|\bsignature)=))[\w%+/=.~-]{8,}"
        ),
    ),
    Format(
        "webhook address",
        ("hook",),
        re.compile(
            r"(?P<keep>hooks\.slack\.com/(?:services|workflows|triggers)/|/api/webhooks/\d{5,25}/|(?:outlook|webhook)\.office\.com/(?:webhookb?/)?"
            r"|hooks\.zapier\.com/hooks/catch/|chat\.googleapis\.com/v1/spaces/)[\w/@-]{8,}"
        ),
    ),
    Format(
        "statement of a database",
        ("identified",),
        re.compile(
            r"(?i:(?P<keep>\bidentified\s+(?:with\s+[\"'\\]{0,3}\w{1,64}[\"'\\]{0,3}\s+)?(?:by|as)\s+(?:password\s+)?"
            r"(?P<mark>\\{0,7}[\"'])?))(?!\[masked\])"
            r"(?(mark)(?:(?!(?P=mark))[^\n]){1,256}(?=(?P=mark)|$)|(?=[^\s;]{0,64}\d)[^\s;\\\"']{4,64})"
        ),
    ),
    Format(
        "login of a mail protocol",
        ("auth plain", "auth login"),
        re.compile(r"(?i:(?P<keep>\bauth (?:plain|login) ))[A-Za-z0-9+/=]{8,}"),
    ),
    Format(
        "login of IMAP, Redis or FTP",
        ("login ", "auth ", "pass "),
        re.compile(
            rf"(?P<keep>\b(?:LOGIN|AUTH) {_QUOTE}?[^\s\"'\\]{{1,64}}{_QUOTE}? {_QUOTE}?|(?:^|['\"])PASS )"
            r"(?=[^\s\"'\\]{0,64}[\d!@#$%^&*])[^\s\"'\\]{3,64}(?=[\s\"'\\]|$)(?!\[masked\])",
            re.MULTILINE,
        ),
    ),
    Format(
        "third argument of a connection",
        tuple(f"{call}({quote}" for call in ("connect", "construct", "connection", "login") for quote in "'\""),
        re.compile(
            r"(?P<keep>(?i:\b\w{0,40}(?:connect|construct|connection|login)\()\s?[\"'][^\"'\n]{0,256}[\"'],\s?[\"'][^\"'\n]{0,64}[\"'],\s?[\"'])"
            r"(?!\[masked\])[^\"'\n]{3,256}(?=[\"'])"
        ),
    ),
    Format(
        "hash of a password",
        ("$2", "$apr1$", "$1$", "$5$", "$6$", "$y$", "scrypt$"),
        re.compile(
            r"\$(?:2[abxy]?\$\d\d\$[./A-Za-z0-9]{22,}|apr1\$[^\s$]{1,8}\$[./A-Za-z0-9]{22}|[156y]\$(?:[^\s$]{1,32}\$){1,3}[./A-Za-z0-9]{22,}"
            r"|scrypt\$[^\s\"']{30,})"
        ),
    ),
    Format(
        "hash of a password by argon2 or PBKDF2",
        ("$",),
        re.compile(
            r"\$(?:argon2(?:id?|d)\$[^\s\"']{40,}|pbkdf2-\w{3,8}\$[^\s\"']{30,})|\bpbkdf2_sha\d{1,3}\$\d+\$[^\s\"']{30,}"
        ),
        only_with=("argon2", "pbkdf2"),
    ),
    Format(  # host:port:database:user:password
        "line of .pgpass",
        (":5432:",),
        re.compile(
            r"(?P<keep>(?<![\w.*:-])[\w.*-]{1,255}:5432:[\w*-]{1,63}:[\w*-]{1,63}:)(?!\[masked\])[^\s:\"']{3,}(?=[\s\"']|$)"
        ),
    ),
    Format(
        "data of a Kubernetes secret",
        ("kind: secret",),
        re.compile(r"(?P<keep>^(?:data|stringData):\n)(?:[ ]+[\w.-]+: (?!\[masked\])[^\n]+\n?){1,100}", re.MULTILINE),
    ),
    Format(  # 12 or more words in small letters
        "words of a wallet",
        ("phrase",),
        re.compile(
            r"(?P<keep>(?i:phrase|mnemonic)[\"']?\s?(?:is|[:=])\s{0,2}[\"']?)(?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8}"
        ),
    ),
)
"""Formats of secrets that need no name."""

HINTS = frozenset(hint for each in FORMATS if not each.only_with for hint in each.hints)
HINTS_WITH = {
    hint: frozenset(word for each in FORMATS if hint in each.hints for word in each.only_with)
    for hint in {hint for each in FORMATS if each.only_with for hint in each.hints}
}
"""Every text with such a secret contains one of the first, or one of the second and of its words."""
_END = re.compile(rf"-----END {_KEY_NAME}")
_BODY_BACKWARDS = re.compile(r"(?:[A-Za-z0-9+/=,:. -]|\s|(?:n|r)\\){16,16384}")


def formatted_secrets(text: str, lower: str) -> Iterator[tuple[int, int]]:
    """Yield where secrets with a known format begin and end; `lower` is the text in lower case."""
    for secret_format in FORMATS:
        if _may_be_in(lower, secret_format):
            keeps = "keep" in secret_format.pattern.groupindex
            for match in secret_format.pattern.finditer(text):
                yield (match.end("keep") if keeps else match.start()), match.end()
    if "-----end" in lower:
        yield from _keys_without_begin(text)


def _may_be_in(lower: str, secret_format: Format) -> bool:
    needed = secret_format.only_with
    return any(map(lower.__contains__, secret_format.hints)) and (not needed or any(map(lower.__contains__, needed)))


def _keys_without_begin(text: str) -> Iterator[tuple[int, int]]:
    """Yield private keys of which only the end is present: base64 before an end mark without a begin mark."""
    done = 0
    for match in _END.finditer(text):
        body = _BODY_BACKWARDS.match(text[max(done, match.start() - 16_384) : match.start()][::-1])
        if body is not None:
            lines = text[match.start() - body.end() : match.start()]
            start = re.search(r"(?:\A|[\s\\])(?=[\w+/=]{16})", lines)
            if start is not None:
                yield match.start() - body.end() + start.end(), match.end()
        done = match.end()
