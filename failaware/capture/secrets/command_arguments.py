"""Recognizes passwords in the arguments of commands: after options of one letter (`mysql -pX`), or by their place.

Options with long names (`--password X`) need no table: `named_values` recognizes them.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise, takewhile
from typing import NamedTuple

from failaware.capture.secrets.arguments import MAX_ARGUMENTS, is_secret, split_arguments
from failaware.capture.secrets.standard_input import INPUT_HINTS, secret_input


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
        (Option("-p", attached=True, separate=False), Option("password")),
    ),
    (
        "curl",
        (*(Option(flag, divider=":") for flag in ("-u", "--user", "-U", "--proxy-user")), Option("-b", divider="=")),
    ),
    ("http https xh", tuple(Option(flag, divider=":") for flag in ("-a", "--auth"))),
    ("docker podman helm nerdctl buildah skopeo oras crane az", _LOGIN),
    ("mongo mongosh mongodump mongorestore mongoexport cqlsh mongoimport hydra", (Option("-p"),)),
    ("redis-cli valkey-cli", (Option("-a"),)),
    ("openssl", (Option("-k"), Option("-K"), Option("-hmac"))),
    ("7z 7za 7zz rar unrar", (Option("-p", attached=True, separate=False), Option("-hp", attached=True))),
    ("zip unzip", (Option("-P"),)),
    ("ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami", (Option("-w", attached=True),)),
    ("snmpwalk snmpget snmpset snmpbulkwalk snmptrap", (Option("-c"), Option("-A"), Option("-X"))),
    ("sqlcmd bcp isql tsql osql ipmitool mosquitto_pub mosquitto_sub", (Option("-P", attached=True),)),
    ("smbclient rpcclient smbget winexe net", (Option("-U", divider="%"),)),
    ("lftp", (Option("-u", divider=","),)),
    ("plink pscp psftp putty", (Option("-pw"),)),
    ("ldappasswd slappasswd", (Option("-s"), Option("-a"), Option("-w", attached=True))),
    ("useradd usermod", (Option("-p"),)),
    ("ssh-keygen", (Option("-N"), Option("-P"))),
    ("pdftotext pdfinfo pdftoppm", (Option("-upw"), Option("-opw"))),
    ("pdftk", (Option("input_pw"), Option("user_pw"), Option("owner_pw"))),
    ("gh", (Option("--body", with_word="secret"), Option("-b", with_word="secret"))),
    ("nmcli", (Option("password"),)),
    ("poetry", (Option("pypi-token.pypi"),)),
    ("rclone", (Option("pass", with_word="config"),)),
    ("xfreerdp", (Option("/p:", attached=True, separate=False),)),
)
_OPTIONS = {name: options for names, options in _COMMANDS for name in names.split()}


class Place(NamedTuple):
    """The password is the argument with this number, from 0, among those that are no options, after a `word`.

    `flag` is the letter of an option without which none is there; `valued` are options that take the next argument.
    In `user/password`, the part after `divider` is the password; then other arguments may follow.
    """

    number: int
    word: str = ""
    flag: str = ""
    valued: tuple[str, ...] = ()
    divider: str = ""


_PLACES: dict[str, tuple[Place, ...]] = {
    "net": (Place(1, "user"), Place(1, "use"), Place(2, "use")),
    "convertto-securestring": (Place(0),),
    "openssl": (Place(0, "passwd", valued=("-salt", "-in")),),
    "mkpasswd": (Place(0, valued=("-m", "-S", "-R", "-P")),),
    "htpasswd": (Place(2, flag="b"), Place(1, flag="nb"), Place(1, flag="bn")),
    "mosquitto_passwd": (Place(2, flag="b"),),
    "rabbitmqctl": (Place(1, "add_user"), Place(1, "change_password")),
    "vault": (Place(0, "login"),),
    "redis-cli": tuple(Place(number, word) for word in ("AUTH", "auth") for number in (0, 1)),
    "bw": (Place(0, "unlock"), Place(1, "login")),
    "mc": (Place(3, "set"),),
    "consul": (Place(1, "set-agent-token"),),
    "poetry": (Place(2, "config"),),
    "rclone": (Place(0, "obscure"),),
    "wpa_passphrase": (Place(1),),
    **dict.fromkeys(("sqlplus", "impdp", "expdp", "sqlldr", "rman"), (Place(0, divider="/"),)),
}
_OPTION = re.compile(r"-|/\w+(?::|$)")
_NAMES = frozenset(name + end for name in (*_OPTIONS, *_PLACES) for end in ("", ".exe"))
_WORD = re.compile(r"[\w.-]{2,}")
_COMMAND_HINTS = (" -", "'-", '"-', "/p:", "nmcli", "pdftk", "ConvertTo-SecureString", *_PLACES)
"""One of these is in every text with a secret argument: an option, or a command whose passwords need none."""
HINTS = tuple(hint.lower() for hint in (*_COMMAND_HINTS, *INPUT_HINTS, "-p"))
"""One of these is in lower case in every text in which `secret_arguments` finds something."""
_AFTER_NAME = frozenset(" \t\r\n'\",\\")
_USER_THEN_PASSWORD = re.compile(  # of any command: -u USER … -p PASSWORD
    r"-u(?<!\w-u)(?:ser(?:name)?)?[\s=,'\"\\]{1,8}[^\s,'\"\\=-][^\s,'\"\\]{0,100}[\s,'\"\\]{1,8}"
    r"(?:--?\w[\w-]{0,40}[\s=,'\"\\]{1,8}[^\s,'\"\\-][^\s,'\"\\]{0,100}[\s,'\"\\]{1,8}){0,4}"
    r"-p[\s,'\"\\]{1,8}(?P<secret>[^\s,'\"/.$-][^\s,'\"]{2,200})"
)
_ODD = re.compile(r"(?!.*:\d)(?=.*[A-Za-z])(?=.*[\d!@#$%^&*+=])")  # not a port, a priority or the name of a database
_MYSQL = re.compile(r"\b(?:mysql|mariadb)")


def secret_arguments(text: str, lower: str) -> list[tuple[int, int]]:
    """Return where the secret arguments and inputs of commands begin and end in a text; they may overlap.

    Args:
        text: any text.
        lower: the same in lower case.
    """
    spans = [*secret_input(text)]
    if any(map(text.__contains__, _COMMAND_HINTS)) and not _NAMES.isdisjoint(_WORD.findall(lower)):
        spans += _of_known_commands(text, lower)
    if "-p" in text and "-u" in text:
        for pair in _USER_THEN_PASSWORD.finditer(text):
            if _ODD.match(pair["secret"]) and not _MYSQL.search(text, max(0, pair.start() - 200), pair.start()):
                spans.append(pair.span("secret"))
    return spans


def _of_known_commands(text: str, lower: str) -> Iterator[tuple[int, int]]:
    done = 0
    for match in _WORD.finditer(lower):
        end = match.end()
        if match.start() < done or match[0] not in _NAMES or lower[end : end + 1] not in _AFTER_NAME:
            continue
        spans = split_arguments(text, end + (text[end : end + 1] in ("'", '"', "\\")), len(text))
        arguments = list(takewhile(lambda span: not _is_command(lower[slice(*span)]), spans))
        done = arguments[-1][1] if arguments else end
        for index, start in _secrets(match[0].removesuffix(".exe"), [text[slice(*span)] for span in arguments]):
            yield arguments[index][0] + start, arguments[index][1]


def secret_elements(arguments: list[str]) -> Iterator[tuple[int, int]]:
    """Yield which elements of an argument list are secrets: the index, and where in the element the secret begins."""
    arguments = arguments[:MAX_ARGUMENTS]
    commands = [index for index, argument in enumerate(arguments) if _is_command(argument.lower())]
    for index, following in pairwise([*commands, len(arguments)]):
        name = _command_name(arguments[index].lower())
        for after, start in _secrets(name, arguments[index + 1 : following]):
            yield index + 1 + after, start
    if not commands:
        yield from _user_then_password(arguments)


def _command_name(argument: str) -> str:
    return argument.rsplit("/", 1)[-1].removesuffix(".exe")


def _is_command(argument: str) -> bool:
    """Whether an argument is itself a command with arguments: `docker exec db mysql -pX`."""
    name = _command_name(argument)
    return name in _OPTIONS or name in _PLACES


def _user_then_password(arguments: list[str]) -> Iterator[tuple[int, int]]:
    if "-p" in arguments and not {"-u", "--user", "--username"}.isdisjoint(arguments):
        index = arguments.index("-p") + 1
        if index < len(arguments) and is_secret(arguments[index]) and _ODD.match(arguments[index]):
            yield index, 0


def _secrets(name: str, arguments: list[str]) -> Iterable[tuple[int, int]]:
    named = [
        secret
        for option in _OPTIONS.get(name, ())
        if not option.with_word or option.with_word in arguments
        for index, argument in enumerate(arguments)
        if (secret := _value(option, arguments, index, argument)) is not None
    ]
    placed = (_placed(place, arguments) for place in _PLACES.get(name, ()))
    return [*named, *(secret for secret in placed if secret is not None)]


def _placed(place: Place, arguments: list[str]) -> tuple[int, int] | None:
    """Return the index of the argument that is the password by its place, and where in it the password begins."""
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
        if not _OPTION.match(argument) and arguments[number - 1] not in place.valued
    ]
    if place.divider:
        start = arguments[others[place.number]].find(place.divider) + 1 if len(others) > place.number else 0
        return (
            (others[place.number], start) if start > 1 and is_secret(arguments[others[place.number]][start:]) else None
        )
    if len(others) != place.number + 1:
        return None
    value = arguments[others[-1]]
    is_word = not place.flag and value.isalpha() and value.islower()  # vault login failed
    return (others[-1], 0) if is_secret(value) and not is_word else None


def _value(option: Option, arguments: list[str], index: int, argument: str) -> tuple[int, int] | None:
    """Return the index of the argument with an option's password, and where in it the password begins."""
    is_flag = argument == option.flag or (option.divider and re.fullmatch(rf"-\w+{option.flag[-1]}", argument))
    if is_flag and option.separate and index + 1 < len(arguments):
        following = arguments[index + 1]
        start = following.find(option.divider) + 1 if option.divider else 0
        is_value = not following.startswith("-") and (start > 0 or not option.divider)
        return (index + 1, start) if is_value and is_secret(following[start:]) else None
    if option.divider and argument.startswith(f"{option.flag}=" if option.flag.startswith("--") else option.flag):
        start = argument.find(option.divider, len(option.flag) + 1) + 1
        return (index, start) if start and is_secret(argument[start:]) else None
    if option.attached and argument.startswith(option.flag) and is_secret(argument[len(option.flag) :]):
        return index, len(option.flag)
    return None
