"""What belongs together: by the message, by the root cause, by the place in the code, by the user's word."""

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware import Handlers, Permanent, Retry, RetryAfter, Worker
from failaware.capture.exceptions import describe
from failaware.cli.main import main
from failaware.derive.grouping.fingerprint import fired, template
from failaware.derive.grouping.groups import GroupingRules, Subject, applied_rules, group, masked_parts
from failaware.errors import UsageError
from failaware.model import AppliedRule, MaskedPart
from tests.conftest import assert_rebuild_changes_nothing
from tests.derive.families import written

NONE = GroupingRules()


def fail(store, error, event_type="job", **options):
    """An event that fails for good with this error; returns its cluster."""
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=1))
    def handler(_event):
        if isinstance(error, BaseException):
            raise error
        error()

    event = store.record(event_type, {}, **options)
    Worker(store, handlers).run(until_idle=True)
    return store.session.read(
        lambda db: db.query(
            "SELECT c.cluster_id, c.error_type, c.template FROM event_state s "
            "JOIN failure_cluster c ON c.cluster_id = s.cluster_id WHERE s.event_id = ?",
            (event.event_id,),
        )
    )[0]


def chained(outer, root):
    def raising():
        try:
            raise root
        except Exception as error:
            raise outer from error

    return raising


def test_the_root_cause_decides(store):
    slow = fail(store, chained(RuntimeError("could not charge order 17"), TimeoutError("no answer in 5 s")))
    assert slow[1:] == ("TimeoutError", "no answer in <duration>")
    assert slow == fail(store, chained(ValueError("bad order"), TimeoutError("no answer in 31 s")))
    assert slow == fail(store, TimeoutError("no answer in 7 s"))
    assert slow != fail(store, chained(RuntimeError("could not charge order 17"), PermissionError("denied")))


def test_an_event_shows_what_caused_its_failure(store, path, capsys):
    fail(store, chained(RuntimeError("could not charge"), TimeoutError("no answer in 5 s")))
    main(["--db", str(path), "event", "1"])
    assert "caused by TimeoutError: no answer in 5 s" in capsys.readouterr().out


def test_an_error_while_handling_another_stands_for_itself(store):
    def careless():
        try:
            raise TimeoutError("no answer")
        except TimeoutError:
            raise KeyError("amount")  # noqa: B904

    assert fail(store, careless)[1:] == ("KeyError", "'amount'")


def test_a_group_is_known_by_its_members_in_any_order_and_number(store):
    one, other = ValueError("row 7 is bad"), ConnectionError("refused")
    both = fail(store, ExceptionGroup("several", [one, other]))
    assert both == fail(store, ExceptionGroup("others", [other, ValueError("row 9 is bad"), one]))
    assert both[2] == "ConnectionError: refused\nValueError: row <n> is bad"
    alone = fail(store, ExceptionGroup("several", [one, ValueError("row 8 is bad")]))
    assert alone[1:] == ("ValueError", "row <n> is bad")
    assert alone == fail(store, one)


def test_the_chain_is_followed_however_it_is_tied():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert describe(first).cause == "ValueError: b"
    deep = ValueError("bottom")
    for depth in range(10_000):
        above = ValueError(f"level {depth}")
        above.__cause__ = deep
        deep = above
    assert describe(deep).cause.startswith("ValueError: level")


def assert_positive(number):
    if number <= 0:
        raise AssertionError


def assert_negative(number):
    if number >= 0:
        raise AssertionError


def test_the_place_tells_apart_what_says_too_little(store):
    positive = fail(store, lambda: assert_positive(0))
    assert positive[2].endswith("in assert_positive (test_grouping.py)")
    assert positive == fail(store, lambda: assert_positive(-1))
    assert positive != fail(store, lambda: assert_negative(1))
    assert fail(store, KeyError(17)) == fail(store, KeyError(18))


def test_a_library_frame_is_not_the_place():
    traceback = (
        'Traceback (most recent call last):\n  File "/app/billing.py", line 3, in charge\n    get()\n'
        '  File "/venv/lib/python3.11/site-packages/httpx/_api.py", line 9, in get\n    x\n⟨error⟩\n'
    )
    assigned = group(Subject("job", "Timeout", "", traceback=lambda: traceback), NONE)
    assert assigned.template == "Timeout in charge (billing.py)"


TRACEBACKS = {
    "python": """Traceback (most recent call last):
  File "/{folder}/cart.py", line {line}, in checkout
    charge()
  File "/{folder}/billing.py", line {line}, in charge
    get()
  File "/venv/lib/python3.11/site-packages/httpx-{line}/_api.py", line {line}, in get
E: message""",
    "javascript": """Error: message
    at get (/{folder}/node_modules/got@{line}/index.js:{line}:3)
    at charge (/{folder}/billing.py:{line}:13)
    at async checkout (/{folder}/cart.py:{line}:3)
    at process.processTicksAndRejections (node:internal/process/task_queues:{line}:5)""",
    "ruby": """/var/lib/gems/3.{line}.0/gems/faraday-2.{line}/lib/get.rb:{line}:in `get': message (E)
\tfrom /{folder}/billing.py:{line}:in `charge'
\tfrom /{folder}/cart.py:{line}:in `checkout'""",
    "go": """goroutine 1 [running]:
panic({{0x1, 0x{line}}})
\t/usr/local/go/src/runtime/panic.go:{line} +0x1d
charge(0xc0000{line}, 0x11)
\t/{folder}/billing.py:{line} +0x1d
checkout(...)
\t/{folder}/cart.py:{line}""",
    "java": """java.lang.IllegalStateException: message
\tat java.base/java.util.ArrayList.get(ArrayList.java:{line})
\tat shop.billing.py.charge(Billing.java:{line})
\tat shop.cart.py$$EnhancerBySpringCGLIB$${line}.checkout(<generated>)
\tat org.springframework.web.Servlet.doGet(Servlet.java:{line})""",
}


@pytest.mark.parametrize("language", TRACEBACKS)
def test_own_frames_decide_where_the_message_says_nothing(language):
    def assigned(message, rules=NONE, **place):
        return group(Subject("job", "E", message, traceback=lambda: TRACEBACKS[language].format(**place)), rules)

    here, elsewhere = {"folder": "app", "line": 7}, {"folder": "srv/release-9", "line": 12}
    for message in ("", "An unexpected error occurred.", "Internal Server Error", "17"):
        own = assigned(message, **here)
        assert own == assigned(message, **elsewhere)
        assert re.search(r" in charge \((shop\.)?billing\.py\)$", own.template)
        assert own.by == "the place in the code, since the message says nothing"
    assert assigned("disk full", **here).template == "disk full"
    by_frames = GroupingRules.from_toml("frames_first = true")
    first = assigned("disk full", by_frames, **here)
    assert first == assigned("disk full", by_frames, **elsewhere)
    assert first.cluster_id == assigned("no route", by_frames, **here).cluster_id
    assert re.sub(r"shop\.", "", first.template) == "in charge (billing.py) < checkout (cart.py)"


def test_frames_first_leaves_what_you_say_and_failures_without_a_traceback_alone():
    rules = GroupingRules.from_toml('frames_first = true\n[[rule]]\nmessage = "slow"\ngroup = "slow"')
    with_frames = Subject("job", "E", "too slow", traceback=lambda: TRACEBACKS["python"].format(folder="a", line=1))
    assert group(with_frames, rules).template == "slow"
    assert group(with_frames._replace(fingerprint="mine"), rules).template == "mine"
    assert group(Subject("job", "E", "disk full"), rules) == group(Subject("job", "E", "disk full"), NONE)
    assert group(Subject("job", "E", "x", cause="OSError: disk full"), rules).template == "disk full"
    with pytest.raises(UsageError, match="frames_first is true or false, not 1"):
        GroupingRules.from_toml("frames_first = 1")


def test_the_place_of_a_root_cause_is_where_it_was_raised():
    text = TRACEBACKS["python"].format(folder="a", line=1) + (
        "\n\nThe above exception was the direct cause of the following exception:\n\n"
        'Traceback (most recent call last):\n  File "/a/main.py", line 3, in main\n⟨error⟩'
    )
    cause = Subject("job", "Wrapped", "job failed", cause="TimeoutError: ", traceback=lambda: text)
    assert group(cause, NONE).template == "TimeoutError in charge (billing.py)"


@pytest.mark.parametrize(
    "line", ["\n", " ", " at a.b(", " at" + ":1" * 250 + "\n", 'File "', "(" * 300 + "\n", "a(" * 200]
)
def test_frames_of_a_hostile_text_are_read_in_bounded_time(line):
    began = time.process_time()
    group(Subject("job", "E", "", traceback=lambda: line * (200_000 // len(line))), NONE)
    assert time.process_time() - began < 0.5


RULES = """
[[rule]]
name = "provider is slow"
type = "payment.*"
error = "*Timeout*"
group = "the provider is slow"

[[rule]]
message = 'tenant (?P<tenant>\\w+)'
split = "tenant"

[[rule]]
traceback = "legacy/"
group = "legacy"

[[rule]]
error = "ValueError"
message = "^exact"
apart = true
"""


def by_rules(error_type, message, event_type="job", **more):
    return group(Subject(event_type, error_type, message, **more), GroupingRules.from_toml(RULES))


def test_a_rule_gathers_under_its_name_whatever_the_error():
    one = by_rules("ReadTimeout", "read 3", "payment.capture")
    assert one.template == "the provider is slow"
    assert one.by == "rule 'provider is slow'"
    assert one[:3] == by_rules("ConnectTimeoutError", "connect", "payment.capture")[:3]
    assert one.cluster_id != by_rules("ReadTimeout", "read 3", "payment.refund").cluster_id, "of one event type"
    assert by_rules("ReadTimeout", "read 3", "mail.send").by == "the message"


def test_a_rule_splits_by_a_part():
    acme, zeta = by_rules("E", "tenant acme is over 9 GB"), by_rules("E", "tenant zeta is over 7 GB")
    assert acme.cluster_id != zeta.cluster_id == by_rules("E", "tenant zeta is over 1 GB").cluster_id
    assert acme.template.endswith("[tenant=acme]")


def test_a_rule_may_read_the_traceback_and_may_keep_apart():
    assert by_rules("E", "x", traceback=lambda: 'File "/app/legacy/a.py"').template == "legacy"
    assert by_rules("ValueError", "exact 1").cluster_id != by_rules("ValueError", "exact 2").cluster_id


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("rule", "is not TOML"),
        ("[other]", "[[rule]] tables and nothing else"),
        ("[[rule]]\ngruop = 'x'", "rule 1: there is no key 'gruop'"),
        ("[[rule]]\nerror = 'x'", "rule 1: name one of group, split and apart, not none"),
        ("[[rule]]\ngroup = 'x'\napart = true", "not group and apart"),
        ("[[rule]]\ngroup = 7", "group is a text, not 7"),
        ("[[rule]]\napart = 'yes'", "apart is true, not 'yes'"),
        ("[[rule]]\ngroup = 'x'\n[[rule]]\ngroup = 'y'\nmessage = '('", "rule 2: message is not a regular expression"),
        ("[[rule]]\nsplit = 'part'\nmessage = 'x'", "split = 'part' needs (?P<part>…) in its message"),
    ],
)
def test_rules_that_make_no_sense_are_refused(toml, problem):
    with pytest.raises(UsageError) as refused:
        GroupingRules.from_toml(toml)
    assert problem in str(refused.value)


@pytest.mark.parametrize("key", ["message", "traceback"])
@pytest.mark.parametrize(
    "expression",
    ["(", "x{99999999999}", "(" * 3_000 + ")" * 3_000, "(?a)(?u)", r"\p{L}", "(?P<x>a)(?P<x>b)", "[z-a]"],
    ids=range(7),
)
def test_no_expression_is_more_than_a_refusal(key, expression):
    with pytest.raises(UsageError, match=f"rule 1: {key} is not a regular expression"):
        GroupingRules.from_toml(f"[[rule]]\napart = true\n{key} = '{expression}'")


def test_the_store_keeps_its_rules_and_groups_by_them_from_then_on(store, tmp_path):
    before = fail(store, TimeoutError("read 3"), "payment.capture")
    store.rebuild(grouping=GroupingRules.from_toml(RULES))
    after = fail(store, ConnectionError("TimeoutLike"), "payment.capture")
    assert before[2] == "read <n>"
    assert after[2] == "TimeoutLike"
    ((name,),) = store.session.read(
        lambda db: db.query("SELECT template FROM failure_cluster WHERE template LIKE 'the provider%'")
    )
    assert name == "the provider is slow"
    store.rebuild()
    assert fail(store, TimeoutError("read 4"), "payment.capture")[2] == "the provider is slow", "the rules stay"


def test_the_callers_word_comes_first(store):
    store.rebuild(grouping=GroupingRules.from_toml(RULES))
    given_by_handler = fail(store, Permanent("tenant acme: 17", fingerprint="card declined"))
    assert given_by_handler[1:] == (None, "card declined")
    assert given_by_handler == fail(store, RetryAfter(5, "later", fingerprint="card declined"))
    assert given_by_handler == fail(store, ValueError("any"), fingerprint="card declined")
    error = ValueError("took 3 s")
    error.failaware_fingerprint = "{{ default }} in Europe"
    assert fail(store, error)[1:] == ("ValueError", "took <duration> in Europe")


def test_a_rebuild_finds_the_same_clusters(store):
    fail(store, chained(RuntimeError("x"), TimeoutError("no answer in 5 s")))
    fail(store, lambda: assert_positive(0))
    fail(store, ValueError("any"), fingerprint="mine")
    fail(store, ExceptionGroup("several", [ValueError("a"), KeyError("b")]))
    everything = "SELECT * FROM failure_cluster ORDER BY cluster_id"
    before = store.session.read(lambda db: db.query(everything))
    store.rebuild()
    assert len(before) == 4
    assert store.session.read(lambda db: db.query(everything)) == before


def test_the_first_to_enter_a_cluster_names_it_in_a_rebuild_too(store):
    for lost in ("17", "550e8400-e29b-41d4-a716-446655440000"):
        assert fail(store, ValueError(f"lost {lost} again"))[2] == "lost <n> again"
    assert_rebuild_changes_nothing(store)


def test_a_file_of_rules_on_the_command_line(store, path, tmp_path, capsys):
    fail(store, TimeoutError("read 3"), "payment.capture")
    rules = tmp_path / "grouping.toml"
    rules.write_text("[[rule]]\nnope = 1")
    assert main(["--db", str(path), "rebuild", "--grouping", str(rules)]) == 2
    assert "there is no key 'nope'" in capsys.readouterr().err
    assert main(["--db", str(path), "rebuild", "--grouping", str(tmp_path / "none")]) == 2
    rules.write_text(RULES)
    assert main(["--db", str(path), "rebuild", "--grouping", str(rules)]) == 0
    capsys.readouterr()
    assert main(["--db", str(path), "explain", "event/1"]) == 0
    shown = capsys.readouterr().out
    assert "grouped by rule 'provider is slow'" in shown
    assert "template  the provider is slow" in shown


def test_explain_shows_message_and_template_and_each_masked_part(store, path, capsys):
    cluster_id, *_ = fail(store, ConnectionError("connect to 10.0.0.1:8443 timed out after 5.02 s"))
    for entity in ("event/1", f"cluster/{cluster_id}"):
        assert main(["--db", str(path), "explain", entity, "--json"]) == 0
        grouped = json.loads(capsys.readouterr().out)["grouped"]
        assert grouped == {
            "by": "the message",
            "text": "connect to 10.0.0.1:8443 timed out after 5.02 s",
            "template": "connect to <ip> timed out after <duration>",
            "masked": [
                {"placeholder": "<ip>", "text": "10.0.0.1:8443"},
                {"placeholder": "<duration>", "text": "5.02 s"},
            ],
            "learned": [],
            "rules": [],
            "split_of": None,
        }


def test_the_fingerprint_of_any_text(capsys, monkeypatch):
    assert main(["fingerprint", "user 17 not found"]) == 0
    shown = capsys.readouterr().out
    assert "template  user <n> not found" in shown
    assert "<n>          17" in shown
    with open("/dev/null", "rb") as empty:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": empty})())
        assert main(["fingerprint", "-", "--error", "KeyError", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["template"] == "KeyError"


@pytest.mark.parametrize("piece", ["x 1 y ", "(1", "(", "a1 ", "1.", "'"])
def test_hostile_text_is_explained_in_no_time(piece):
    text = piece * (1_000_000 // len(piece))
    name = template(text)
    began = time.process_time()
    masked_parts(text, name)
    assert time.process_time() - began < 0.2, "5 ms on an idle machine"
    applied_rules(text)
    assert time.process_time() - began < 1, "40 ms on an idle machine"


def test_the_end_of_a_long_message_is_explained_too():
    text = "start " + "word " * 1_000 + "from 10.0.0.1"
    assert masked_parts(text, template(text)) == (MaskedPart("<ip>", "10.0.0.1"),)


@given(st.text(max_size=300))
def test_masked_parts_come_from_the_message_and_stand_in_the_template(text):
    name = template(text)
    for part in masked_parts(text, name):
        assert part.text in text
        assert part.placeholder in name


def test_an_explanation_lists_each_rule_that_fired_in_order(capsys):
    text = "connect to 10.0.0.1:8443 for user 'ada' timed out: 3 files were read"
    assert applied_rules(text) == (
        AppliedRule("quoted value", (MaskedPart("<text>", "ada"),)),
        AppliedRule("ip", (MaskedPart("<ip>", "10.0.0.1:8443"),)),
        AppliedRule("word with a digit", (MaskedPart("<n>", "3"),)),
        AppliedRule("plural", (MaskedPart("file", "files were"),)),
    )
    assert main(["fingerprint", "--explain", text]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[-3:-1]] == [
        ["ip", "10.0.0.1:8443", "→", "<ip>"],
        ["word", "with", "a", "digit", "3", "→", "<n>"],
    ]
    assert main(["fingerprint", text]) == 0
    assert "fired" not in capsys.readouterr().out
    assert main(["fingerprint", "--explain", "disk is full"]) == 0
    assert capsys.readouterr().out.endswith("no rule fired\n")


def test_an_explanation_shows_what_a_long_message_loses():
    rule = applied_rules("start " + "word " * 1_000 + "end")[0]
    assert rule.rule == "length"
    assert [part.placeholder for part in rule.parts] == [""]


@given(
    st.text(min_size=1, max_size=300).filter(str.strip) | st.sampled_from([s.message for s in written() if s.message])
)
def test_the_rules_that_fired_lead_to_the_template(text):
    *_, (_, _, last) = fired(text)
    assert (last or "<text>") == template(text)
