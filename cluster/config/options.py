"""What all option models share: frozen, strict, silent about values.

The key of an option (`IndexConnectionsCount`) is the validation alias of its field (`index_connections_count`). Code
may build a model by field names; a configuration file can only use the keys.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cluster.errors import ConfigurationError


def _unicode(text: str) -> str:
    """JSON and the environment can both carry half a surrogate pair, which nothing else takes."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must be valid Unicode")
    return text


def _printable(text: str) -> str:
    if any(character < " " or character == "\x7f" for character in text):
        raise ValueError("must not contain control characters")
    return _unicode(text)


def _secret(secret: SecretStr) -> SecretStr:
    if "\0" in _unicode(secret.get_secret_value()):
        raise ValueError("must not contain a NUL character")
    return secret


def _some_path(path: Path) -> Path:
    _printable(str(path))
    if path == Path():
        raise ValueError("must not be empty")
    return path


Text = Annotated[str, AfterValidator(_printable)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
# Not strict: a path is text in the configuration.
# Of a folder or of a file.
Folder = Annotated[Path, Field(strict=False), AfterValidator(_some_path)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Options(BaseModel):
    """A group of options. Wrong types are refused rather than converted, values never appear in an error."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def by_key(cls) -> dict[str, FieldInfo]:
        """The fields by their key in the configuration; a field without key is not read from there."""
        return {
            field.validation_alias: field
            for field in cls.model_fields.values()
            if isinstance(field.validation_alias, str)
        }

    def with_paths_below(self, base: Path) -> Self:
        """The same with relative paths starting at `base`."""
        return self.model_copy(
            update={
                name: base / value for name in type(self).model_fields if isinstance(value := getattr(self, name), Path)
            }
        )


Model = TypeVar("Model", bound=Options)


def validated(model: type[Model], values: Any, section: str = "", *, by_name: bool = False) -> Model:
    """`values` as a `model`; `section` is the key that holds them, empty for top-level options.

    Raises ConfigurationError for the first thing that is wrong, whose path is `section.Key`.
    """
    if not isinstance(values, Mapping):
        raise ConfigurationError(section, "must be an object")
    try:
        return model.model_validate(dict(values), by_alias=True, by_name=by_name)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_context=True, include_input=False)[0]
    # Raised here, not in the handler: pydantic's exception carries the values, passwords among them.
    raise ConfigurationError(_path(section, first["loc"]), _reason(first, model))


def _path(section: str, location: tuple[int | str, ...]) -> str:
    path = section
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")


def _reason(error: ErrorDetails, model: type[Options]) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return _unknown(str(error["loc"][-1]), model)
        case "int_type":
            return "must be a whole number"
        case "bool_type":
            return "must be true or false"
        case "string_type" | "path_type":
            return "must be text"
        case "mapping_type" | "dict_type":
            return "must be an object"
        case "list_type" | "tuple_type":
            return "must be an array"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "string_too_short":
            return f"must have at least {context['min_length']} characters"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "literal_error":
            return f"must be one of {context['expected']}"
        case "value_error":
            return str(context["error"])
    return error["msg"]


def _unknown(key: str, model: type[Options]) -> str:
    """Spelling alone is compared: case is what people get wrong most."""
    known = {name.lower(): name for name in model.by_key()}
    close = difflib.get_close_matches(key.lower(), known, n=1)
    return "unknown option" + (f"; did you mean {known[close[0]]}?" if close else "")
