"""Everything that reads foreign input: any bytes are parsed, or refused with one of our errors."""

import io
import json
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from failaware import FailawareError, Inspector, Store
from failaware.capture.secrets.masking import Masker
from failaware.derive.grouping.fingerprint import fingerprint
from failaware.derive.grouping.groups import GroupingRules
from failaware.engine.postgres.place import parse
from failaware.ingest.formats.junit import ingest_junit
from failaware.ingest.lines import ingest_lines
from failaware.ingest.stream import Input
from failaware.ledger.export import Export
from failaware.ledger.restore import restore_export
from failaware.read.time_expressions import parse_moment
from failaware.rules import Policy, default_policy
from failaware.text import storable
from tests.capture.secrets import FIRST_SECRETS
from tests.conftest import START
from tests.soak.hostile import LINES

JUNIT = (
    '<testsuites><testsuite name="s" timestamp="2026-11-20T10:00:00" time="0.5"><testcase classname="a" name="t" '
    'time="0.1"><failure type="E" message="m">at &lt;x&gt;</failure><system-out>o</system-out></testcase>'
    '<testcase name="u"><skipped/></testcase></testsuite></testsuites>'
)
GROUPING = '[[rule]]\nevent_type = "a.*"\nerror_type = "E"\nmessage = "no (\\\\w+)"\nfingerprint = "no {1}"\n'
FILTERS = (
    "status:DEAD,SYNCED type:a.b -error:'x' since:2h until:2026-11-20T10:03",
    'severity:HIGH cluster:1 !key:k source:s* retries:>=2 "two words"',
)
MOMENTS = ("2h", "30m ago", "yesterday 14:00", "2026-11-20T10:03:00+01:00", "now", "999999w ago")
PLACES = ("postgresql://user:s%40cret@host:5432/base?schema=mine&sslmode=require", "postgresql:///x?host=/run/pg")


class Parsers:
    """The parsers by name, with a store of their own to write to; `examples` has what each of them reads."""

    def __init__(self):
        self._open = ExitStack()
        folder = Path(self._open.enter_context(tempfile.TemporaryDirectory()))
        self._store = self._open.enter_context(
            Store.open(folder / "store.db", synchronous="NORMAL", clock=lambda: START)
        )
        ingest_lines(self._store.session, [json.dumps(line).encode() for line in LINES], origin="examples")
        self._inspector = self._open.enter_context(Inspector.open(folder / "store.db"))
        exported = [line.encode() + b"\n" for line in Export(self._inspector.db).lines()]
        self._again = self._open.enter_context(Store.open(folder / "again.db", synchronous="NORMAL"))
        restore_export(self._again.session, exported, origin="export")
        self._masker = Masker()
        self.examples = {
            "lines": [json.dumps(line).encode() for line in LINES],
            "junit": [JUNIT.encode()],
            "export": [b"".join(exported)],
            "filter": [text.encode() for text in FILTERS],
            "moment": [text.encode() for text in MOMENTS],
            "policy": [default_policy().to_toml().encode(), b"[default]\nhigh.failed = 3\n"],
            "grouping": [GROUPING.encode()],
            "place": [text.encode() for text in PLACES],
            "secrets": [str(secret.data).encode() for secret in FIRST_SECRETS],
            "message": [b"ValueError: no such file: '/var/x/1.txt' at 0x7f3a", b"id=4f3c-a {'n': 1}\n  at x.py:3"],
        }

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self._open.close()

    def read(self, name, data):
        """Parse bytes; any exception other than our own errors is a bug."""
        with suppress(FailawareError):
            getattr(self, f"_{name}")(data)

    def _lines(self, data):
        ingest_lines(self._store.session, data.splitlines(keepends=True), origin="lines")

    def _junit(self, data):
        ingest_junit(self._store.session, Input(io.BytesIO(data)), origin="junit")

    def _export(self, data):
        restore_export(self._again.session, data.splitlines(keepends=True) or [b""], origin="export")

    def _filter(self, data):
        for ask in (self._inspector.events, self._inspector.clusters):
            with suppress(FailawareError):
                ask(_text(data), limit=1)

    def _moment(self, data):
        assert isinstance(parse_moment(_text(data), now=START), int)

    def _policy(self, data):
        Policy.from_toml(_text(data))

    def _grouping(self, data):
        GroupingRules.from_toml(_text(data))

    def _place(self, data):
        assert parse(_text(data)).schema.isascii()

    def _secrets(self, data):
        text = _text(data)
        masked, hits = self._masker.mask_text(text)
        assert hits or masked == text
        assert not hits or self._masker.may_hold(text)

    def _message(self, data):
        message = storable(_text(data))
        number, template = fingerprint("a", "E", message)
        assert -(2**63) <= number < 2**63
        assert storable(template) == template


def _text(data):
    """As a terminal's arguments come: bytes that are no UTF-8 are lone surrogates."""
    return data.decode("utf-8", "surrogateescape")
