"""Recognizes passwords in the arguments of commands: after options of one letter (`mysql -pX`), or by their place.

Options with long names (`--password X`) need no table: `named_values` recognizes them.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Option(NamedTuple):
    """An option of a command that takes a password.

    The password may follow `flag` without a blank (`attached`) or with one (`separate`). In `user:password`, the part
    after `divider` is the password. `with_word`: only in this subcommand.
    """

    flag: str
    attached: bool = False
    separate: bool = True
    divider: str = ""
    with_word: str = ""


_LOGIN = (Option("-p", with_word="login"),)
_COMMANDS: tuple[tuple[str, tuple[Option, ...]], ...] = (
    ("sshpass", (Option("-p", attached=True),)),
    (
        "mysql mysqldump mysqladmin mysqlimport mysqlcheck mariadb mariadb-dump mariadb-admin",
        (Option("-p", attached=True, separate=False),),
    ),
    ("curl", tuple(Option(flag, divider=":") for flag in ("-u", "--user", "-U", "--proxy-user"))),
    ("http https xh", tuple(Option(flag, divider=":") for flag in ("-a", "--auth"))),
    ("docker podman helm nerdctl buildah skopeo oras crane az", _LOGIN),
    ("mongo mongosh mongodump mongorestore mongoexport cqlsh mongoimport", (Option("-p"),)),
    ("redis-cli valkey-cli", (Option("-a"),)),
    ("openssl", (Option("-k"), Option("-K"), Option("-hmac"))),
    ("7z 7za 7zz rar unrar", (Option("-p", attached=True, separate=False), Option("-hp", attached=True))),
    ("zip unzip", (Option("-P"),)),
    ("ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldappasswd", (Option("-w", attached=True),)),
    ("snmpwalk snmpget snmpset snmpbulkwalk snmptrap", (Option("-c"), Option("-A"), Option("-X"))),
    ("sqlcmd bcp isql tsql osql ipmitool mosquitto_pub mosquitto_sub", (Option("-P", attached=True),)),
    ("smbclient rpcclient mount.cifs", (Option("-U", divider="%"),)),
    ("lftp", (Option("-u", divider=","),)),
    ("plink pscp psftp putty", (Option("-pw"),)),
    ("xfreerdp", (Option("/p:", attached=True, separate=False),)),
)
_OPTIONS = {name: options for names, options in _COMMANDS for name in names.split()}


class Place(NamedTuple):
    """The password is the argument with this number, from 0, among those that are no options, after a `word`.

    `flag` is the letter of an option without which none is there; `valued` are options that take the next argument.
    """

    number: int
    word: str = ""
    flag: str = ""
    valued: tuple[str, ...] = ()


_PLACES: dict[str, tuple[Place, ...]] = {
    "net": (Place(1, "user"), Place(2, "use")),
    "openssl": (Place(0, "passwd", valued=("-salt", "-in")),),
    "mkpasswd": (Place(0, valued=("-m", "-S", "-R", "-P")),),
    "htpasswd": (Place(2, flag="b"), Place(1, flag="nb"), Place(1, flag="bn")),
    "mosquitto_passwd": (Place(2, flag="b"),),
    "rabbitmqctl": (Place(1, "add_user"), Place(1, "change_password")),
    "vault": (Place(0, "login"),),
}
_NAMES = "|".join(sorted(map(re.escape, {*_OPTIONS, *_PLACES}), key=len, reverse=True))
_PLACED = tuple(f"{name}{end}" for name in _PLACES for end in (" ", ".exe ", "'", '"'))
_PIPED = re.compile(  # echo PASSWORD | docker login --password-stdin
    r"\b(?:echo|printf)[ \t]+(?:-\w+[ \t]+)?(?P<quote>['\"]?)(?P<secret>[^\s|'\"]{3,200})(?P=quote)[ \t]*\|[ \t]*"
    r"(?:[^|\n]{0,200}?--(?:password-stdin\b|passphrase-fd[ =]0\b)|(?:sudo[ \t]+)?chpasswd\b|sudo[ \t]+-S\b)"
)
_READS = ("--password-stdin", "chpasswd", "sudo -S", "--passphrase-fd")
_COMMAND = re.compile(rf"(?<![\w.-])(?P<name>{_NAMES})(?:\.exe)?(?=[\s'\",\\])", re.IGNORECASE)
_ARGUMENT = re.compile(
    r"[ \t,]*(?:\\{0,7}\"(?P<double>[^\"\\\n]*+)\\{0,7}\""
    r"|\\{0,7}'(?P<single>[^'\\\n]*+)\\{0,7}'|(?P<bare>[^\s,\"'\\|;\])]++))"
)
_MAX_ARGUMENTS = 64


def may_hold_arguments(text: str) -> bool:
    """Whether there is a command of the table with an option."""
    return (_has_options(text) and _COMMAND.search(text) is not None) or _is_piped(text)


def secret_arguments(text: str) -> list[tuple[int, int]]:
    """Return where secret arguments begin and end in a text."""
    found = [(match.start("secret"), match.end("secret")) for match in _PIPED.finditer(text)] if _is_piped(text) else []
    found = [span for span in found if _is_secret(text[slice(*span)])]
    if not _has_options(text):
        return found
    done = 0
    for match in _COMMAND.finditer(text):
        if match.start() < done:
            continue
        spans = list(_arguments(text, match.end()))
        done = spans[-1][1] if spans else match.end()
        for index, start in _secrets(match["name"].lower(), [text[begin:end] for begin, end in spans]):
            found.append((spans[index][0] + start, spans[index][1]))
    return found


def _has_options(text: str) -> bool:
    """Or one of the commands whose passwords have no option before them; quick, since all texts are looked at."""
    return " -" in text or "'-" in text or '"-' in text or any(name in text for name in _PLACED)


def _is_piped(text: str) -> bool:
    return "|" in text and any(word in text for word in _READS)


def secret_elements(arguments: list[str]) -> Iterator[tuple[int, int]]:
    """Yield which elements of an argument list are secrets: the index, and where in the element the secret begins."""
    for index, argument in enumerate(arguments[:_MAX_ARGUMENTS]):
        name = argument.rsplit("/", 1)[-1].lower()
        if name in _OPTIONS or name in _PLACES:
            return ((index + 1 + after, start) for after, start in _secrets(name, arguments[index + 1 :]))
    return iter(())


def _arguments(text: str, position: int) -> Iterator[tuple[int, int]]:
    """Yield where the arguments after a command begin and end, up to the end of the line."""
    if text[position : position + 1] in ("'", '"', "\\"):  # the closing quotation mark of the command's own name
        position += 1
    for _ in range(_MAX_ARGUMENTS):
        match = _ARGUMENT.match(text, position)
        if match is None:
            return
        yield match.span(match.lastgroup or 0)
        position = match.end()


def _secrets(name: str, arguments: list[str]) -> Iterable[tuple[int, int]]:
    named = [
        secret
        for option in _OPTIONS.get(name, ())
        if not option.with_word or option.with_word in arguments
        for index, argument in enumerate(arguments)
        if (secret := _value(option, arguments, index, argument)) is not None
    ]
    placed = (_placed(place, arguments) for place in _PLACES.get(name, ()))
    return [*named, *((number, 0) for number in placed if number is not None)]


def _placed(place: Place, arguments: list[str]) -> int | None:
    """Return the index of the argument that is the password by its place alone."""
    begins = 0
    if place.word:
        if place.word not in arguments[:3]:
            return None
        begins = arguments.index(place.word) + 1
    options = [argument for argument in arguments if re.fullmatch(r"-\w+", argument)]
    if place.flag and not any(place.flag in (option[1:], *option[1:]) for option in options):
        return None
    others = [
        number
        for number, argument in enumerate(arguments[begins:], begins)
        if not argument.startswith(("-", "/")) and arguments[number - 1] not in place.valued
    ]
    if len(others) != place.number + 1:
        return None
    value = arguments[others[-1]]
    is_word = not place.flag and value.isalpha() and value.islower()  # vault login failed
    return others[-1] if _is_secret(value) and not is_word else None


def _value(option: Option, arguments: list[str], index: int, argument: str) -> tuple[int, int] | None:
    """Return the index of the argument with an option's password, and where in it the password begins."""
    if argument == option.flag and option.separate and index + 1 < len(arguments):
        following = arguments[index + 1]
        start = following.find(option.divider) + 1 if option.divider else 0
        is_value = not following.startswith("-") and (start > 0 or not option.divider)
        return (index + 1, start) if is_value and _is_secret(following[start:]) else None
    if option.divider and argument.startswith(f"{option.flag}=") and option.flag.startswith("--"):
        start = argument.find(option.divider) + 1
        return (index, start) if start and _is_secret(argument[start:]) else None
    if option.attached and argument.startswith(option.flag) and _is_secret(argument[len(option.flag) :]):
        return index, len(option.flag)
    return None


def _is_secret(value: str) -> bool:
    return len(value) >= 3 and not value.startswith(("$", "[masked", "<", "*", "-", "=", "["))
