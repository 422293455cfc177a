"""JUnit reports: real ones of pytest, the shapes of others, hostile ones; each test once, however often it is read."""

import io
import json
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failaware.ingest.files import ingest_file
from failaware.ingest.stream import Input
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.sizes import sized

SUITE = """\
import pytest

def test_adds():
    assert 1 + 1 == 2

def test_counts():
    assert 1 + 1 == 3

def test_pays(record_property):
    record_property("order", 17)
    print("paying")
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError("order 17 is not charged") from error

@pytest.fixture
def broken():
    yield
    raise OSError("cannot clean up")

def test_cleans(broken):
    pass

@pytest.mark.skip(reason="later")
def test_later():
    pass
"""
SUREFIRE = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="shop.CartTest" timestamp="2026-11-20T12:00:00">
  <properties><property name="java.version" value="21"/></properties>
  <testcase name="total" classname="shop.CartTest" time="1,000.5">
    <flakyFailure message="expected 3 but was 4" type="java.lang.AssertionError">
      <stackTrace>java.lang.AssertionError: expected 3 but was 4
\tat shop.CartTest.total(CartTest.java:9)</stackTrace><system-out>try 1</system-out></flakyFailure>
    <system-out>hello</system-out>
  </testcase>
  <testcase name="pays" classname="shop.CartTest" time="0.1">
    <error message="no" type="java.lang.IllegalStateException">java.lang.IllegalStateException: no
Caused by: java.net.ConnectException: refused</error>
    <rerunError message="no" type="java.lang.IllegalStateException">again</rerunError>
  </testcase>
</testsuite>
"""


def ingest(store, data, origin="report.xml"):
    return ingest_file(store.session, Input(io.BytesIO(data)), origin=origin)


def suites(*cases, attributes=""):
    return f'<testsuites><testsuite name="s" {attributes}>{"".join(cases)}</testsuite></testsuites>'.encode()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What pytest writes of a suite that passes, fails, fails to clean up, and skips."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_shop.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    command += ["-o", "junit_logging=all"]
    done = processes.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout
    return (folder / "report.xml").read_bytes()


@pytest.mark.large
def test_the_report_of_pytest_is_read_test_by_test(store, inspector, report):
    done = ingest(store, report)
    assert (done.recorded, done.ignored, done.rejected) == (4, 1, 0)
    events = {}
    for summary in inspector.events():
        events.setdefault(summary.event_type, []).append(inspector.event(summary.event_id))
    (passed,) = events["test_shop.test_adds"]
    assert (passed.sync_status, len(passed.attempts)) == ("SYNCED", 1)
    (failed,) = events["test_shop.test_pays"]
    (attempt,) = failed.attempts
    assert (failed.sync_status, failed.source) == ("DEAD", "junit:pytest")
    assert (attempt.error_type, attempt.error_message) == ("RuntimeError", "order 17 is not charged")
    assert 'raise RuntimeError("order 17 is not charged") from error' in attempt.traceback
    assert '"order":"17"' in failed.event_payload
    assert "paying" in failed.event_payload
    assert events["test_shop.test_counts"][0].attempts[0].error_type == "AssertionError"
    (unclean,) = events["test_shop.test_cleans"]
    assert (unclean.sync_status, unclean.attempts[0].error_type) == ("DEAD", "OSError")
    assert_rebuild_changes_nothing(store)


@pytest.mark.tour
def test_reading_it_again_adds_nothing(store, report):
    ingest(store, report)
    again = ingest(store, report)
    assert (again.recorded, again.known) == (0, 4)
    assert query(store, "SELECT count(*) FROM attempt_log") == [(4,)]


@pytest.mark.tour
def test_tests_that_were_run_again_have_an_attempt_each(store, inspector):
    assert ingest(store, SUREFIRE.encode()).recorded == 2
    flaky, failed = inspector.event(1), inspector.event(2)
    assert (flaky.event_type, flaky.sync_status) == ("shop.CartTest.total", "SYNCED")
    assert [attempt.outcome for attempt in flaky.attempts] == ["FAILED", "SYNCED"]
    assert flaky.attempts[0].error_message == "expected 3 but was 4"
    assert "CartTest.java:9" in flaky.attempts[0].traceback
    assert flaky.attempts[0].finished_at - flaky.attempts[0].started_at == 1_000_500_000
    assert '"system-out":"hello"' in flaky.event_payload
    assert (failed.sync_status, len(failed.attempts)) == ("DEAD", 2)
    assert failed.attempts[0].cause == "java.net.ConnectException: refused"
    assert [attempt.traceback for attempt in failed.attempts][1] == "again"


def test_a_test_that_fails_in_run_after_run_is_one_recurring_cluster(store):
    for day in (20, 21, 22):
        case = '<testcase classname="a" name="t"><failure message="boom" type="E">E: boom</failure></testcase>'
        ingest(store, suites(case, attributes=f'timestamp="2026-11-{day}T12:00:00Z"'))
    assert query(store, "SELECT events, episodes, severity FROM failure_cluster") == [(3, 3, "CRITICAL")]


def test_without_a_time_of_the_suite_the_same_report_is_still_known(store):
    case = '<testcase name="t" time="0.5"><failure>boom</failure></testcase>'
    other = case.replace('"t"', '"u"')
    assert ingest(store, suites(case, other)).recorded == 2
    assert ingest(store, suites(case, other)).known == 2
    assert ingest(store, suites(case.replace("0.5", "0.6"))).recorded == 1


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        (b'<!DOCTYPE a [<!ENTITY a "b">]><testsuite><testcase name="&a;"/></testsuite>', "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>', "document type"),
        (b'<testsuite><testcase name="&undefined;"/></testsuite>', "undefined entity"),
        (b"<html><body/></html>", "the root is <html>"),
        (b"<testsuite><testcase", "unclosed token"),
        (b"<testsuite></testsuites>", "mismatched tag"),
        (b"<testsuite>" * 200, "nested too deeply"),
        (b"<\xff\xfe>", "not well-formed"),
        (b'<?xml version="1.0" encoding="ebcdic"?><testsuite/>', "encoding is not supported"),
        (b'<?xml version="1.0" encoding="johab"?><testsuite/>', "convert it to UTF-8"),
        (b'<?xml version="1.0" encoding="punycode"?><testsuite/>', "encoding is not supported"),
    ],
)
def test_what_is_no_report_is_a_reject_with_the_reason(store, xml, says):
    done = ingest(store, xml)
    assert (done.recorded, done.rejected) == (0, 1)
    assert says in query(store, "SELECT error FROM reject_log")[0][0]


def test_every_test_of_a_report_has_a_key_of_its_own(store):
    """The same test, run again, has the same line, if the report has one."""
    cases = [f'<testcase name="{name}" line="{line}"/>' for line, name in enumerate(("a", "a", "a 2", "a 2"))]
    report = suites(*cases, attributes='timestamp="2026-11-20T10:00:00Z"')
    assert ingest(store, report).recorded == 4
    assert (ingest(store, report).known, ingest(store, report).rejected) == (4, 0)


def test_a_test_in_a_test_and_a_failure_of_the_suite_itself_are_kept(store):
    nested = '<testcase name="outer"><testcase name="inner"/><failure type="E">boom</failure></testcase>'
    assert ingest(store, suites(nested, '<error type="SetUp" message="no database">trace</error>')).recorded == 3
    assert query(
        store, "SELECT e.event_type, sync_status FROM event_log e JOIN event_state USING (event_id) ORDER BY 1"
    ) == [
        ("inner", "SYNCED"),
        ("outer", "DEAD"),
        ("s", "DEAD"),
    ]
    assert query(store, "SELECT error_type, error_message FROM attempt_log WHERE event_id = 3") == [
        ("SetUp", "no database")
    ]


def test_a_test_that_says_too_much_is_kept_without_what_is_largest(store):
    properties = "".join(f'<property name="{number}" value="{"x" * 2_000}"/>' for number in range(900))
    assert ingest(store, suites(f'<testcase name="t"><properties>{properties}</properties></testcase>')).recorded == 1
    ((payload,),) = query(store, "SELECT event_payload FROM event_log")
    assert json.loads(payload)["left_out"] == ["properties"]


def test_what_stands_before_a_mistake_is_recorded(store):
    done = ingest(store, b'<testsuite><testcase name="a"/>\n<testcase name="b"/>\n<testcase name="c"')
    assert (done.recorded, done.rejected) == (2, 1)
    ((line_no, raw),) = query(store, "SELECT line_no, raw FROM reject_log")
    assert (line_no, raw.endswith('<testcase name="c"')) == (3, True)


@pytest.mark.parametrize(
    "code",
    ["iso-8859-1", "windows-1252", "iso-8859-15", "koi8-r", "shift_jis", "euc-jp", "gbk", "gb18030", "big5", "euc-kr"],
)
def test_other_encodings_are_read_too(store, inspector, monkeypatch, code):
    monkeypatch.setattr("failaware.ingest.formats.junit._PART", 7)
    text = "Größe €" if code in ("windows-1252", "iso-8859-15") else "Größe" if code == "iso-8859-1" else "дом 単"
    text = text.encode(code, "ignore").decode(code)
    xml = f'<?xml version="1.0" encoding="{code}"?><testsuite><testcase name="{text}"/></testsuite>'
    assert ingest(store, xml.encode(code)).recorded == 1
    assert inspector.event(1).event_type == text


def test_control_characters_of_what_a_test_printed_are_no_error(store, inspector):
    failed = '<failure message="&#x1b;[31mboom&#27;[0m&#0;">\x1b[31mtrace\x08</failure>'
    assert ingest(store, suites(f'<testcase name="t">{failed}</testcase>')).rejected == 0
    assert inspector.event(1).attempts[0].error_message == "?[31mboom?[0m?"


@pytest.mark.parametrize(
    ("zone", "suite", "case", "minutes_ago"),
    [
        ("UTC", "a", "", 60),
        ("Asia/Tokyo", "a", "", 60),  # as UTC it would be in the future
        ("America/New_York", "pytest", "", 60),
        ("America/New_York", "a", 'status="run"', 60),
        ("America/New_York", "a", "", 60 + 5 * 60),  # jest and bats write UTC
    ],
)
def test_a_time_without_a_zone_is_never_in_the_future(store, monkeypatch, zone, suite, case, minutes_ago):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    now = store.session.clock() // 1_000_000
    local = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now - 3_600))
    xml = f'<testsuite name="{suite}" timestamp="{local}"><testcase name="t" {case}/></testsuite>'
    ingest(store, xml.encode())
    ((occurred_at,),) = query(store, "SELECT occurred_at FROM event_log")
    monkeypatch.undo()
    time.tzset()
    assert now - occurred_at // 1_000_000 == minutes_ago * 60


def test_a_test_may_have_a_time_of_its_own(store):
    case = '<testcase name="t" timestamp="2026-11-17T10:00:00.5+01:00"/><testcase name="u"/>'
    suite = f'<testsuites timestamp="Mon, 16 Nov 2026 14:17:46 GMT"><testsuite>{case}</testsuite></testsuites>'
    ingest(store, suite.encode())
    times = query(store, "SELECT occurred_at FROM event_log ORDER BY event_id")
    assert times == [(1_794_906_000_500_000,), (1_794_838_666_000_000,)]


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_reports_are_told_from_lines_by_content_in_any_encoding(store, inspector, code):
    xml = '<testsuite><testcase name="Größe 単"><failure message="Straße"/></testcase></testsuite>'
    assert ingest(store, b"" + xml.encode(code), origin="-").recorded == 1
    assert inspector.event(1).event_type == "Größe 単"
    assert inspector.event(1).attempts[0].error_message == "Straße"


def test_secrets_are_masked(store, inspector):
    failed = '<failure message="login with password=hunter22 failed"/><system-out>API_TOKEN=abcdef123456</system-out>'
    ingest(store, suites(f'<testcase name="t">{failed}</testcase>'))
    event = inspector.event(1)
    assert "hunter22" not in repr(event)
    assert "abcdef123456" not in repr(event)


@given(st.lists(st.sampled_from(("<a>", "</a>", "<testcase name='x'>", "</testcase>", "<failure>", "</failure>", "x"))))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=sized(15, 60), deadline=None)
def test_any_tags_are_read_or_rejected(store, tags):
    done = ingest(store, b"<testsuite>" + "".join(tags).encode() + b"</testsuite>")
    assert done.recorded + done.known + done.rejected >= ("<testcase name='x'>" in tags)


SHARD = (
    '<testsuite name="unit" timestamp="2026-11-20T10:00:00" hostname="{host}"><testcase classname="a" name="t" '
    'time="{time}"><failure type="E" message="{host}"/></testcase></testsuite>'
)


def test_suites_of_one_name_in_the_same_second_are_two_runs(store, inspector):
    shards = [SHARD.format(host=f"ci{n}", time=n / 10) for n in (1, 2)]
    for xml in (*shards, *shards):
        ingest(store, xml.encode())
    assert [event.attempts for event in inspector.events()] == [1, 1]
    messages = query(store, "SELECT error_message FROM attempt_log ORDER BY attempt_id")
    assert messages == [("ci1",), ("ci2",)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("between", ["", "\n"])
@pytest.mark.parametrize("part", [1, 7, 1_000_000])
def test_reports_that_follow_each_other_are_all_recorded(store, monkeypatch, encoding, between, part):
    monkeypatch.setattr("failaware.ingest.formats.junit._PART", part)
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n'
    shards = [f"{head}<testsuites>\n{SHARD.format(host=f'ci{n}', time=n)}\n</testsuites>{between}" for n in range(3)]
    content = b"".join(xml.encode(encoding) for xml in shards)
    done = ingest(store, content + "\n<!-- > -->\n".encode(encoding).removeprefix(b"\xff\xfe"))
    assert (done.recorded, done.rejected) == (3, 0)
    done = ingest(store, content + "oops".encode(encoding))
    assert (done.recorded, done.known, done.rejected) == (0, 3, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "between", ["<!-- a.xml > -->\n", "\n<?made by?>\n", "\n<!-- <?xml ?> --> <!-- b -->", "\n \n"]
)
@pytest.mark.parametrize("part", [1, 7, 1_000_000])
@pytest.mark.thinned
def test_comments_blanks_and_instructions_before_an_xml_declaration_are_skipped(
    store, monkeypatch, encoding, between, part
):
    monkeypatch.setattr("failaware.ingest.formats.junit._PART", part)
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>\n'
    shards = [f"{head}<testsuites>\n{SHARD.format(host=f'ci{n}', time=n)}\n</testsuites>" for n in range(3)]
    done = ingest(store, b"".join((between.encode(encoding) + shard.encode(encoding)) for shard in shards))
    assert (done.recorded, done.rejected) == (3, 0)
    done = ingest(
        store, b"".join((between.encode(encoding) + shard.encode(encoding)) for shard in shards[:1]) + b"oops"
    )
    assert (done.known, done.rejected) == (1, 1)
    lines = query(store, "SELECT line_no FROM reject_log")
    assert lines == [(1 + (between + shards[0]).count("\n"),)]


@pytest.mark.parametrize("xml", [b"<!-- a --><?xml version='1.0'?>", b"<!-- a --><?xml version='1.0'?><<testsuite/>"])
def test_a_declaration_after_a_comment_does_not_make_a_report_of_what_is_none(store, xml):
    assert ingest(store, xml).rejected == 1


def test_a_test_that_was_run_again_is_one_event(store):
    """Also after other tests; one with the same name in another suite is another test."""
    fail, other = '<testcase name="t"><failure message="boom"/></testcase>', '<testcase name="u"/>'
    first = f'<testsuite name="s">{fail}{other}{fail}<testcase name="t"/></testsuite>'
    report = f'<testsuites>{first}<testsuite name="s2">{fail}</testsuite></testsuites>'.encode()
    assert (ingest(store, report).recorded, ingest(store, report).known) == (3, 3)
    sql = "SELECT s.sync_status, e.event_type FROM event_state s JOIN event_log e USING (event_id) ORDER BY event_id"
    assert query(store, sql) == [("SYNCED", "t"), ("SYNCED", "u"), ("DEAD", "t")]
    assert query(store, "SELECT event_id FROM attempt_log ORDER BY attempt_id") == [(1,), (1,), (1,), (2,), (3,)]
    assert_rebuild_changes_nothing(store)


@pytest.mark.parametrize(
    ("name", "tests", "attempts"),
    [("", "PP", [0, 0]), ("", "FP", [1, 0]), ("", "PF", [0, 1]), ("", "FF", [1, 1]), ("jest tests", "FP", [1, 0])],
)
def test_tests_of_one_name_are_runs_of_one_test_only_after_a_failure(store, name, tests, attempts):
    """And not in reports of jest, which has the retries of a test in one element."""
    outcome = {"P": '<testcase name="t"/>', "F": '<testcase name="t"><failure message="boom"/></testcase>'}
    suite = f'<testsuite name="s">{"".join(outcome[each] for each in tests)}</testsuite>'
    report = f'<testsuites name="{name}">{suite}</testsuites>'.encode()
    events = 1 if tests[0] == "F" and not name else 2
    assert (ingest(store, report).recorded, ingest(store, report).known) == (events, events)
    sql = "SELECT error_type IS NOT NULL FROM attempt_log ORDER BY event_id, attempt_id"
    assert [int(failed) for (failed,) in query(store, sql)] == attempts


def test_of_a_very_large_suite_not_all_tests_are_held(store, monkeypatch):
    monkeypatch.setattr("failaware.ingest.formats.junit._MAX_HELD", 10)
    report = suites(*(f'<testcase name="t{number % 15}"/>' for number in range(30)))
    assert (ingest(store, report).recorded, ingest(store, report).known) == (30, 30)


GO = """<failure message="Failed" type="">=== RUN   TestDiscount
    cart_test.go:4: got 9, want 8
--- FAIL: TestDiscount (0.00s)
</failure>"""
PHPUNIT = """<error type="RuntimeException">CartTest::testThrows
RuntimeException: order 17 has no address

/x/CartTest.php:5</error>"""
JAVA = """<error>java.lang.IllegalStateException: declined
	at a.B.c(B.java:1)
Caused by: java.io.IOException: disk full
	at a.D.e(D.java:2)
</error>"""
NODE = """<failure message="failed">order is charged
TypeError: card is declined
    at pay (/srv/shop/p.js:2:23)
</failure>"""
PYTHON = """<error message="">Traceback (most recent call last):
  File "/srv/shop.py", line 2, in pay
    raise ConnectionError("no answer")
ConnectionError: no answer
</error>"""


@pytest.mark.parametrize(
    ("problem", "raised"),
    [
        (GO, ("failure", "cart_test.go:4: got 9, want 8", None)),
        (PHPUNIT, ("RuntimeException", "order 17 has no address", None)),
        (JAVA, ("java.lang.IllegalStateException", "declined", "java.io.IOException: disk full")),
        (NODE, ("TypeError", "card is declined", None)),
        (PYTHON, ("ConnectionError", "no answer", None)),
    ],
)
def test_what_failed_is_read_from_the_text_where_the_attributes_do_not_say_it(store, inspector, problem, raised):
    test = f'<testcase name="testThrows" classname="CartTest">{problem}</testcase>'
    ingest(store, f'<testsuite name="a" timestamp="2026-11-20T10:00:00">{test}</testsuite>'.encode())
    (attempt,) = inspector.event(1).attempts
    assert (attempt.error_type, attempt.error_message, attempt.cause) == raised
