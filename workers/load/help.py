"""Help in sections, and the options that several commands of ``load`` have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import click

_PATH = click.Path(path_type=Path)
Command = Callable[..., Any]


class Sectioned(click.Group):
    """A group whose options are listed under headings."""

    _sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "Where to": (
            "target",
            "called_aet",
            "calling_aet",
            "tls_trusted",
            "tls_certificate",
            "tls_key",
            "http_user",
            "http_password_file",
        ),
        "What": ("instances", "size", "files", "scenario", "seed"),
        "How": ("senders", "processes", "same_study", "slow", "duration", "rate_factor", "time_limit"),
        "Several machines, interruptions": ("part", "begin_at", "ledger", "resume"),
        "How it is compared": ("archive", "configuration", "data", "count_orphans", "no_check"),
        "What is left": ("json_file", "report", "junit_file", "threshold", "metrics"),
    }

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Headings in the order of `_sections`, then what has none."""
        records = {each.name: each.get_help_record(ctx) for each in self.get_params(ctx)}
        sections = {title: [records.pop(name, None) for name in names] for title, names in self._sections.items()}
        sections["Others"] = list(records.values())
        for title, rows in sections.items():
            if shown := [row for row in rows if row is not None]:
                with formatter.section(title):
                    formatter.write_dl(shown)
        self.format_commands(ctx, formatter)


def archive_options(command: Command) -> Command:
    """Where what was acknowledged has to be."""
    for option in (
        click.option("--count-orphans", is_flag=True, help="Also count files without a row; walks the storage area."),
        click.option("--data", type=_PATH, help="Folder of an `orthanc-cluster up`, instead of --config."),
        click.option(
            "--config", "configuration", type=_PATH, multiple=True, help="Where database and storage area are."
        ),
        click.option(
            "--archive",
            metavar="URL",
            help="Compare over Orthanc's REST API (http://HOST:PORT), or by C-FIND and C-GET (dicom://HOST:PORT).",
        ),
    ):
        command = option(command)
    return command


def result_options(command: Command) -> Command:
    """What is written, and what is good enough."""
    for option in (
        click.option("--threshold", multiple=True, metavar="NAME=VALUE", help="p99-milliseconds=500 and the like."),
        click.option("--junit", "junit_file", type=_PATH, help="Write the verdict to this XML file, for CI."),
        click.option("--report", type=_PATH, help="Write a page with plots to this HTML file."),
        click.option("--json", "json_file", type=_PATH, help="Write the result to this file."),
    ):
        command = option(command)
    return command
