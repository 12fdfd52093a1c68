"""What if? The main job's campaign on clusters that do not exist.

Submits the ensemble of ``coupled_ensemble.py``, runs none of it, and asks how long
it would take with a real model's segments on four nodes, on eight, on three, with
a day of maintenance, and on nodes that fail all the time. Months of virtual time
take seconds, and nothing is written.

Run it: ``uv run python examples/rehearse.py``.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import climorch as co
from climorch.twin.costs import Amdahl, Costs, Overheads
from climorch.twin.hazards import Absence, Failures
from coupled_ensemble import AEROSOLS, FEEDBACKS, make_workflows

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S

# Nobody has run the real model yet, so these are guesses: seconds of a segment on the
# nodes that a stage asks for, and the share of them that more nodes do not shorten.
GUESSES = {
    "spinup": Amdahl(seconds=6 * HOUR_S, serial=0.05),
    "atmosphere": Amdahl(seconds=3 * HOUR_S, serial=0.05),
    "ocean": Amdahl(seconds=2 * HOUR_S, serial=0.1),
    "land": Amdahl(seconds=0.5 * HOUR_S, serial=0.3),
}

FOUR = co.TwinSite(
    nodes=4,
    costs=Costs(
        stages={
            (workflow, stage): cost
            for workflow in ("member", "projection")
            for stage, cost in GUESSES.items()
        },
        noise_cv=0.1,
    ),
    overheads=Overheads(checkpoint_s=120.0, stall_s=5.0, restore_s=180.0),
    failures=Failures(mtbf_s=180 * DAY_S),
)


def sites() -> Iterator[tuple[str, co.TwinSite]]:
    """Yield what is tried, each with its name."""
    yield "4 nodes", FOUR
    yield "8 nodes", replace(FOUR, nodes=8)
    yield "3 nodes", replace(FOUR, nodes=3)
    day = Absence(start_s=5 * DAY_S, stop_s=6 * DAY_S, notice_s=2 * DAY_S)
    yield "4, a day off", replace(FOUR, absences=(day,))
    yield "4, bad ones", replace(FOUR, failures=Failures(mtbf_s=5 * DAY_S))


def submitted(members: int) -> co.Campaign:
    """Return a campaign with the members of the ensemble, not started."""
    campaign = co.Campaign("what-if", projects=[co.Project("example")])
    member, _ = make_workflows()
    pairs = list(itertools.product(FEEDBACKS, AEROSOLS))
    for feedback, aerosol in pairs[:members]:
        params = {"feedback": feedback, "aerosol": aerosol, "grid_degrees": 20}
        scenario = co.Scenario(
            f"fb{feedback:.1f}-ae{aerosol:.1f}", params=params, project="example"
        )
        campaign.submit(member, scenario=scenario)
    return campaign


def main() -> None:
    """Rehearse on every site and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=6, help="1 to 6")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    campaign = submitted(options.members)
    print(f"{'site':<14}{'days to the end':>18}{'used':>7}{'lost h':>8}{'moved':>7}")
    for name, site in sites():
        found = campaign.rehearse(site, until=timedelta(days=365), seeds=options.seeds)
        ends = [
            (found.end(q).timestamp() - found.begin_s) / DAY_S for q in (0.1, 0.5, 0.9)
        ]
        dataset = found.to_xarray()
        lost = dataset["lost_s"].sum("simulation").median().item() / HOUR_S
        moved = dataset["interruptions"].sum("simulation").median().item()
        print(
            f"{name:<14}{f'{ends[1]:.1f} ({ends[0]:.1f}-{ends[2]:.1f})':>18}"
            f"{found.utilisation():7.0%}{lost:8.1f}{moved:7.0f}"
        )
    print("Medians over the seeds, in brackets P10 and P90; used: committed work over")
    print("node-time that was up; lost: computing done again, in all.")


if __name__ == "__main__":
    main()
