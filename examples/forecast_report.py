"""A report for those who gave the hours: what was used, what is to come.

Reads the journal of the main job, ``coupled_ensemble.py``: run that first. Plans a
second ensemble of the same workflow, a member each week from next month on, forecasts
it from what the first one's segments took, and prints the report with its ranges.

Run it: ``uv run python examples/forecast_report.py``.
"""

from __future__ import annotations

import argparse
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import climorch as co
from climorch.forecast import Activity, Power
from coupled_ensemble import AEROSOLS, FEEDBACKS, make_workflows

PROJECT = "example"
# Other values than the first ensemble has.
SHIFT = 0.2
WATTS_PER_NODE = 350.0


def planned(members: int, until: int, grid: int) -> list[Activity]:
    """Plan members of a second ensemble, one a week; each may come to nothing."""
    member, _ = make_workflows(until)
    begin = datetime.now(UTC) + timedelta(days=30)
    pairs = list(itertools.product(FEEDBACKS, AEROSOLS))
    return [
        Activity(
            workflow=member,
            scenario=co.Scenario(
                f"second-fb{feedback + SHIFT:.1f}-ae{aerosol:.1f}",
                params={
                    "feedback": feedback + SHIFT,
                    "aerosol": aerosol,
                    "grid_degrees": grid,
                },
                project=PROJECT,
            ),
            start=begin + timedelta(weeks=number),
            probability=0.9,
        )
        for number, (feedback, aerosol) in enumerate(pairs[:members])
    ]


def main() -> None:
    """Forecast, report, print; write it down where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("checkpoints"))
    parser.add_argument("--members", type=int, default=6, help="to be planned, 1 to 6")
    parser.add_argument("--until", type=int, default=2100, help="end of the futures")
    parser.add_argument("--grid", type=int, default=4, help="degrees: 4, 6, 10, 20")
    parser.add_argument("--worlds", type=int, default=10)
    parser.add_argument("--netcdf", type=Path, help="where to write it, too")
    options = parser.parse_args()
    campaign = co.Campaign(
        "coupled-ensemble",
        root=options.root,
        projects=[co.Project(PROJECT, institution="climorch")],
        policies=co.Policies(checkpointing=co.EveryWall(seconds=10)),
    )
    if not campaign.status().simulations:
        raise SystemExit("run examples/coupled_ensemble.py on this root first")
    power = Power(watts_per_node=WATTS_PER_NODE)
    forecast = campaign.forecast(
        months=3,
        plan=planned(options.members, options.until, options.grid),
        seeds=options.worlds,
        power=power,
    )
    report = campaign.report(power=power, forecast=forecast)
    print(report.to_markdown())
    if options.netcdf is not None:
        report.to_netcdf(options.netcdf)


if __name__ == "__main__":
    main()
