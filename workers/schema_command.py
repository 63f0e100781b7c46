"""``orthanc-cluster schema``: what the index is, what an upgrade would do, and doing it by hand."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from cluster.config import Settings, load_settings
from cluster.coordinator.by_hand import upgrade_by_hand
from cluster.errors import ConfigurationError, SchemaMismatch
from cluster.schema.abandon import abandon as abandon_upgrade
from cluster.schema.downgrade import downgrade as downgrade_index
from cluster.schema.migration import printed, script
from cluster.schema.online import UpgradeOptions
from cluster.schema.plan import plan as plan_steps
from cluster.schema.progress import progress_of
from cluster.schema.revision import REVISION, UNKNOWN, Finding, Observation, name_of, observe
from cluster.schema.session import direct_connection
from cluster.schema.steps import REVISIONS, steps_between
from cluster.schema.upgrade import upgrade_offline
from workers.schema_report import json_progress, json_steps, print_progress, print_steps
from workers.termination import terminate_like_ctrl_c
from workers.traces import traces
from workers.upgrade_display import UpgradeDisplay

_PATH = click.Path(path_type=Path)


_NAMES = {name_of(revision): revision for revision in REVISIONS}


def _revision_option(*names: str, **attributes: Any) -> Callable[..., Any]:
    """An option whose value is a revision; 0 for the unknown one."""
    return click.option(
        *names, type=click.Choice(list(_NAMES)), callback=lambda ctx, param, value: _NAMES[value], **attributes
    )


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    configuration = click.option(
        "--config", "configuration", type=_PATH, multiple=True, help="Orthanc's JSON: a file or folder."
    )
    return configuration(click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command))


@click.group("schema")
def schema() -> None:
    """Look at the index's revision, or change it."""
    terminate_like_ctrl_c()


@schema.command()
@_common
def status(configuration: Sequence[Path], as_json: bool) -> None:
    """Which revision the index has, and what is left to do; changes nothing."""
    settings = load_settings(configuration)
    name = settings.postgresql.schema_name
    with direct_connection(settings.postgresql) as connection:
        seen = observe(connection, name)
        progress = progress_of(connection, seen)
        steps = plan_steps(connection, name, seen.revision or 0, REVISION, online=True) if _is_older(seen) else ()
    if as_json:
        _print_json(
            schema=name,
            finding=seen.finding.name,
            revision=_json_revision(seen.revision),
            target=progress.target if progress else REVISION,
            phase=progress.phase if progress else None,
            progress=round(progress.fraction, 3) if progress else None,
            node=progress.node if progress else None,
            message=seen.explain(name),
            **(json_progress(progress) if progress else json_steps(steps)),
        )
        return
    click.echo(seen.explain(name))
    if progress:
        click.echo(progress.describe())
        print_progress(progress)
    else:
        print_steps(steps)


@schema.command()
@_revision_option("--to", "target", default=str(REVISION), show_default=True)
@click.option("--offline", is_flag=True, help="Of the way with all nodes stopped.")
@_common
def plan(configuration: Sequence[Path], as_json: bool, target: int, offline: bool) -> None:
    """What a change of revision would do, and about how long it takes; changes nothing."""
    settings = load_settings(configuration)
    name = settings.postgresql.schema_name
    with direct_connection(settings.postgresql) as connection:
        seen = observe(connection, name)
        if seen.revision is None or seen.finding not in (Finding.OLDER, Finding.EXACT):
            raise SchemaMismatch(seen.explain(name))
        _check_way(seen.revision, target)
        steps = plan_steps(connection, name, seen.revision, target, online=not offline)
    if as_json:
        _print_json(schema=name, revision=_json_revision(seen.revision), target=target, **json_steps(steps))
        return
    click.echo(f'Schema "{name}": revision {name_of(seen.revision)} to {target}')
    print_steps(steps)


@schema.command()
@_revision_option("--from", "source", required=True)
@_revision_option("--to", "target", default=str(REVISION), show_default=True)
@_common
def sql(configuration: Sequence[Path], as_json: bool, source: int, target: int) -> None:
    """Print the SQL of an upgrade or downgrade, for psql -v ON_ERROR_STOP=1 -f; opens nothing.

    The PostgreSQL schema is that of --config, or public.
    """
    name = load_settings(configuration).postgresql.schema_name if configuration else "public"
    _check_way(source, target)
    if as_json:
        parts = [{"part": part, "file": file or None, "sql": text} for part, file, text in script(name, source, target)]
        _print_json(schema=name, **{"from": _json_revision(source)}, to=target, script=parts)
        return
    click.echo(printed(name, source, target), nl=False)


@schema.command()
@click.option("--offline", is_flag=True, help="With all nodes stopped, in one transaction.")
@_revision_option("--to", "target", default=str(REVISION), show_default=True)
@_common
def upgrade(configuration: Sequence[Path], as_json: bool, target: int, offline: bool) -> None:
    """Upgrade the index beside running nodes; with --offline all at once or nothing.

    What was interrupted goes on where it ended, in this command or in the next node that starts.
    """
    settings = load_settings(configuration)
    name, node = settings.postgresql.schema_name, settings.cluster.node_name
    if offline:
        with traces(settings, "schema"), direct_connection(settings.postgresql) as connection:
            done = upgrade_offline(connection, name, node, target, _teller(as_json))
    else:
        with traces(settings, "schema"), UpgradeDisplay(quiet=as_json) as display:
            done = upgrade_by_hand(
                settings, target, on_step=display.step, on_progress=display.show, on_wait=display.waits
            )
    _tell_end(settings, as_json, target, done)


@schema.command()
@_common
def abandon(configuration: Sequence[Path], as_json: bool) -> None:
    """Take back what an upgrade has prepared before its switch, beside old Orthanc nodes.

    Refused once the switch is done. What was interrupted goes on when the command is given again.
    """
    settings = load_settings(configuration)
    name, tell = settings.postgresql.schema_name, _teller(as_json)
    options = UpgradeOptions(
        pause=time.sleep, on_step=tell, waiting=lambda who: tell(f"waits for a lock, in the way: {who}")
    )
    with direct_connection(settings.postgresql) as connection:
        revision, taken = abandon_upgrade(connection, name, settings.cluster.node_name, options)
    if as_json:
        _print_json(schema=name, revision=_json_revision(revision), steps=taken)
    elif taken:
        click.echo(f'Schema "{name}" stays at revision {name_of(revision)} (taken away: {", ".join(taken)}).')
    else:
        click.echo(f'Schema "{name}" is at revision {name_of(revision)}; nothing is prepared for another one.')


@schema.command()
@_revision_option("--to", "target", required=True)
@click.option("--discard", is_flag=True, help="Give up rows for which the older revision has no place.")
@_common
def downgrade(configuration: Sequence[Path], as_json: bool, target: int, discard: bool) -> None:
    """Bring the index back to an older revision, with all nodes stopped; all of it or nothing."""
    settings = load_settings(configuration)
    with direct_connection(settings.postgresql) as connection:
        done = downgrade_index(
            connection, settings.postgresql.schema_name, target, discard=discard, on_part=_teller(as_json)
        )
    _tell_end(settings, as_json, target, done)


def _is_older(seen: Observation) -> bool:
    return seen.finding is Finding.OLDER


def _check_way(source: int, target: int) -> None:
    try:
        steps_between(source, target)
    except ValueError as error:
        raise ConfigurationError("--to", str(error)) from error


def _teller(as_json: bool) -> Callable[[str], None]:
    """Progress goes to standard error, so that --json stays JSON."""
    return (lambda part: None) if as_json else (lambda part: click.echo(part, err=True))


def _tell_end(settings: Settings, as_json: bool, target: int, done: list[str]) -> None:
    name = settings.postgresql.schema_name
    if as_json:
        _print_json(schema=name, revision=target, steps=done)
    elif done:
        click.echo(f'Schema "{name}" is at revision {target} now ({", ".join(done)}).')
    else:
        click.echo(f'Schema "{name}" is at revision {target} already.')


def _json_revision(revision: int | None) -> int | str | None:
    return "unknown" if revision == UNKNOWN else revision


def _print_json(**values: Any) -> None:
    click.echo(json.dumps(values, indent=2, ensure_ascii=False))
