"""Makes values.schema.json and the table of values in the chart's README from the comments in values.yaml.

A comment above a key describes it; a line ``# @schema {…}`` adds to the JSON schema that follows from the value. Where
keys are listed no others are allowed, so a misspelt one is refused.

    python helm/generate.py            writes both
    python helm/generate.py --check    exit status 1 if one of them is not current
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "orthanc-cluster"
BEGIN = "<!-- from values.yaml by helm/generate.py -->\n"
END = "<!-- end of values -->\n"
_SCHEMA = "@schema "
_QUANTITY = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$"}
_QUANTITIES = {"type": "object", "additionalProperties": {"$ref": "#/$defs/quantity"}}
DEFINITIONS: dict[str, Any] = {
    "quantity": _QUANTITY,
    "resources": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"requests": _QUANTITIES, "limits": _QUANTITIES},
    },
    "strings": {"type": "object", "additionalProperties": {"type": "string"}},
    "objects": {"type": "array", "items": {"type": "object"}},
}
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


class CommentMissing(Exception):
    """A key whose schema does not follow from its value has no @schema."""


@dataclass
class Value:
    """One key of values.yaml."""

    path: str
    default: Any
    description: str
    schema: dict[str, Any]
    children: list["Value"] = field(default_factory=list)

    def full_schema(self) -> dict[str, Any]:
        if self.children:
            return {"type": "object", "additionalProperties": False} | self.schema | {"properties": _schemas(self)}
        if "$ref" in self.schema:
            return self.schema
        if self.default == {} and "additionalProperties" not in self.schema:
            raise CommentMissing(f"{self.path}: what may be in it? Say so with {_SCHEMA.strip()}")
        return {"type": _TYPES[type(self.default)]} | self.schema


def _schemas(value: Value) -> dict[str, Any]:
    return {child.path.rpartition(".")[2]: child.full_schema() for child in value.children}


def read_values(text: str) -> Value:
    """values.yaml as a tree."""
    lines = text.splitlines()
    return Value("", yaml.safe_load(text), "", {}, list(_children(yaml.compose(text), lines, "")))


def _children(node: yaml.Node, lines: list[str], prefix: str) -> Iterator[Value]:
    assert isinstance(node, yaml.MappingNode)
    for key, child in node.value:
        comments = _comments_above(lines, key.start_mark.line, key.start_mark.column)
        schema: dict[str, Any] = {}
        for comment in comments:
            if comment.startswith(_SCHEMA):
                schema |= json.loads(comment.removeprefix(_SCHEMA))
        path = prefix + key.value
        value = Value(
            path,
            yaml.safe_load(yaml.serialize(child)),
            " ".join(comment for comment in comments if not comment.startswith(_SCHEMA)),
            schema,
        )
        is_listed = isinstance(child, yaml.MappingNode) and bool(child.value)
        if is_listed and not {"$ref", "additionalProperties"} & set(schema):
            value.children = list(_children(child, lines, path + "."))
        yield value


def _comments_above(lines: list[str], line: int, column: int) -> list[str]:
    start = line
    mark = " " * column + "#"
    while start > 0 and lines[start - 1].startswith(mark):
        start -= 1
    return [text.strip().removeprefix("#").strip() for text in lines[start:line]]


def schema_text(root: Value) -> str:
    """values.schema.json."""
    # Helm puts `global` into the values of every chart.
    properties = _schemas(root) | {"global": {"type": "object"}}
    document = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart orthanc-cluster",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": DEFINITIONS,
    }
    return json.dumps(document, indent=2) + "\n"


def table_text(root: Value) -> str:
    """The chapter of the README between its two marks."""
    simple = [value for value in root.children if not value.children]
    text = "\n" + _table(simple)
    for value in root.children:
        if value.children:
            text += f"\n### {value.path}\n\n"
            text += f"{value.description}\n\n" if value.description else ""
            text += _table(list(_rows(value)))
    return text + "\n"


def _rows(value: Value) -> Iterator[Value]:
    for child in value.children:
        if not child.children or child.description:
            yield child
        yield from _rows(child)


def _table(values: list[Value]) -> str:
    rows = ["| value | default | meaning |", "| --- | --- | --- |"]
    for value in values:
        default = "" if value.children else f"`{json.dumps(value.default, ensure_ascii=False)}`"
        choices = value.schema.get("enum", [])
        description = value.description + "".join(f" `{choice}`" for choice in choices if choice not in ("",))
        rows.append(f"| `{value.path}` | {default} | {description.strip()} |".replace("|  |", "| |"))
    return "\n".join(rows) + "\n"


def made() -> dict[Path, str]:
    """What each file should contain."""
    root = read_values((CHART / "values.yaml").read_text("utf-8"))
    readme = CHART / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return {
        CHART / "values.schema.json": schema_text(root),
        readme: before + BEGIN + table_text(root) + END + after,
    }


def main() -> None:
    files = made()
    if "--check" in sys.argv[1:]:
        stale = [file.name for file, text in files.items() if not file.exists() or file.read_text("utf-8") != text]
        if stale:
            sys.exit(f"not current: {', '.join(stale)}; run helm/generate.py")
        return
    for file, text in files.items():
        file.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
