"""What a traceback tells that comes without its type and message, from the languages that write one."""

import json
import traceback

import pytest

from failaware.ingest.lines import ingest_lines
from tests.conftest import query


def formatted(raises):
    try:
        raises()
    except Exception:
        return traceback.format_exc()


def chained():
    try:
        raise ConnectionError("refused")
    except ConnectionError as error:
        raise RuntimeError("order 17 is not charged") from error


def grouped():
    raise ExceptionGroup("two", [ValueError("a"), KeyError("b")])


JAVA = """Exception in thread "main" java.lang.IllegalStateException: no
second line
\tat a.B.c(B.java:1)
Caused by: java.net.ConnectException: refused
\t... 1 more
"""
NODE = """/app/shop.js:3
    throw new PaymentFailed(`order ${id}`)
    ^

PaymentFailed: order 17
declined
    at charge (/app/shop.js:3:11) {
  [cause]: TypeError [ERR_INVALID_ARG_TYPE]: no
      at pay (/app/pay.js:1:1)
}

Node.js v20.20.2
"""
DOTNET = """System.InvalidOperationException: outer
 ---> System.IO.FileNotFoundException: no file
   at A.B() in /x.cs:line 3
   --- End of inner exception stack trace ---
   at C.D()
"""
HEAD = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n'
CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
PHP = """[20-Nov-2026 10:03:00 UTC] PHP Fatal error:  Uncaught RuntimeException: inner in /app/a b.php:3
Stack trace:
#0 /app/a.php(7): f()
#1 {main}

Next App\\Refused: order 17 in EUR
no in /app/a.php:9
Stack trace:
#0 {main}
  thrown in /app/a.php on line 9
"""
GO = """panic: first [recovered]
\tpanic: main.E{Code:3}
second line

goroutine 18 [running]:
main.main()
\t/src/main.go:9 +0x1d
"""
RUBY = """app.rb:3:in `pay': declined (again) (Card::Declined)
\tfrom app.rb:7:in `block in <main>'
app.rb:2:in `send': inner (RuntimeError)
\tfrom app.rb:3:in `pay'
"""
RUST = """thread 'main' (123) panicked at src/main.rs:4:5:
index out of bounds: the len is 3
second line
stack backtrace:
   0: core::panicking::panic
             at ./library/core/src/panicking.rs:72:14
"""
CASES = {
    "KeyError": (formatted(lambda: {}["k"]), "KeyError", "'k'", None),
    "ZeroDivisionError": (formatted(lambda: 1 / 0), "ZeroDivisionError", "division by zero", None),
    "chained": (formatted(chained), "RuntimeError", "order 17 is not charged", "ConnectionError: refused"),
    "group": (formatted(grouped), "ExceptionGroup", "two (2 sub-exceptions)", "ValueError: a\n+ KeyError: 'b'"),
    "Windows": ("Traceback (most recent call last):\r\n  File x\r\nOSError: gone\r\n", "OSError", "gone", None),
    "Java": (JAVA, "java.lang.IllegalStateException", "no\nsecond line", "java.net.ConnectException: refused"),
    "Java, no message": ("a.NullPointerException\n\tat a.B.c(B.java:1)\n", "a.NullPointerException", "", None),
    "Node.js": (NODE, "PaymentFailed", "order 17\ndeclined", "TypeError [ERR_INVALID_ARG_TYPE]: no"),
    "Node.js, code": ("TypeError [ERR_X]: no\n    at f (a.js:1:1)", "TypeError", "no", None),
    ".NET": (DOTNET, "System.InvalidOperationException", "outer", "System.IO.FileNotFoundException: no file"),
    "one line": ("ValueError: bad\n", "ValueError", "bad", None),
    "empty line": (f"{HEAD}ValueError: a\n\nb\n", "ValueError", "a\n\nb", None),
    "cause with an empty line": (
        f"{HEAD}KeyError: a\n\nb\n{CAUSE}{HEAD}ValueError: c\n",
        "ValueError",
        "c",
        "KeyError: a\n\nb",
    ),
    "SyntaxError": ('  File "a.py", line 1\n    def (:\n        ^\nSyntaxError: bad\n', "SyntaxError", "bad", None),
    "recursion": (
        f"{HEAD}  [Previous line repeated 99 more times]\nRecursionError: deep\n",
        "RecursionError",
        "deep",
        None,
    ),
    "PHP": (PHP, "App\\Refused", "order 17 in EUR\nno", "RuntimeException: inner"),
    "PHP, its trace only": ("E: boom\n\n#0 /a.php(7): f()\n#1 {main}\n", "E", "boom", None),
    "Go": (GO, "panic", "main.E{Code:3}\nsecond line", "panic: first"),
    "Go, a signal": ("panic: nil\n[signal SIGSEGV: x]\n\ngoroutine 1 [running]:\nmain.f()\n", "panic", "nil", None),
    "Go, deadlock": ("fatal error: all asleep\n\ngoroutine 1 [chan receive]:\n", "fatal error", "all asleep", None),
    "Ruby": (RUBY, "Card::Declined", "declined (again)", "RuntimeError: inner"),
    "Ruby 3.4": ("a.rb:3:in 'Shop#pay': no (Failed)\n\tfrom a.rb:9\n", "Failed", "no", None),
    "Rust": (RUST, "panic", "index out of bounds: the len is 3\nsecond line", None),
    "Rust before 1.73": ("thread 'main' panicked at 'boom', src/main.rs:4:5\nnote: run\n", "panic", "boom", None),
    "unknown": ("** (RuntimeError) boom\n    lib/app.ex:3: f/1", "Error", "** (RuntimeError) boom", None),
    "empty": ("\n", "Error", "", None),
}


def record(text, **more):
    return json.dumps({"type": "a", "error": {"traceback": text, **more}})


def otlp(text):
    attributes = [{"key": "exception.stacktrace", "value": {"stringValue": text}}]
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"attributes": attributes}]}]}]})


@pytest.mark.thinned
@pytest.mark.parametrize("form", [record, otlp])
@pytest.mark.parametrize(("text", "error_type", "message", "cause"), CASES.values(), ids=CASES)
def test_a_traceback_alone_tells_type_message_and_cause(store, inspector, form, text, error_type, message, cause):
    done = ingest_lines(store.session, [form(text).encode()], origin="file")
    assert (done.recorded, done.rejected) == (1, 0)
    (attempt,) = inspector.event(1).attempts
    assert attempt.error_type == ("ERROR" if form is otlp and error_type == "Error" else error_type)
    assert (attempt.error_message, attempt.cause) == (message, cause)
    assert (attempt.traceback or "").strip() == text.replace("\r\n", "\n").strip()


def test_what_is_given_is_kept_and_only_what_is_missing_filled_in(store, inspector):
    text = CASES["KeyError"][0]
    for given in ({"type": "Mine"}, {"message": "mine"}, {"type": "Mine", "message": "mine"}):
        ingest_lines(store.session, [record(text, **given).encode()], origin="file")
    recorded = [(a.error_type, a.error_message) for n in (1, 2, 3) for a in inspector.event(n).attempts]
    assert recorded == [("Mine", "'k'"), ("KeyError", "mine"), ("Mine", "mine")]


def test_different_errors_of_one_place_are_different_clusters(store):
    ingest_lines(
        store.session, [record(CASES[name][0]).encode() for name in ("KeyError", "ZeroDivisionError")], origin="file"
    )
    assert query(store, "SELECT count(*) FROM failure_cluster") == [(2,)]


@pytest.mark.parametrize(
    "text",
    ["A: x\n" * 50_000 + "\n  at y", "x" * 200_000 + "\n at y", "a b: c\n" * 50_000, "\n at " * 50_000]
    + [
        "panic: x\n" * 50_000 + "goroutine 1 [",
        "a:1:in `" * 50_000,
        "a in b:1\n#0 " * 50_000,
        "Uncaught A: in " * 50_000,
    ]
    + [
        "\n\nNext A" * 50_000 + "\n#0 ",
        "thread 'a' panicked at '" + "', a:1:1 " * 50_000,
        "a:1:in `b': (" * 600 + "\n",
    ],
)
def test_long_texts_are_no_trouble(store, text):
    assert ingest_lines(store.session, [record(text).encode()], origin="file").recorded == 1
