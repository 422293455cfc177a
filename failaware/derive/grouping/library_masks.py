"""Masks for what particular libraries and programs print around an error: repeated input, usage texts, suggestions.

Every pattern is linear, as in `templating.py`.
"""

import re

from failaware.derive.grouping.templating import Mask

MASKS = (
    Mask("postgresql", re.compile(r"(?m)^LINE \d+:.*(?:\n[ \t]*\^[ \t^~]*$)?"), "", "LINE "),
    Mask("statement", re.compile(r"^-{8,}\n[^\x00]{0,1900}?\n-{8,}\s+"), "", "-----"),
    Mask("sqlalchemy", re.compile(r"(?s)\n\[?SQL: .*|\n\(Background on this error at: .*"), "", "\n"),
    Mask(
        "usage",
        re.compile(r"(?s)\n\s*+(?:[Uu]sage|USAGE):\s(?!.*(?:error|ERROR):).*"),
        "",
        "\n",
        digits=False,
        first=re.compile(r"(?:sage|SAGE):\s"),
    ),
    Mask(
        "suggestion",
        re.compile(r"\s{0,20}+\b[Dd]id you mean\b[^\n]*+(?:\n[ \t]++\S[^\n]*+)*+"),
        "",
        "id you mean",
        digits=False,
    ),
    Mask("spring", re.compile(r"\] \[(?:insert|update|delete|select) .*", re.DOTALL), "]", "] ["),
    Mask("jsonschema", re.compile(r"(?s)\n\s*On instance(?=[\[:]).*"), "", "On instance"),
    Mask(
        "pydantic",
        re.compile(r"(?m), input_value=.*?, input_type=\w+(?=\]\n|\]$)|^ +For further information.*"),
        "",
        "\n",
    ),
    Mask("failing row", re.compile(r"(?<=Failing row contains )\([^\n]*"), "<row>", "Failing row"),
    Mask("detail", re.compile(r"(?m)(^[ \t]+[A-Z][\w ]{0,30}:)(?: {2,}|\t)\S[^\n]*"), r"\1 <value>", "\n"),
    Mask(
        "remainder",
        re.compile(
            r"(?m)(data remains|[Uu]nknown string format|\b(?:unable to|cannot|could not) (?:parse|decode|convert)): "
            r"\S[^\n]*$"
        ),
        r"\1: <text>",
        ": ",
        first=re.compile(r"(?:remains|parse|decode|convert|format): "),
    ),
    Mask(
        "remainder",
        re.compile(r"(?m)(\bis not an? (?:valid )?[a-z]{1,30}): \S[^\n]*$"),
        r"\1: <text>",
        "is not a",
    ),
    Mask(
        "entered",
        re.compile(
            r"(?m)\b([Ii]nvalid (?:[A-Za-z]+ ){0,2}(?:"
            r"identifier|string|input|argument|value|date|time|timestamp|number|uuid|UUID|ur[il]|UR[IL]|address|host|path|"
            r"e-?mail|code|locale|zone|timezone|duration|interval|version|currency|country|token|literal|id|ID)s?): "
            r"(?!-|<)[^\s:,;()'\"]{1,80}+(?: [^\s:,;()'\"]{1,80}+){0,3}$"
        ),
        r"\1: <text>",
        "nvalid ",
        digits=False,
        first=re.compile("nvalid [^:]{1,60}: "),
    ),
    Mask(
        "argument",
        re.compile(r"(?m)\b([Ii]nvalid argument: --?\w[\w-]{0,40}+[ =])[^\s<][^\n]{0,80}$"),
        r"\1<text>",
        "nvalid argument: -",
        digits=False,
    ),
    Mask("key value", re.compile(r"(\(\w[\w, ]{0,200}\)=)\([^\n]{1,300}?\)(?= |$)"), r"\1(<value>)", ")=("),
    Mask("call log", re.compile(r"(?m)^\s+- navigating to .*"), "", "navigating"),
    Mask("command", re.compile(r"'\['([\w./-]{1,80})', [^\n\[\]]{0,1900}+\]'"), r"[\1 <arguments>]", "'['"),
    Mask(
        "django", re.compile(r"(header: )'[^']*'(\. You may need to add )'[^']*'"), r"\1'<host>'\2'<host>'", "header: "
    ),
    Mask("duplicate key", re.compile(r"(duplicate key value is )\([^\n]*?\)(?=\.|$)"), r"\1(<value>)", "key value is"),
    Mask(
        "request",
        re.compile(r"\b(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (?!<)\S+ HTTP/\d(?:\.\d)?"),
        r"\1 <path>",
        "HTTP/",
    ),
    Mask("url path", re.compile(r"(?<= url: )/\S*"), "<path>", " url: "),
    Mask(
        "enum constant", re.compile(r"(No enum constant (?:[A-Za-z_]\w*+\.)+)[^\n]*"), r"\1<value>", "No enum constant"
    ),
    Mask(
        "resolver",
        re.compile(r"(?m)^[\w.-]{1,253}+(?=: (?:Name or service|Temporary failure in name|nodename nor))"),
        "<host>",
        "name",
    ),
    Mask("character", re.compile(r"\('.{1,2}' \(code \d+(?: / 0x[0-9a-fA-F]+)?\)\)"), "(<text>)", " (code "),
    Mask(
        "php",
        re.compile(r"(time string )\([^\n]{0,200}?\)( at position \d+ )\(.\)"),
        r"\1(<text>)\2(<text>)",
        "time string",
    ),
    Mask("pod", re.compile(r"\bpod [\w.-]{1,253}?_(\w[\w-]*)\([^)]*\)"), r"pod <pod>_\1", "pod "),
)
"""Values in the messages of particular libraries, mostly repeated input."""
