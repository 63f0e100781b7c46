"""PostgreSQL array literals, to be cast in the statement (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO).

psycopg adapts a list element by element, which took a third of the time that Python spends on a batch.
"""

from collections.abc import Iterable


def integers(values: Iterable[int]) -> str:
    """For `%(name)s::integer[]` or `::bigint[]`."""
    return f"{{{','.join(map(str, values))}}}"


def texts(values: Iterable[str | None]) -> str:
    """For `%(name)s::text[]`; None is NULL."""
    return f"{{{','.join('NULL' if value is None else _quoted(value) for value in values)}}}"


def _quoted(value: str) -> str:
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'
