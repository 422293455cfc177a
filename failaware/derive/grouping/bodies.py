"""JSON and dict bodies in messages: some fields identify the failure, all others are data."""

import re

_BODY = re.compile(r"\{(?=\s*(?:['\"][\w $-]{1,60}['\"]|[A-Za-z_]\w{0,60}): ?[^\s:(])")
_COMPLAINTS = re.compile(
    r"""\{(?:\s*['"][\w.\[\]-]{1,60}['"]: ?\[(?:\s*(?:'[^'\n]{1,200}'|"[^"\n]{1,200}"),?)++\s*\],?)++\s*\}"""
)
"""The output of validators: lists of sentences by field."""
_BODY_TOKEN = re.compile(r"""[{}]|"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'(?!\w)""", re.DOTALL)
_BODY_FIELD = re.compile(
    r"""(?P<k>['"]?)\b(?:code|type|errors?|status|reason|message|details?|title|description|method|selector|state|"""
    r"""severity|kind|grpc_status|grpc_message|error_code|errorCode|status_?[cC]ode|msg|loc|field|param)(?P=k): ?"""
    r"""(?:\([^()\n]{0,200}\)|\[[^\[\]\n]{0,200}\]|"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|[\w.-]++)"""
)
"""The fields of a JSON or dict body that identify the failure; all others are data."""
_BODY_TEXT = re.compile(
    r"""(?P<k>['"])(?:event|text|log|[mM]essage|MESSAGE|short_message|textPayload|body|exception|errorMessage|err)"""
    r"""(?P=k): ?(?P<q>['"])(?P<text>(?:(?!(?P=q))[^\\\n]|\\.){1,1000}+)(?P=q)"""
)
"""The fields in which loggers put the message, used if a body has none of the fields above."""
_WORDS = re.compile(r" |^[A-Za-z][A-Za-z_.:-]+$")  # a message or an event name rather than a value


def reduced_bodies(text: str) -> str:
    """Reduce JSON and dict bodies to the fields that identify the failure."""
    if "{" not in text:
        return text
    parts, done = [], 0
    while start := _BODY.search(text, done):
        if complaint := _COMPLAINTS.match(text, start.start()):
            parts.append(text[done : complaint.end()])
            done = complaint.end()
            continue
        end = _body_end(text, start.start())
        fields = [field[0] for field in _BODY_FIELD.finditer(text, start.start(), end)]
        reduced = "{" + ", ".join(fields) + "}" if fields else _body_text(text, start.start(), end)
        parts += [text[done : start.start()], reduced]
        done = end
    return "".join(parts) + text[done:] if parts else text


def _body_text(text: str, start: int, end: int) -> str:
    """The text of a logger's fields, for a body without identifying fields."""
    texts = [field["text"] for field in _BODY_TEXT.finditer(text, start, end)]
    return ", ".join(filter(_WORDS.search, texts)) or "<json>"


def _body_end(text: str, start: int) -> int:
    depth = 0
    for token in _BODY_TOKEN.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return len(text)
