"""The ensemble of ``coupled_ensemble.py`` on a Slurm cluster, for as long as it takes.

Start it where jobs are submitted, under tmux or as a small job of its own; run it again
when it was stopped. It needs a core or less: all computing is done in jobs, which are
renewed before they end. ``--check`` only says what would be wrong.

Run it: ``uv run python examples/slurm_campaign.py --folder /data/me/climorch
--account ab0123 --partition compute``.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from pathlib import Path

import climorch as co
from climorch.sites.slurm import Manner, SlurmSite
from coupled_ensemble import AEROSOLS, FEEDBACKS, make_workflows


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", required=True, help="seen by all nodes")
    parser.add_argument("--account", default="")
    parser.add_argument("--partition", default="")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--walltime", type=float, default=8 * 3600.0, help="seconds")
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--grid", type=int, default=20, help="degrees")
    parser.add_argument("--poll", type=float, default=60.0, help="seconds")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args(argv)


def site_of(given: argparse.Namespace) -> SlurmSite:
    """Return the nodes that are asked for."""
    return SlurmSite(
        "ensemble",
        folder=given.folder,
        nodes=given.nodes,
        cores=given.cores,
        account=given.account,
        partition=given.partition,
        walltime_s=given.walltime,
        warn_s=min(300.0, given.walltime / 3),
        manner=Manner(poll_s=given.poll, look_s=min(5.0, given.poll)),
    )


def submitted(given: argparse.Namespace) -> co.Campaign:
    """Return the campaign with its members."""
    root = Path(given.folder) / "campaigns"
    projects = [co.Project("example")]
    campaign = co.Campaign("slurm-ensemble", root=root, projects=projects)
    member, _ = make_workflows()
    pairs = itertools.product(FEEDBACKS, AEROSOLS)
    for feedback, aerosol in itertools.islice(pairs, given.members):
        params = {"feedback": feedback, "aerosol": aerosol, "grid_degrees": given.grid}
        name = f"fb{feedback:.1f}-ae{aerosol:.1f}"
        scenario = co.Scenario(name, params=params, project="example")
        campaign.submit(member, scenario=scenario)
    return campaign


def main(argv: list[str] | None = None) -> int:
    """Run it, or go on; return the exit code."""
    given = parsed(argv)
    site = site_of(given)
    faults = site.preflight()
    for fault in faults:
        print(f"{fault.place}: {fault.problem}; {fault.remedy}")
    if faults or given.check:
        return 1 if faults else 0
    # Jobs inherit it: so their nodes find the model, as one that is installed.
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.resolve())
    campaign = submitted(given)
    report = campaign.run(site)
    for job in site.ended:
        print(f"job {job.id}: {job.state.value} {job.reason}".rstrip())
    print(f"finished: {report.finished}")
    return 0 if report.finished else 3


if __name__ == "__main__":
    sys.exit(main())
