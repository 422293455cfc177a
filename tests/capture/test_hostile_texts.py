"""The time that masking takes grows with the length of a text and no faster, for any text that a program repeats."""

import random
import time
from string import ascii_letters, digits

import pytest

from failaware.capture.secrets.masking import Masker
from tests.sizes import sized

RANDOM = random.Random(7)
LENGTH = sized(12_000, 250_000)  # characters of the short text; the long one has four times as many
BASE64 = "".join(RANDOM.choices(ascii_letters + digits + "+/", k=4 * LENGTH))
LINES = "\n".join(BASE64[start : start + 64] for start in range(0, len(BASE64), 65))
HINTS = (
    "password",
    "token",
    "secret",
    "key",
    "is",
    " ",
    "=",
    ":",
    "'",
    '"',
    "\\",
    "\n",
    ",",
    "([{",
    "--",
    "-p",
    "|",
    "@",
)
WORDS = " ".join(
    RANDOM.choices(("docker login", "-p", "-u", "<<<", "curl", "mysql", "echo x |", "'a: b'", "$X"), k=LENGTH)
)

REPEATED = (
    *("password=", "password", "token is ", "a:", "key ", "pwd ", "bearer ", "密码", "пароль: ", "PASS a\n", "user a "),
    *(
        "=",
        "==",
        ": ",
        "@",
        "a@",
        "://",
        "//a:b@",
        "https://a:",
        "-",
        "--",
        "_",
        ".",
        " ",
        "\n",
        "\x00",
        "%3D",
        "&token=",
    ),
    *("'", '"', "\\", '\\"', "'\"", "(", "[", "{", "([{", "</", "$(", "b'", 'x="', 'password\\":\\"', '["password",'),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n",
        "A" * 64 + "\n-----END PRIVATE KEY-----\n",
    ),
    *(
        "eyJ",
        "eyJhbGciOi.",
        "sk-",
        "AKIA",
        "4111 ",
        "4111",
        "LS0tLS1CRUdJTi",
        "Cookie: a=b; ",
        "; a=",
        "Authorization: ",
    ),
    *("mysql -p", "curl -u ", "echo x | ", "<<<", "<<EOF\n", "net user a ", "--password ", "sshpass -p ", "sh -c '"),
    *("Key (token)=(", "[SQL: ", "IDENTIFIED BY '", "password: |\n  ", "machine a login b password "),
)
SHAPES = {
    **{repr(piece): lambda length, piece=piece: piece * (length // len(piece)) for piece in REPEATED},
    "a string without an end": lambda length: 'password="' + "x " * (length // 2),
    "escaped quotes without an end": lambda length: 'password="' + '\\"' * (length // 2),
    "brackets in brackets": lambda length: "password=" + "[" * (length // 2) + "]" * (length // 2),
    "a name and blanks": lambda length: "password" + " " * length + "x",
    "a name and separators": lambda length: "password" + ": " * (length // 2) + "x",
    "a block of YAML": lambda length: "password: |\n" + "  x\n" * (length // 4),
    "a URL without an @": lambda length: f"https://{'a' * (length // 2)}:{'b' * (length // 2)}",
    "a cookie": lambda length: "Cookie: " + "a=b; " * (length // 5),
    "base64": lambda length: BASE64[:length],
    "base64 under a name": lambda length: "password=" + BASE64[:length],
    "lines of base64": lambda length: LINES[:length],
    "a key without an end": lambda length: "-----BEGIN PRIVATE KEY-----\n" + LINES[:length],
    "a key without a head": lambda length: LINES[:length] + "\n-----END PRIVATE KEY-----",
    "three long parts of a JWT": lambda length: ".".join(["eyJ" + BASE64[: length // 3]] * 3),
    "hints in any order": lambda length: "".join(random.Random(length).choices(HINTS, k=length // 3)),
    "commands in any order": lambda length: WORDS[:length],
}


def seconds(text):
    """The CPU time of masking it, at best."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        Masker().mask_text(text)
        spent.append(time.process_time() - began)
        if spent[-1] > 0.5:
            break
    return min(spent)


@pytest.mark.thinned
@pytest.mark.parametrize("shape", SHAPES)
def test_the_time_of_masking_grows_with_the_length_only(shape):
    for _ in range(3):  # a moment of another program's load is not a fault of ours
        short = max(seconds(SHAPES[shape](LENGTH)), 0.001)
        ratio = seconds(SHAPES[shape](4 * LENGTH)) / short
        if ratio < 8:
            return
    pytest.fail(f"four times the length takes {ratio:.1f} times as long")
