"""Reads error type, message and root cause of a test of a JUnit report from its attributes, and from its text."""

import re

from failaware.capture.exceptions import failure
from failaware.capture.external import failure_of_text
from failaware.capture.record import Recorder
from failaware.capture.root_cause import root_cause
from failaware.capture.stack_lines import split_traceback
from failaware.ingest.functions import go_failure
from failaware.model import ERROR_HERE, Failure

_TYPED = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Failed|Exit|Interrupt|Timeout|Warning)): ?(.*)", re.DOTALL)
_ENDING = re.compile(r"^\S+:\d+: ([A-Za-z_][\w.]*)\Z", re.MULTILINE)  # of a failure as pytest writes it
_PHASE = re.compile(r'\Afailed on (?:setup|teardown) with "(.*)"\Z', re.DOTALL)  # as pytest puts it
_GO_TEST = re.compile(r"^--- FAIL: ", re.MULTILINE)


def failure_of_test(
    test: dict[str, str], problems: list[tuple[str, dict[str, str], str]], recorder: Recorder
) -> Failure:
    """Return the failure of one run: a test may fail, and then fail in its teardown.

    Args:
        test: the attributes of the test.
        problems: the kind, the attributes and the text of each element that says what failed.
        recorder: masks secrets.
    """
    kind, attributes, text = problems[0]
    names = {
        test.get("name", ""),
        *(f"{test.get('classname', '')}{sign}{test.get('name', '')}" for sign in (".", "::")),
    }
    uninformative = {"", "Failed", "failed", *names}  # what some runners write instead of a message
    given = attributes.get("message", "")
    message = "" if given.strip() in uninformative else _PHASE.sub(r"\1", given)
    traceback = split_traceback(text)[1]
    if traceback and not (message and attributes.get("type")):
        return failure_of_text(attributes.get("type", ""), message, traceback, recorder, untyped=kind)
    message = message or _PHASE.sub(r"\1", _from_text(text, uninformative))
    typed = _TYPED.fullmatch(message)
    ending = _ENDING.search(text.rstrip())
    error_type = attributes.get("type") or (typed[1] if typed else ending[1] if ending else kind)
    if typed and typed[1].rpartition(".")[2] == error_type.rpartition(".")[2]:
        message = typed[2]
    stack = "\n\n".join(text for _, _, text in problems if text)
    traceback = stack.replace(f"{error_type}: {message}", ERROR_HERE, 1) if message else stack
    return failure(error_type, message, traceback or None, cause=root_cause(stack), masker=recorder.masker)


def _from_text(text: str, uninformative: set[str]) -> str:
    """Return the first line of a text that says something; of a test of Go, what it says last."""
    if _GO_TEST.search(text):
        return go_failure(text) or ""
    return next((line for line in text.splitlines() if line.strip() not in uninformative), "")
