"""What the command line says about how lines are read: --map, --only, --anyway."""

from collections.abc import Sequence

from failaware.errors import UsageError
from failaware.ingest.expressions import compiled
from failaware.ingest.format import FIELDS, Format, load_format
from failaware.ingest.reader import ReadingOptions

_FAILURE = "failure"  # which records are failures: what --only says with --map


def reading_options(maps: Sequence[str], only: str | None, *, keep_all: bool) -> ReadingOptions:
    """Return how lines are read.

    Args:
        maps: a file or the name of a known format, and `field=expression`.
        only: an expression; together with `field=expression` it replaces the condition of a format.
        keep_all: whether each line of a wrong input is a reject.

    Raises:
        UsageError: a format cannot be read, or an expression is not JMESPath.
    """
    expressions: dict[str, str] = {}
    first: Format | None = None
    for given in maps:
        field, is_field, expression = given.partition("=")
        if not given.strip():
            raise UsageError("--map needs a file, the name of a format, or FIELD=EXPRESSION")
        if is_field and field in (*FIELDS, _FAILURE):
            expressions[_FAILURE if field == _FAILURE else f"map.{field}"] = expression
            compiled(expression)
        elif is_field and field.replace(".", "").replace("_", "").isalpha():
            raise UsageError(f"--map has no field '{field}'; fields are {', '.join((*FIELDS, _FAILURE))}")
        elif first is not None:
            raise UsageError("--map takes one file; give further fields as --map field=expression")
        else:
            first = load_format(given)
    if only is not None:
        compiled(only)
        if expressions and _FAILURE not in expressions:
            expressions[_FAILURE], only = only, None
    return ReadingOptions(first, expressions, only, keep_all)
