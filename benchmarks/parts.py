"""The option of benchmarks that consist of several parts."""

from collections.abc import Sequence
from typing import Any

import click


def parts_option(*known: str) -> Any:
    """``--parts``: all of them unless told otherwise; the command gets a list, `names`."""

    def chosen(context: click.Context, option: click.Parameter, names: str) -> Sequence[str]:
        wanted = [name for name in names.lower().split(",") if name]
        unknown = set(wanted) - set(known)
        if unknown or not wanted:
            raise click.BadParameter(f"{', '.join(sorted(unknown)) or 'nothing'}; there are {', '.join(known)}")
        return wanted

    return click.option(
        "--parts", "names", default=",".join(known), show_default=True, callback=chosen, help="Only these."
    )
