"""What of a program's output says why it failed."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failaware.capture.exit_status import TAIL, Ended, describe_end
from failaware.capture.secrets.masking import Masker


def message(err, out=b""):
    return describe_end(Ended(1, 0, 1, out, err), masker=Masker()).error_message


@pytest.mark.parametrize(
    ("err", "says"),
    [
        (b"tar: /x: Cannot open: No such file or directory\ntar: leaving\n", "tar: /x: Cannot open: No such file"),
        (b"fatal: not a git repository\n\n", "fatal: not a git repository"),
        (
            b"Exception in thread main: x\n\tat a.b(c:1)\nCaused by: java.io.IOException: full\n\tat d\n",
            "Caused by: java",
        ),
        (b"\x1b[31merror\x1b[0m: lint\n10 passed, no errors\n", "error: lint"),
        (b"tar: x: Cannot stat\ntar: Exiting with failure status due to previous errors\n", "tar: x: Cannot stat"),
        (b"error: no `x`\nerror: aborting due to 1 previous error\n", "error: no `x`"),
        (
            b"tar: /no: Cannot open: Permission denied\ntar: Error is not recoverable: exiting now\n",
            "Permission denied",
        ),
        (b"tar: Error is not recoverable: exiting now\n", "not recoverable"),
        (
            (
                b'rsync: [sender] change_dir "/x" failed: No such file or directory (2)\n'
                b"rsync error: some files were not transferred (see previous errors) (code 23) at main.c(1338)\n"
            ),
            "change_dir",
        ),
        (
            b"cc: error: no input files\nmake[1]: *** [Makefile:2: a] Error 1\nmake: *** [Makefile:5: all] Error 2\n",
            "cc: error",
        ),
        (
            (
                b"ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.\n\n"
                b"Please make sure you have the correct access rights\nand the repository exists.\n"
            ),
            "port 22: Connection refused",
        ),
        (
            b"npm ERR! code E404\nnpm ERR! 404 Not Found\nnpm ERR! A complete log of this run can be found in: /x",
            "404 Not Found",
        ),
        (b"copying 1 %\rcopying 99 %\r\n", "copying 99 %"),
        (b"ValueError is what I log\nbye\n", "ValueError is what I log"),
        (b"", "exit status 1"),
    ],
)
def test_the_line_that_says_what_is_wrong_is_the_message(err, says):
    assert says in message(err)


def test_without_standard_error_standard_output_speaks():
    assert message(b" \n", b"checking\nFAILED: 3 of 9\n") == "exit status 1: FAILED: 3 of 9"


def test_a_traceback_speaks_although_lines_follow_it():
    err = b'INFO\nTraceback (most recent call last):\n  File "x", line 1, in y\n    z()\nshop.Empty: no stock\n\nbye\n'
    failure = describe_end(Ended(1, 0, 1, b"", err), masker=Masker())
    assert (failure.error_type, failure.error_message) == ("shop.Empty", "no stock")


NODE = b"""node:internal/modules/cjs/loader:1143
  throw err;
  ^

Error: Cannot find module '/x.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1140:15) {
  code: 'MODULE_NOT_FOUND',
  [cause]: TypeError: no
      at pay (/app/pay.js:1:1)
}

Node.js v18.19.0
"""
JAVA = b"""Exception in thread "main" a.NoStock: x
\tat a.b(c:1)
Caused by: java.io.IOException: full
\tat d
"""
PHP = b"""PHP Fatal error:  Uncaught a\\NoStock: no in /a.php:2
Stack trace:
#0 {main}
  thrown in /a.php on line 2
"""


@pytest.mark.parametrize(
    ("err", "raised"),
    [
        (NODE, ("Error", "Cannot find module '/x.js'", "TypeError: no")),
        (b"Error: no\n    at Function._resolve (error:1)\n\nNode.js v18\n", ("Error", "no", None)),
        (b"thread 'main' panicked at src/main.rs:2:5:\nno luck\nnote: run with x\n", ("panic", "no luck", None)),
        (b"panic: out of range\n\ngoroutine 1 [running]:\nmain.main()\n", ("panic", "out of range", None)),
        (JAVA, ("a.NoStock", "x", "java.io.IOException: full")),
        (PHP, ("a\\NoStock", "no", None)),
        (b"a.rb:2:in `f': no (Shop::NoStock)\n\tfrom a.rb:4:in `<main>'\n", ("Shop::NoStock", "no", None)),
        (
            b"Unhandled exception. A.NoStockException: no\n   at A.B() in /x.cs:line 3\n",
            ("A.NoStockException", "no", None),
        ),
    ],
)
@pytest.mark.parametrize("after", [b"", b"\nmake: *** [Makefile:2: all] Error 1\n"])
def test_a_traceback_of_any_language_gives_type_message_and_cause(err, raised, after):
    failure = describe_end(Ended(1, 0, 1, b"", b"checking: no error\n" + err + after), masker=Masker())
    assert (failure.error_type, failure.error_message, failure.cause) == raised


def test_success_is_no_failure_but_one_that_took_too_long_is():
    assert describe_end(Ended(0, 0, 1, b"", b"error"), masker=Masker()) is None
    assert (
        describe_end(Ended(0, 0, 1, limit="5 s"), masker=Masker()).error_message == "not done within 5 s: exit status 0"
    )


@settings(suppress_health_check=[HealthCheck.data_too_large])  # a whole tail is meant to be large
@given(st.binary(max_size=200) | st.binary(min_size=TAIL, max_size=TAIL), st.integers(-64, 255))
def test_any_bytes_and_any_end_are_described(tail, status):
    end = Ended(status, 0, 1, tail, b"Traceback (most recent call last):\n" + tail)
    assert (describe_end(end, masker=Masker()) is None) == (status == 0)


OUTPUTS = tomllib.loads((Path(__file__).parent / "outputs.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_line_that_says_why_a_program_failed(name):
    output = OUTPUTS[name]
    assert (
        message(output["err"].encode(), output.get("out", "").encode()).removeprefix("exit status 1: ")
        == output["says"]
    )
