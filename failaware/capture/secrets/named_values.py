"""Recognizes secrets in text by the name before them: `password=X`, `"token": "X"`, `--secret X`, `wrong password 'X'`.

Words such as `token` are searched, `names` decides about the name around each, and the characters after the name decide
whether a value follows. Linear: every lookahead is bounded.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from failaware.capture.secrets.names import is_secret_list_name, is_secret_name

MASK = "[masked]"

_WORDS = (
    *("pass", "pwd?", "secret", "token", "key", "auth", "cookie", "cred", "jwt", "cvv", "cvc", "otp", "phrase", "sid"),
    *("card", "session[ _-]?id", "sess", "code", "bearer", "kennwort", "contrasen", "senha", "heslo", "woord", "psk"),
    *("pin", "parola(?: d'ordine)?", "haslo", "losenord", "sifre", "salasana", "jelszo", "mnemonic", "mots? de pass"),
)
_FOREIGN_WORDS = (
    *("contraseñ", "hasł", "lösenord", "şifre", "jelszó", "пароль", "пароля", "密码", "密碼", "口令", "パスワード"),
    *("暗証番号", "비밀번호", "암호", "κωδικ", "كلمة المرور", "كلمة السر", "סיסמ", "mật khẩu", "รหัสผ่าน", "पासवर्ड"),
)
ANNOUNCING = re.compile("|".join(_WORDS))
ANNOUNCING_ANYWHERE = re.compile("|".join((*_WORDS, *_FOREIGN_WORDS)))
"""Every name of a secret contains one of these words, in lower case; the second has also those of other alphabets."""

_BEGINNING = re.compile(r"[\w.-]{0,100}")  # of a name, backwards
_REST_OF_NAME = re.compile(r"[\w-]{0,100}(?:\.[\w-]{1,100}){0,5}")
_WORD_BEFORE = re.compile(r" ([\w-]{2,20})(?![\w.])")  # backwards
_WITH_WORD_BEFORE = frozenset(["key", "keys", "code", "codes", "phrase", "token", "number", "id"])

_Q = r"(?:\\{0,7}[\"'`]|&(?:quot|apos|#34|#39);|%2[27])"
_BARE = r"(?:[^\s\"'&;,<>\\|]|,(?!\s|[\w\"'.-]{1,64}[=:]|$)|\|(?!\s))++"
_QUOTED = (
    r"(?:\"(?P<double>(?:[^\"\\]++|\\.)++)"  # the closing mark may be cut off
    r"|'(?P<single>(?:[^'\\]++|\\.)++)"
    r"|`(?P<tick>[^`\n]{1,512})`"
    r"|\\{1,7}[\"'](?P<escaped>(?:[^\\]++|\\(?!\\{0,6}[\"']))++)"  # JSON in JSON
    r"|%2[27](?P<percent>(?:(?!%2[27])[^\s\"'<>])++)"
    r"|&(?:quot|apos|#34|#39);(?P<entity>(?:(?!&(?:quot|apos|#34|#39);)[^<>\n])++)"
    r"|[「『«“„‘]\s?(?P<foreign>[^」』»”“’\n]{1,256}?)(?=\s?[」』»”“’\n]|$))"
)
_WRAPPER = r"(?:&?[A-Z]\w{0,40}[({]){0,2}(?:string\(\d{1,9}\) )?[bBuUrRN]{0,2}"  # Some("…"), b"…", N'…'
_VALUE = re.compile(rf"{_WRAPPER}{_QUOTED}|\{{(?P<braced>[^{{}}\n\"']{{3,256}})\}}(?=;|$)|(?P<bare>{_BARE})", re.DOTALL)
_PROSE_VALUE = re.compile(rf"[bBuN]?{_QUOTED}|(?P<bare>{_BARE})", re.DOTALL)
_BLOCK = re.compile(r"[|>][+-]?[ \t]*\r?\n[ \t]+(?P<bare>\S[^\r\n]*)")  # of YAML
_HEADER = re.compile(
    r"(?![\"'\\])(?P<bare>(?:[^\r\n\"'\\]|\\(?![rn\"']))++(?:(?<==)\"[^\r\n\"]{0,1024}\"[^\r\n\"']{0,1024}){0,16})"
)
_HEADERS = ("authorization", "cookie")

_ASSIGNED = re.compile(
    rf"{_Q}?\]?(?:\s{{0,3}}(?:=>|:=|={{1,3}}|::?|->|→|：|＝|%3[AaDd])"
    r"(?:\s{1,8}(?=string\(|[\"'])|[ \t]{0,3})(?!=)|\t+)"
)
_VALUE_OBJECT = re.compile(rf"\{{\s{{0,8}}{_Q}?(?:[Vv]alue|plain[tT]ext){_Q}?\s?:\s?(?={_Q})")
_AUTH_PAIR = re.compile(rf"[=:]\s?[(\[]\s?[bu]?{_Q}[^\"'\n]{{0,64}}{_Q}\s?,\s?(?=[bu]?{_Q})")  # user, password
_FLAG = re.compile(rf"{_Q}?(?:,? {{1,3}}|,)(?=[^\s-])")
_ELEMENT = re.compile(r"(?:\s[^<>]{0,200})?>(?=[^<\s])(?P<bare>[^<]{1,8192})(?=</|$)")
_MEMBER_PAIR = re.compile(rf",\s?(?=<{{0,2}}{_Q})<{{0,2}}")  # of Erlang
_GOT = re.compile(r"[^\n]{0,100}?\b(?:got|received|given|provided|value|input|but was)[ :=]{1,3}(?=[bu]?[\"'`])")
_PARTICLE = re.compile(r"\s?(?:は|が|为|為|是|는|은|가)\s?[「『“]?(?=[!-~]{5})")
_NEXT_MEMBER = re.compile(r"\s*\r?\n\s+value:[ \t]+")  # of YAML
_PAIR = re.compile(rf"{_Q}\s?,\s?(?=[bBuN]?{_Q})")
_PAIR_BEGINS = re.compile(r"[(\[]\s?[bBuN]?\\{0,7}[\"']$")
_DESCRIBED = re.compile(
    rf"{_Q}(?:\s?,\s?|\s|;\s?)(?:{_Q}?[Vv]al(?:ue)?{_Q}?|{_Q}content{_Q})\s?[=:]\s?|{_Q}\s*\r?\n\r?\n(?=[^\s-])"
)
_XML_VALUE = re.compile(rf"{_Q}[^<>]{{0,100}}>(?P<bare>[^<]{{1,8192}})(?=</)")
_CALLED = re.compile(rf"\((?={_Q})")
_COLUMN = re.compile(r"\s{1,8}\|\s{1,8}")
_IS = re.compile(r"(?:[ \t][^\W\d]{1,20}){0,3}\s(?:is|was|ist|lautet|war|es|est|è|é|är|era)(?:\s?:)?\s+")
_THEN_COLON = re.compile(r"(?:[ \t][^\W\d]{1,20}){1,4}\s?[:：]\s{1,3}")
_NEXT = re.compile(r"[ \t]{1,4}\(?|(?=[「『«“„])")
_CHANGED = re.compile(rf"{_Q}?\s->\s")
_FURTHER = re.compile(rf"{_Q}?,\s?(?={_Q}?[\w-]*\d)")
_LISTED = re.compile(rf"{_Q}?\s{{0,2}}[=:]\s{{0,2}}[\[{{(](?P<inner>[^\[\]{{}}()]++)")
_MEMBER = re.compile(rf"{_Q}(?P<bare>[^\"'\\\s,:]++){_Q}(?!\s?:)")
_LOGIN = re.compile(r"(?i:\blogin\s+\S{1,64}\s+$)")
_CONFIGURED = re.compile(r"(?i:\b(?:config(?:ure)?[ :](?:set|create|add)|git config)\b)[^\n|;]{0,120}$")
_SET_FOR = re.compile(r"(?i:\s+for\s+[^=\n]{1,100}=\s*(?:password\()?)(?=['\"])")  # SET PASSWORD FOR … = 'X'
_COMMANDS = frozenset(("chpasswd", "htpasswd", "smbpasswd", "ldappasswd", "sshpass"))

_NO_SECRET = re.compile(
    r"\W*(?:none|null|nil|true|false|undefined|n/a|empty|unset|redacted|masked|hidden|filtered|protected|secret"
    r"|yes|no|on|off|required|optional|invalid|missing|expired|incorrect|wrong|requires?|is|was|must|needs?|option"
    r"|argument|flag|value|not|for|from|and|or|the|a|an|string|str|text|bytes|\*+|x{3,}|•+|\.+)\W*"
    r"|(?:file|env|fd):\S*|stdin|!vault|\$\{?[A-Za-z_]\w*\}?|\$\d+|\$\([^)]*\)?|\{\{?[^}]*\}\}?|:\w+|%\(?\w*\)?s?|<[^>]*>?|\W{0,3}",
    re.IGNORECASE,
)
_SENTENCE = re.compile(  # the beginning of what a validator or a program says about a field
    r"(?i:this|that|these|your|it|too|cannot|can|could|may|should|ensure|please|enter|sorry|access|authentication|field"
    r"|user|version|length|unable|failed|only|at|use|no|not),? +[A-Za-z0-9]"
)
_CODE = re.compile(r"(?:await )?[A-Za-z_][\w.]*[(\[]|self\.\w+|(?:os|args|settings|config|request)\.|process\.env")
_ORDINARY = re.compile(  # words with digits or marks that are not secrets: times, versions, addresses, paths, measures
    r"\d[\d.:/T+-]*Z?|v?\d+(?:\.\w+)+|[\d.,]+[A-Za-z%°]{1,3}|(?:[a-z]+://|/|\./|~/)\S*|\S+@\S+\.\w+|[\w.]+\.[a-z]{2,4}"
    r"|[A-Za-z]+[-_ ]?\d{1,2}|[A-Z]{1,8}[-_]?\d{1,8}|[\w-]+[=(\[].*|.*[*^?\\(){}|].*"
)
_LETTER, _MARK, _DIGIT = re.compile(r"[^\W\d_]"), re.compile(r"[0-9!@#$%^&*+=]"), re.compile(r"\d")
_MIXED = re.compile(r"\d[A-Za-z]")
_CAMEL = re.compile(r"[a-z][A-Z]")
_DOUBT = re.compile(r"(?i:\b(?:no such|unknown|missing|invalid|unexpected|expected|undefined|bad|no) $)")
_IDEOGRAPHS = "\u2e80"
_AFTER_IDEOGRAPHS = "：＝「『はが为為是는은가"
_URL = re.compile(r"[a-z]{2,8}://")
_MAX_LISTED = 20
_NEAR = 200  # characters of a sentence that are searched for a value
_LONG = 128  # characters: a longer value is not a word or a placeholder


class SecretName(NamedTuple):
    """The name of a secret in a text. `before` is the two characters before it."""

    text: str
    start: int
    end: int
    before: str

    @property
    def is_header(self) -> bool:
        """Whether the rest of the line is its value."""
        return self.text.lower().endswith(_HEADERS)


def named_values(
    text: str,
    words: Iterator[re.Match[str]],
    is_secret_name: Callable[[str], bool],
) -> Iterator[tuple[int, int]]:
    """Yield where values begin and end that follow the name of a secret.

    Args:
        text: any text.
        words: matches of `ANNOUNCING` in the text in lower case.
        is_secret_name: whether a name is that of a secret.
    """
    done = checked = 0
    for word in words:
        if word.start() < max(done, checked):
            continue
        name = _name(text, word)
        checked = name.end
        is_plural = is_secret_list_name(name.text)
        if not is_plural and not is_secret_name(name.text):
            longer = _with_word_before(text, name)
            if longer is None or not is_secret_name(longer.text):
                continue
            name = longer
        for span in _members(text, name, all_strings=not is_plural) or ([] if is_plural else _values(text, name)):
            done = span[1]
            yield span


def _name(text: str, word: re.Match[str]) -> SecretName:
    start, end = word.span()
    if text[start] >= _IDEOGRAPHS:  # ideographs have no blanks between words
        return SecretName(text[start:end], start, end, text[max(0, start - 2) : start])
    beginning = _BEGINNING.match(text[max(0, start - 100) : start][::-1])
    size = beginning.end() if beginning else 0
    begin = start - size
    if text[begin - 1 : begin] == "\\" and size and text[begin] in "nrt":
        begin += 1  # the end of an escaped line break
    while begin < start and text[begin] in "-.":
        begin += 1
    if text[begin - 1 : begin + 1] == "-D" and begin < start:
        begin += 1  # a Java property: -Dname=value
    rest = _REST_OF_NAME.match(text, end)
    end = rest.end() if rest else end
    return SecretName(text[begin:end], begin, end, text[max(0, begin - 2) : begin])


def _with_word_before(text: str, name: SecretName) -> SecretName | None:
    """Extend a name to the left: `key` to `api key`."""
    if name.text.lower() not in _WITH_WORD_BEFORE:
        return None
    word = _WORD_BEFORE.match(text[max(0, name.start - 22) : name.start][::-1])
    if word is None:
        return None
    start = name.start - len(word[0])
    return SecretName(text[start : name.end], start, name.end, text[max(0, start - 2) : start])


def _values(text: str, name: SecretName) -> Iterator[tuple[int, int]]:
    """Yield where a name's value begins and ends, also of the values that it changed to or that are listed after it."""
    for position, pattern, is_prose in _places(text, name):
        span = _secret_at(text, position, pattern, name, is_prose=is_prose)
        if span is None:
            continue
        yield span
        more = _FURTHER if name.text.endswith("s") else _CHANGED
        for _ in range(_MAX_LISTED):
            match = more.match(text, span[1])
            span = _secret_at(text, match.end(), _VALUE, name, is_prose=more is _FURTHER) if match else None
            if span is None:
                break
            yield span
        return


def _places(text: str, name: SecretName) -> Iterator[tuple[int, re.Pattern[str], bool]]:
    """Yield where a value may begin after a name, its pattern, and whether words there are no secrets."""
    end = name.end
    after = text[end : end + 1]
    if name.text[0] >= _IDEOGRAPHS and after >= _IDEOGRAPHS and after not in _AFTER_IDEOGRAPHS:
        return
    if name.text.lower().endswith("auth") and (match := _AUTH_PAIR.match(text, end)):
        yield match.end(), _VALUE, False
    if match := _ASSIGNED.match(text, end):
        if name.is_header:
            yield match.end(), _HEADER, False
        yield match.end(), _BLOCK, False
        if inner := _VALUE_OBJECT.match(text, match.end()):
            yield inner.end(), _VALUE, False
        is_message = name.text in _COMMANDS and match[0] == ": "
        yield match.end(), _VALUE, match[0] == "\t" or is_message or _is_doubted(text, name)
        return
    if name.before.endswith("-") and (match := _FLAG.match(text, end)):
        yield match.end(), _VALUE, False
        return
    if (
        after in (">", " ")
        and "<" in text[max(0, name.start - 40) : name.start]
        and (match := _ELEMENT.match(text, end))
    ):
        yield end, _ELEMENT, False
    if after in ("'", '"', "\\", "`", "&", "%"):
        yield from _after_quoted(text, name)
    yield from _in_command(text, name)
    yield from _after_bare(text, name)
    yield from _in_prose(text, name)


def _in_command(text: str, name: SecretName) -> Iterator[tuple[int, re.Pattern[str], bool]]:
    """Yield the same after a name that a command or a statement sets: `aws configure set NAME X`."""
    if text[name.end : name.end + 1] == " " and _CONFIGURED.search(text, max(0, name.start - 140), name.start):
        yield name.end + 1, _VALUE, False
    if match := _SET_FOR.match(text, name.end):
        yield match.end(), _VALUE, False


def _after_bare(text: str, name: SecretName) -> Iterator[tuple[int, re.Pattern[str], bool]]:
    """Yield the same after a name without quotation marks, in the notations of programming languages."""
    end = name.end
    after = text[end : end + 1]
    if after == "(" and (match := _CALLED.match(text, end)) and not name.text[0].islower():
        yield match.end(), _VALUE, name.text.isupper() is False
    if after == "," and name.before[-1:] in ("{", "(") and (match := _MEMBER_PAIR.match(text, end)):
        yield match.end(), _VALUE, False
    if name.before == ": " and (match := _NEXT_MEMBER.match(text, end)):
        yield match.end(), _VALUE, False
    if match := _PARTICLE.match(text, end):
        yield match.end(), _PROSE_VALUE, True
    if name.before == "| " and (match := _COLUMN.match(text, end)):
        yield match.end(), _VALUE, False


def _after_quoted(text: str, name: SecretName) -> Iterator[tuple[int, re.Pattern[str], bool]]:
    if match := _DESCRIBED.match(text, name.end):
        yield match.end(), _VALUE, False
    match = _PAIR.match(text, name.end)
    if match and _PAIR_BEGINS.search(text[max(0, name.start - 12) : name.start]):
        yield match.end(), _VALUE, False
    yield name.end, _XML_VALUE, False


def _in_prose(text: str, name: SecretName) -> Iterator[tuple[int, re.Pattern[str], bool]]:
    if not _MARK.search(text, name.end, name.end + _NEAR):
        return
    if match := _IS.match(text, name.end):
        yield match.end(), _PROSE_VALUE, True
    if match := _THEN_COLON.match(text, name.end):
        yield match.end(), _PROSE_VALUE, True
    if match := _GOT.match(text, name.end):
        yield match.end(), _PROSE_VALUE, True
    if match := _NEXT.match(text, name.end):
        is_statement = name.text.isupper() and text[match.end() : match.end() + 1] in ("'", '"')
        is_login = name.text == "password" and _LOGIN.search(text, max(0, name.start - 80), name.start) is not None
        yield match.end(), _PROSE_VALUE, not (is_statement or is_login)


def _secret_at(
    text: str, position: int, pattern: re.Pattern[str], name: SecretName, *, is_prose: bool
) -> tuple[int, int] | None:
    """Return where the secret part of a value begins and ends; None if nothing there can be a secret."""
    match = pattern.match(text, position)
    if match is None:
        return None
    group = match.lastgroup or "bare"
    secret = match[group]
    if group == "bare" and not name.is_header:
        secret = secret.rstrip(")]}.:,。")
    if len(secret) < 3 or MASK[:-1] in secret[:64]:
        return None
    if group == "bare" and text[position - 1] == " " and _SENTENCE.match(text, position):
        return None
    if len(secret) <= _LONG and (_NO_SECRET.fullmatch(secret) or _is_word(name, secret, group, is_prose=is_prose)):
        return None
    return match.start(group), match.start(group) + len(secret)


def _is_word(name: SecretName, secret: str, group: str, *, is_prose: bool) -> bool:
    """Whether a value is a word of a sentence or a piece of code."""
    if name.is_header:
        return len(secret) < 24 and not re.search(r"[=\d]", secret)
    if group == "bare" and (
        _CODE.match(secret)
        or _URL.match(secret)
        or (secret.isidentifier() and is_secret_name(secret) and not _MIXED.search(secret))
    ):
        return True
    if is_prose:
        return not _is_odd(name, secret, group)
    kind = name.text.lower()
    if kind in ("pin", "pass") and secret.isdigit():
        return not 4 + (kind == "pass") <= len(secret) <= 12
    if kind in ("token", "auth", "pin"):
        return len(secret) < 16 and secret.isalpha() and not _CAMEL.search(secret)
    return False


def _is_odd(name: SecretName, secret: str, group: str) -> bool:
    """Whether a word in a sentence does not look like a word of a language."""
    least = 16 if name.text.lower().endswith(("token", "secret", "key", "code")) else 5 if group == "bare" else 4
    if name.text.lower().endswith(("code", "codes", "pin", "otp")) and secret.replace("-", "").isdigit():
        return len(secret) >= 4
    if len(secret) < least or " " in secret or _ORDINARY.fullmatch(secret):
        return False
    return (
        _LETTER.search(secret) is not None
        and (_MARK if group != "bare" else _DIGIT if least > 5 else _MARK).search(secret) is not None
    )


def _is_doubted(text: str, name: SecretName) -> bool:
    """Whether a name may follow instead of a secret, as in `no such secret: prod/db`."""
    return name.before[-1:] == ":" or _DOUBT.search(text, max(0, name.start - 24), name.start) is not None


def _members(text: str, name: SecretName, *, all_strings: bool) -> list[tuple[int, int]]:
    """Return secrets in a list after a name such as `passwords`, or in a list or object after one such as `tokens`."""
    match = _LISTED.match(text, name.end)
    if match is None or (all_strings and text[match.start("inner") - 1] != "["):
        return []
    return [
        member.span("bare")
        for member in _MEMBER.finditer(text, *match.span("inner"))
        if MASK[:-1] not in member["bare"]
        and (all_strings or (len(member["bare"]) >= 8 and _DIGIT.search(member["bare"])))
        and len(member["bare"]) >= 3
    ]
