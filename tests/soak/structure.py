"""Samples of every format with each node replaced by odd values, for the suite and for long."""

import copy
import io
import itertools
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

from failaware import Store
from failaware.ingest.files import ingest_file
from failaware.ingest.lines import ingest_lines
from failaware.ingest.stream import Input

_ERROR = {"type": "E", "message": "m", "traceback": "Traceback (most recent call last):\n  File\nE: m"}
_ATTRIBUTES = [
    {"key": "exception.type", "value": {"stringValue": "E"}},
    {"key": "exception.message", "value": {"stringValue": "m"}},
    {"key": "exception.stacktrace", "value": {"stringValue": "E: m\n\tat a.B(C.java:1)"}},
    {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"doubleValue": 1.5}]}}},
    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}}},
]
_RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
_RECORD = {
    "timeUnixNano": "1795000000000000000",
    "severityNumber": 17,
    "severityText": "ERROR",
    "eventName": "e",
    "body": {"stringValue": "b"},
    "attributes": _ATTRIBUTES,
    "traceId": "a",
}
_SPAN = {"name": "s", "events": [{"name": "exception", "timeUnixNano": "1", "attributes": _ATTRIBUTES}]}
SAMPLES = {
    "lines": [
        {"type": "a", "payload": {"n": [1]}, "key": "k", "source": "s", "occurred_at": 1.5, "fingerprint": "f"},
        {"type": "a", "error": _ERROR},
        [{"type": "a"}, {"type": "b"}],
    ],
    "cloudevents": [
        {
            "specversion": "1.0",
            "id": "1",
            "source": "/s",
            "type": "a",
            "time": "2026-11-20T10:00:00Z",
            "data": {"n": 1},
        },
        {"specversion": "1.0", "id": "1", "source": "/s", "type": "a", "data_base64": "e30="},
        {
            "specversion": "1.0",
            "id": "1",
            "source": "/s",
            "type": "a",
            "knativeerrorcode": "503",
            "knativeerrordata": "x",
        },
    ],
    "otlp": [
        {"resourceLogs": [{"resource": _RESOURCE, "scopeLogs": [{"scope": {"name": "s"}, "logRecords": [_RECORD]}]}]},
        {"resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [{"scope": {"name": "s"}, "spans": [_SPAN]}]}]},
        {"resourceMetrics": [{}]},
    ],
}
_DEEP, _CHAIN = "[" * 500 + "]" * 500, '{"a":' * 300 + "1" + "}" * 300
ODD = (
    *(
        "null",
        "true",
        "false",
        "0",
        "-1",
        "17",
        "1.5",
        "-0.0",
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "9" * 30,
        "9" * 5_000,
    ),
    *(
        "9223372036854775808",
        "-9223372036854775809",
        '""',
        '" "',
        '"\\u0000"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\u2028\u202e"',
    ),
    *('"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59-12:00"', '"SEVERITY_NUMBER_ERROR2"', '"99999999999999999999"'),
    *(
        "[]",
        "{}",
        "[null]",
        "[[]]",
        "[{}]",
        '{"":null}',
        '{"a":1,"a":2}',
        '{"values":5}',
        '{"intValue":[]}',
        "5 5",
        _DEEP,
        _CHAIN,
    ),
)
"""JSON texts, and some that are none."""

REPORT = (
    '<testsuites><testsuite name="s" timestamp="2026-11-20T10:00:00" hostname="h"><testcase classname="a" name="t" '
    'time="0.1"><failure type="E" message="m">E: m</failure><rerunFailure message="r"><stackTrace>x</stackTrace>'
    '</rerunFailure><system-out>o</system-out><properties><property name="p" value="v"/></properties></testcase>'
    '<testcase name="u"><skipped/></testcase></testsuite></testsuites>'
)
_ODD_XML = (
    "",
    " ",
    "&#9;",
    "&lt;",
    "&#0;",
    "&x;",
    "1e999",
    "nan",
    "-1",
    "9" * 5_000,
    "\u202e",
    "]]>",
    "<a>",
    '"',
    "&",
    "x" * 70_000,
)


def _paths(node, path=()):
    yield path
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, member in members:
        yield from _paths(member, (*path, name))


def _replaced(sample, path, odd):
    mark = "\0here\0"
    if not path:
        return odd
    changed = copy.deepcopy(sample)
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = mark
    return json.dumps(changed).replace(json.dumps(mark), odd)


def variants(form):
    """The samples of a form, each with one node replaced or left out, as bytes."""
    if form == "junit":
        values = [part for part in REPORT.replace("<", '"').replace(">", '"').split('"') if part]
        for value, odd in itertools.product(dict.fromkeys(values), _ODD_XML):
            yield REPORT.replace(value, odd, 1).encode()
        return
    for sample in SAMPLES[form]:
        for path, odd in itertools.product(_paths(sample), ODD):
            yield _replaced(sample, path, odd).encode("utf-8", "surrogatepass")


def _read_lines(store, samples):
    return ingest_lines(store.session, samples, origin="lines")


def _read_reports(store, samples):
    for sample in samples:
        total = ingest_file(store.session, Input(io.BytesIO(sample)), origin="junit")
    return total


READERS = {"lines": _read_lines, "cloudevents": _read_lines, "otlp": _read_lines, "junit": _read_reports}
"""What reads the variants of each form."""


def run(seconds, rng):
    """Read variants of variants: two nodes of a line replaced at once; counts inputs."""
    counts = Counter()
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder, "s.db"), synchronous="NORMAL") as store:
        while time.monotonic() < end:
            form = rng.choice([*SAMPLES])
            sample = rng.choice(SAMPLES[form])
            batch = []
            for _ in range(200):
                paths = [path for path in _paths(sample) if path]
                once = copy.deepcopy(sample)
                holder, path = once, rng.choice(paths)
                for name in path[:-1]:
                    holder = holder[name]
                holder[path[-1]] = rng.choice([None, 5, "x", [], {}, [None], {"values": 5}, float("inf"), True])
                batch.append(
                    _replaced(once, rng.choice([*_paths(once)]), rng.choice(ODD)).encode("utf-8", "surrogatepass")
                )
            done = ingest_lines(store.session, batch, origin=form)
            assert not [reason for reason in done.reasons if "bug in failaware" in reason], done.reasons
            counts["inputs"] += len(batch)
    return counts
