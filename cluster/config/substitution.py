"""`${NAME}` in the text of a configuration file, replaced before the text is parsed (interop/config.md, section 1)."""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

# A name holds no ':'. A default in quotes loses them and may hold '}'.
_VARIABLE = re.compile(
    r"""\$\{(?P<name>[^:{}"'\s]+)
        (?: :- (?: "(?P<double>[^"]*)" | '(?P<single>[^']*)' | (?P<plain>[^"'}]*) ) )?
        \}""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Expanded:
    """A text with its variables replaced, and the way back to the text that the operator wrote.

    `pieces` are ascending: (offset here, offset in the source, True if copied character by character).
    """

    text: str
    pieces: tuple[tuple[int, int, bool], ...]

    def source_offset(self, offset: int) -> int:
        """Offset in the source of what is at `offset` here; inside a replaced variable: where its `${` is."""
        start, source, copied = self.pieces[bisect_right(self.pieces, offset, key=lambda piece: piece[0]) - 1]
        return source + (offset - start if copied else 0)


def substitute(source: str, environ: Mapping[str, str]) -> Expanded:
    """Replace every variable of `source`, inside and outside JSON strings; an unset one without default is empty.

    The value goes in as it is: whoever puts a quotation mark into it changes the JSON around it, as in Orthanc.
    """
    pieces = [(0, 0, True)]
    text = ""
    copied_to = 0
    for match in _VARIABLE.finditer(source):
        default = next((match[group] for group in ("double", "single", "plain") if match[group] is not None), "")
        text += source[copied_to : match.start()]
        pieces.append((len(text), match.start(), False))
        text += environ.get(match["name"], default)
        copied_to = match.end()
        pieces.append((len(text), copied_to, True))
    return Expanded(text + source[copied_to:], tuple(pieces))
