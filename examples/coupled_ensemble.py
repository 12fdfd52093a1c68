"""A coupled ensemble on real data: spin-up, history, three futures per member.

Six members of an energy-balance climate (two unknowns: climate feedback and
aerosol strength) are spun up for 40 years, run through 1850-2014 with coupled
atmosphere, ocean and land, scored against HadCRUT5, and branched into three
SSP projections to 2100. Half-way one node is killed on purpose.

Run it: ``uv run python examples/coupled_ensemble.py``. Run it again: it says
that all is done. Kill it and run it again: it goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import os
import signal
import time
from pathlib import Path

import climorch as co
import physics

FUTURES = ("ssp126", "ssp245", "ssp585")
FEEDBACKS = (1.2, 1.6, 2.0)
AEROSOLS = (0.7, 1.0)
SEGMENT = "30YS"


def add_components(
    wf: co.Workflow, span: co.Span, *, after: tuple[str, ...], branched: bool
) -> None:
    """Declare atmosphere, ocean and land; they exchange once a segment."""
    # Latitudes in two chunks, so that ocean and land use both nodes of a lease.
    chunks = {"lat": 23}
    wf.stage(
        "atmosphere",
        physics.atmosphere,
        init=None if branched else physics.init_atmosphere,
        span=span,
        reads={"ocean": co.PREVIOUS, "land": co.PREVIOUS},
        after=after,
    )
    for name, step, init in (
        ("ocean", physics.ocean, physics.init_ocean),
        ("land", physics.land, physics.init_land),
    ):
        wf.stage(
            name,
            step,
            init=None if branched else init,
            span=span,
            reads={"atmosphere": co.SAME},
            after=after,
            chunks=chunks,
            resources=co.Resources(nodes=1) if name == "ocean" else None,
        )


def make_workflows(until: int = 2100) -> tuple[co.Workflow, co.Workflow]:
    """Return the members' workflow and the template of their projections."""
    future = co.Workflow("projection")
    add_components(
        future,
        co.Span("2015-01-01", f"{until}-01-01", every=SEGMENT, calendar="noleap"),
        after=(),
        branched=True,
    )
    member = co.Workflow("member", templates=[future])
    member.stage(
        "spinup",
        physics.spinup,
        init=physics.init_spinup,
        span=co.Span("1810-01-01", "1850-01-01", every="20YS", calendar="noleap"),
    )
    add_components(
        member,
        co.Span("1850-01-01", "2015-01-01", every=SEGMENT, calendar="noleap"),
        after=("spinup",),
        branched=False,
    )
    member.rule("branch", when="atmosphere", then=branch)
    return member, future


def branch(committed: co.Committed) -> list[co.AddSimulation]:
    """Ask for the three futures of a member that has reached 2015."""
    scenario = committed.scenario
    return [
        co.AddSimulation(
            template="projection",
            scenario=co.Scenario(
                f"{scenario.name}-{name}",
                params={**scenario.params, "scenario": name},
                project=scenario.project,
            ),
        )
        for name in FUTURES
    ]


def kill_a_node(campaign: co.Campaign, site: co.LocalSite, members: int) -> str | None:
    """Kill a node that computes, once half of all segments are committed."""
    status = campaign.status()
    # The projections are not known at first: count them beforehand.
    known = sum(s.segments for s in status)
    expected = max(known, members * (2 + 3 * 6 + len(FUTURES) * 3 * 3))
    if sum(s.committed for s in status) < expected / 2:
        return None
    running = [s for s in status if s.status == "running" and s.computed > s.committed]
    # Where it hurts most.
    for s in sorted(running, key=lambda s: -s.exposure_s):
        for node in campaign.explain(s.simulation).factors["nodes held"]:
            pid = site.pid(node)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                return f"{node} of {s.simulation}"
    return None


def show(campaign: co.Campaign, seconds: float, killed: str | None) -> None:
    """Print one line per member and what the whole took and lost."""
    status = campaign.status()
    print(f"{'member':<16}{'RMSE K':>8}{'bias K':>8}{'corr':>6}", end="")
    print("".join(f"{f'{name} K':>10}" for name in FUTURES), end="")
    print(f"{'node-h':>9}{'ckpts':>7}{'lost s':>8}")
    for member in [s for s in status if s.workflow == "member"]:
        history = campaign.results(member.simulation, "atmosphere")
        skill = physics.score_against_hadcrut(history)
        base = float(history["ts_global"].isel(time=slice(0, 51)).mean())
        family = [s for s in status if s.simulation.startswith(member.simulation)]
        print(
            f"{member.simulation:<16}{skill.rmse_kelvin:8.3f}{skill.bias_kelvin:8.3f}"
            f"{skill.correlation:6.2f}",
            end="",
        )
        for name in FUTURES:
            future = campaign.results(f"{member.simulation}-{name}", "atmosphere")
            last = float(future["ts_global"].isel(time=slice(-10, None)).mean())
            print(f"{last - base:10.2f}", end="")
        print(
            f"{sum(s.node_hours for s in family):9.4f}"
            f"{sum(s.checkpoints for s in family):7d}"
            f"{sum(s.lost_s for s in family):8.1f}"
        )
    print("RMSE, bias, correlation: global mean against HadCRUT5, 1850-2014, relative")
    print("to 1850-1900; futures: 2090-2099 relative to the same. Idealised model,")
    print("constants set by hand, scored in-sample.")
    if killed is not None:
        lost = sum(s.lost_s for s in status)
        print(f"Killed on purpose: {killed}; {lost:.1f} s of compute were done again.")
    print(f"{len(tuple(status))} simulations, {seconds:.0f} s.")


def main() -> None:
    """Run the ensemble, or what is left of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("checkpoints"))
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--keep-nodes", action="store_true", help="kill none")
    parser.add_argument("--members", type=int, default=6, help="1 to 6")
    parser.add_argument("--until", type=int, default=2100, help="end of the futures")
    parser.add_argument("--grid", type=int, default=4, help="degrees: 4, 6, 10, 20")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    begin = time.monotonic()
    campaign = co.Campaign(
        "coupled-ensemble",
        root=options.root,
        projects=[co.Project("example", institution="climorch")],
        policies=co.Policies(checkpointing=co.EveryWall(seconds=10)),
    )
    member, _ = make_workflows(options.until)
    pairs = list(itertools.product(FEEDBACKS, AEROSOLS))
    for feedback, aerosol in pairs[: options.members]:
        scenario = co.Scenario(
            f"fb{feedback:.1f}-ae{aerosol:.1f}",
            params={
                "feedback": feedback,
                "aerosol": aerosol,
                "grid_degrees": options.grid,
            },
            project="example",
        )
        campaign.submit(member, scenario=scenario)
    before = campaign.status()
    if before.simulations and before.finished:
        print("All is done already; here is what came out.")
    site = co.LocalSite(nodes=options.nodes)
    run = campaign.start(site)
    killed = None
    while not run.wait(timeout_s=0.5, handle_signals=True):
        if killed is None and not options.keep_nodes:
            with contextlib.suppress(ProcessLookupError, KeyError):
                killed = kill_a_node(campaign, site, options.members)
    show(campaign, time.monotonic() - begin, killed)


if __name__ == "__main__":
    main()
