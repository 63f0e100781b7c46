"""``orthanc-cluster load scenarios``: those that come with the package."""

import click

from cluster.errors import ConfigurationError
from workers.load.scenario import SCENARIOS, known_scenarios


@click.command("scenarios")
@click.argument("name", required=False)
def scenarios(name: str | None) -> None:
    """List the scenarios that `--scenario NAME` knows, or print one, to begin with for one's own."""
    names = known_scenarios()
    if name is None:
        width = max(map(len, names))
        for each in names:
            first, *_ = (SCENARIOS / f"{each}.yaml").read_text("utf-8").splitlines()
            click.echo(f"{each:{width}}  {first.removeprefix('#').strip()}")
        return
    if name not in names:
        raise ConfigurationError("NAME", f"{name!r} is none of {', '.join(names)}")
    click.echo((SCENARIOS / f"{name}.yaml").read_text("utf-8"), nl=False)
