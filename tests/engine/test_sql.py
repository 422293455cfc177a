"""Our SQL as text: what the oldest PostgreSQL that we promise would refuse; and fragments that differ by engine."""

import ast
import re

import pytest

from tests.test_house import MODULES, tree_of

_SOURCE = re.compile(r"\b(?:FROM|JOIN)\s*\(")
_ALIAS = re.compile(r"\s*(?:AS\s+)?(?!(?:CROSS|GROUP|HAVING|JOIN|LEFT|LIMIT|ON|ORDER|SET|UNION|WHERE)\b)[A-Za-z_{]")


def texts(tree):
    """Each string of a module as it is put together; placeholders are {}."""

    def whole(node):
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else ""
        return "".join("{}" if isinstance(part, ast.FormattedValue) else whole(part) for part in node.values)

    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and id(node) not in parts):
            yield whole(node)


def without_alias(sql):
    """Each subquery in FROM that has no name of its own: PostgreSQL takes it since 16."""
    for call in _SOURCE.finditer(sql):
        depth, end = 1, call.end()
        while depth and end < len(sql):
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            end += 1
        if depth or not _ALIAS.match(sql, end):
            yield sql[call.start() : end]


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("SELECT 1 FROM (SELECT (1)) AS x", True),
        ("SELECT 1 FROM (SELECT 1) x WHERE true", True),
        ("SELECT 1 FROM a LEFT JOIN (SELECT 1) {} ON true", True),
        ("SELECT 1 FROM (SELECT 1)", False),
        ("SELECT 1 FROM (SELECT 1) WHERE true", False),
        ("SELECT 1 FROM (SELECT 1 FROM (SELECT 1 LIMIT 1)) AS x", False),
        ("SELECT 1 FROM a CROSS JOIN (SELECT 1)\nORDER BY 1", False),
        ("SELECT 1 FROM (", False),
    ],
)
def test_what_has_a_name_is_told(sql, named):
    assert (not list(without_alias(sql))) == named


@pytest.mark.large
def test_every_subquery_has_a_name():
    files = {file for path in MODULES.values() for file in path.parent.glob("*.sql")}
    sources = {file.name: [re.sub(r"--.*", "", file.read_text(encoding="utf-8"))] for file in files}
    sources |= {module: texts(tree_of(module)) for module in MODULES}
    assert [(name, call) for name, sql in sources.items() for text in sql for call in without_alias(text)] == []


def test_fragments_of_a_dialect_say_the_same_on_both_engines(store):
    values = ["'a,(\"'", "1", "CAST(NULL AS TEXT)", "'é\\x'"]

    def ask(db):
        array, object_ = db.dialect.json_array(values), db.dialect.json_object(dict(zip("abcd", values, strict=True)))
        return db.query(f"SELECT {array}, {object_}, {db.dialect.bytes_of(values[3])}")

    array = '["a,(\\"",1,null,"é\\\\x"]'
    assert store.session.read(ask) == [(array, '{"a":"a,(\\"","b":1,"c":null,"d":"é\\\\x"}', "é\\x".encode())]
