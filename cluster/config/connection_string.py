"""libpq's two forms of a connection string, without libpq.

PostgreSQL documentation, section 34.1.1 "Connection Strings". Only what is needed here: quoting values, checking the
shape of a ConnectionUri, and finding out what may be told about it. The messages quote nothing of the text, and the
shape is checked narrowly enough that no part of a badly encoded password can pass for a host or a database.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

# libpq ends the credentials at the first '@' that no '/' precedes. If there are any, they must not match as anything
# else, hence the second alternative.
_URI = re.compile(
    r"""postgres(?:ql)?://
        (?: [^@/]* @ | (?! [^@/]* @ ) )
        (?P<hosts> (?: \[[0-9A-Fa-f:.%]+\] | [^\[\]:,/?@]* ) (?: :\d* )?
            (?: , (?: \[[0-9A-Fa-f:.%]+\] | [^\[\]:,/?@]* ) (?: :\d* )? )* )
        (?: / (?P<database>[^?@]*) )?
        (?: \? (?P<parameters> [^=&]+=[^&]* (?: & [^=&]+=[^&]* )* )? )?""",
    re.VERBOSE,
)
_PAIR = re.compile(
    r"""\s* (?P<key>\w+) \s* = \s*
        (?: ' (?P<quoted> (?: [^'\\] | \\. )* ) ' | (?P<bare> (?: [^\s'\\] | \\. )* ) )
        (?= \s | \Z )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Server:
    """The part of a connection string that may appear in a log; empty where libpq's default applies."""

    host: str
    database: str


def quote(value: str) -> str:
    """`value` as libpq wants it after `key=`: in single quotes, with quote and backslash escaped."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def read_connection_string(text: str) -> Server:
    """What `text` connects to, be it a URI or `key=value` pairs.

    Raises ValueError with a message fit for a log if it is neither.
    """
    if "://" in text.partition("=")[0]:
        return _read_uri(text)
    return _read_pairs(text)


def _read_uri(text: str) -> Server:
    match = _URI.fullmatch(text)
    if match is None:
        raise ValueError(
            "must be a PostgreSQL URI such as postgresql://user:password@host:5432/database; "
            "special characters in user and password are written as %XX"
        )
    parameters = dict(parse_qsl(match["parameters"] or "", keep_blank_values=True))
    return Server(
        host=parameters.get("host") or unquote(match["hosts"]),
        database=parameters.get("dbname") or unquote(match["database"] or ""),
    )


def _read_pairs(text: str) -> Server:
    values: dict[str, str] = {}
    position = 0
    while match := _PAIR.match(text, position):
        value = match["quoted"] if match["quoted"] is not None else match["bare"]
        values[match["key"]] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        position = match.end()
    if not values or text[position:].strip():
        raise ValueError("must be a URI (postgresql://...) or a list of key=value pairs (host=... dbname=...)")
    port = values.get("port", "")
    return Server(
        host=values.get("host", "") + (f":{port}" if port else ""),
        database=values.get("dbname", ""),
    )
