"""Recognizes passwords in the arguments of commands, after options of one letter: `mysql -pX`, `curl -u user:X`.

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
    ("vault", (Option("login"),)),
)
_OPTIONS = {name: options for names, options in _COMMANDS for name in names.split()}
_NAMES = "|".join(sorted(map(re.escape, _OPTIONS), key=len, reverse=True))
_COMMAND = re.compile(rf"(?<![\w.-])(?P<name>{_NAMES}|htpasswd)(?:\.exe)?(?=[\s'\",\\])", re.IGNORECASE)
_ARGUMENT = re.compile(
    r"[ \t,]*(?:\\{0,7}\"(?P<double>[^\"\\\n]*+)\\{0,7}\""
    r"|\\{0,7}'(?P<single>[^'\\\n]*+)\\{0,7}'|(?P<bare>[^\s,\"'\\|;\])]++))"
)
_MAX_ARGUMENTS = 64


def may_hold_arguments(text: str) -> bool:
    """Whether the text has a command of the table, and an option."""
    return _has_options(text) and _COMMAND.search(text) is not None


def secret_arguments(text: str) -> list[tuple[int, int]]:
    """Return where secret arguments begin and end in a text."""
    if not _has_options(text):
        return []
    secrets: list[tuple[int, int]] = []
    done = 0
    for match in _COMMAND.finditer(text):
        if match.start() < done:
            continue
        spans = list(_arguments(text, match.end()))
        done = spans[-1][1] if spans else match.end()
        for index, start in _secrets(match["name"].lower(), [text[begin:end] for begin, end in spans]):
            secrets.append((spans[index][0] + start, spans[index][1]))
    return secrets


def _has_options(text: str) -> bool:
    return " -" in text or "'-" in text or '"-' in text


def secret_elements(arguments: list[str]) -> Iterator[tuple[int, int]]:
    """Yield which elements of an argument list are secrets: the index, and where in the element the secret begins."""
    for index, argument in enumerate(arguments[:_MAX_ARGUMENTS]):
        name = argument.rsplit("/", 1)[-1].lower()
        if name in _OPTIONS or name == "htpasswd":
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
    if name == "htpasswd":
        has_password = len(arguments) == 4 and "b" in arguments[0] and _is_secret(arguments[-1])
        return [(len(arguments) - 1, 0)] if has_password else []
    return [
        secret
        for option in _OPTIONS[name]
        if not option.with_word or option.with_word in arguments
        for index, argument in enumerate(arguments)
        if (secret := _value(option, arguments, index, argument)) is not None
    ]


def _value(option: Option, arguments: list[str], index: int, argument: str) -> tuple[int, int] | None:
    """Return the index of the argument with an option's password, and where in it the password begins."""
    if argument == option.flag and option.separate and index + 1 < len(arguments):
        following = arguments[index + 1]
        start = following.find(option.divider) + 1 if option.divider else 0
        is_value = not following.startswith("-") and (start > 0 or not option.divider)
        return (index + 1, start) if is_value and _is_secret(following[start:]) else None
    if option.attached and argument.startswith(option.flag) and _is_secret(argument[len(option.flag) :]):
        return index, len(option.flag)
    return None


def _is_secret(value: str) -> bool:
    return len(value) >= 3 and not value.startswith(("$", "[masked", "<", "*", "-", "=", "["))
