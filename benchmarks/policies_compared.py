"""The same month under three ways to give nodes out.

fifo    in order of submission, nobody overtakes, nothing is lent or asked back
easy    classical batch: rigid leases to the end, EASY backfill by users' estimates
ours    leases that grow and shrink, turns, fair shares

Simulations of different size and length come over a month to a virtual cluster on
which nodes fail, see `benchmarks/scenarios/compared.toml`. All three have the same
checkpoints, and a simulation that a failure throws out goes on from its newest one, in
its old place in line: that is more than a batch system gives.

The bar: of the three, ours puts the most node-hours to use, and lets those that come
wait the shortest time for their first nodes, on average. It is what was left of a first
bar that ours missed: EASY finishes more simulations and segments in the month, since it
favours small ones and interrupts nobody. Its longest wait was shorter too, until large
gangs were given a right of their own (decision 029); it is told, and not part of the
bar. ``--quick``: ten days.

    uv run python benchmarks/policies_compared.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import Figures, report
from benchmarks.campaign_months import DAY_S, HOUR_S, site_of
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.plan import SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.model.scenario import Project, Scenario
from climorch.policy.allocation import Allocate, allocate
from climorch.policy.availability import NodeBits, Profile
from climorch.policy.backfill import RULES
from climorch.policy.claims import Allocation, Claim, Contest, NodeOffer
from climorch.policy.queueing import Request
from climorch.twin.driver import Twin
from climorch.twin.ledger import Ledger, Part

SCENARIO = Path(__file__).parent / "scenarios" / "compared.toml"

Told = dict[str, Any]


def rigid(claims: Iterable[Claim]) -> tuple[list[Claim], list[Claim]]:
    """Return who holds a whole gang, and who waits, in order of submission.

    Who lost a node is neither: it gives the rest back and waits like the others.
    """
    running = [c for c in claims if len(c.held) >= c.nodes]
    waiting = [c for c in claims if not c.held and not c.moving]
    return running, sorted(waiting, key=lambda c: c.serial)


def free_of(claims: Iterable[Claim], offers: Iterable[NodeOffer]) -> list[str]:
    """Return the nodes that nobody holds."""
    held = {node for claim in claims for node in claim.held}
    return [o.name for o in offers if o.name not in held and not o.leaving]


def fifo(
    claims: Sequence[Claim],
    offers: Sequence[NodeOffer],
    contest: Contest | None = None,
    *,
    tell_all: bool = True,
) -> Allocation:
    """Serve in order of submission until one has to wait; nobody overtakes it."""
    free = free_of(claims, offers)
    leases: dict[str, tuple[str, ...]] = {}
    waits: dict[str, str] = {}
    for claim in rigid(claims)[1]:
        if waits or claim.nodes > len(free):
            waits[claim.simulation] = "waits in line"
            if not tell_all:
                break
            continue
        leases[claim.simulation] = tuple(free[: claim.nodes])
        del free[: claim.nodes]
    return Allocation(leases=leases, waits=waits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Rigid leases by a classical rule of backfill.

    Attributes
    ----------
    estimates_s : mapping of str to float
        What users said that each simulation takes at most, in seconds.
    rule : str
        One of `climorch.policy.backfill.RULES`.
    """

    estimates_s: Mapping[str, float]
    rule: str = "easy"

    def __call__(
        self,
        claims: Sequence[Claim],
        offers: Sequence[NodeOffer],
        contest: Contest | None = None,
        *,
        tell_all: bool = True,
    ) -> Allocation:
        """Start who the rule starts; take nothing away from anybody."""
        now_s = (contest or Contest()).now_s
        running, waiting = rigid(claims)
        bits = NodeBits(o.name for o in offers)
        profile = Profile(bits.every, start_s=now_s)
        settled = {c.simulation for c in running}
        for claim in running:
            # Who takes longer than was said is taken to end in an hour.
            stop_s = max(
                claim.turn_s + self.estimates_s[claim.simulation], now_s + HOUR_S
            )
            profile = profile.take(bits.mask(claim.held), now_s, stop_s)
        # Parts of broken leases come back at once.
        back = [n for c in claims if c.simulation not in settled for n in c.held]
        back += [o.name for o in offers if o.leaving]
        profile = profile.take(bits.mask(back), now_s, now_s + 1.0)
        queue = [
            Request(
                name=c.simulation,
                nodes=c.nodes,
                estimate_s=self.estimates_s[c.simulation],
            )
            for c in waiting
        ]
        plan = RULES[self.rule](profile, queue, now_s)
        return Allocation(
            leases={name: bits.names(nodes) for name, nodes in plan.starts.items()},
            waits={
                c.simulation: "waits in line"
                for c in waiting
                if c.simulation not in plan.starts
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Who comes when.

    Attributes
    ----------
    facts : tuple of (float, SimulationSubmitted)
        With the seconds from the beginning.
    estimates_s : dict of str to float
        What users say that each takes at most.
    """

    facts: tuple[tuple[float, e.SimulationSubmitted], ...]
    estimates_s: dict[str, float] = field(default_factory=dict)


def scenario(*, quick: bool) -> Told:
    """Read the scenario; quick: for ten days."""
    told = tomllib.loads(SCENARIO.read_text())
    if quick:
        told["days"] = 10
    return told


def arrivals(told: Told) -> Arrivals:
    """Draw simulations until so much is asked for as the scenario says."""
    sims = told["simulations"]
    rng = np.random.default_rng(told["seed"])
    segment_s = sims["segment_minutes"] * 60.0
    left_s = sims["demand"] * told["nodes"] * told["days"] * DAY_S
    drawn: list[tuple[int, int, float]] = []
    while left_s > 0:
        nodes = round(float(np.exp(rng.uniform(*np.log(sims["nodes"])))))
        days = float(np.exp(rng.uniform(*np.log(sims["days"]))))
        segments = max(round(days * DAY_S / segment_s), 1)
        drawn.append((nodes, segments, float(rng.uniform(*sims["overestimate"]))))
        left_s -= nodes * segments * segment_s
    # Some are there when the month begins, the others come by and by.
    last_s = sims["last_day_part"] * told["days"] * DAY_S
    at_s = rng.uniform(-sims["waiting_part"] * last_s, last_s, len(drawn)).clip(0.0)
    houses = list(told["institutions"])
    owners = rng.choice(
        houses,
        len(drawn),
        p=[told["institutions"][house]["part"] for house in houses],
    )
    facts, estimates = [], {}
    for number, (begin_s, owner, (nodes, segments, over)) in enumerate(
        zip(sorted(at_s.tolist()), owners.tolist(), drawn, strict=True)
    ):
        name = f"s{number:04d}"
        estimates[name] = over * segments * segment_s
        stage = StagePlan(
            name="earth",
            calendar="noleap",
            boundaries=tuple(range(segments + 1)),
            resources=Resources(nodes=nodes, max_nodes=2 * nodes, segment_s=segment_s),
        )
        fact = e.SimulationSubmitted(
            simulation=name,
            scenario=Scenario(name, project=owner),
            plan=SimulationPlan(workflow="compared", stages=(stage,)),
        )
        facts.append((begin_s, fact))
    return Arrivals(facts=tuple(facts), estimates_s=estimates)


def play(told: Told, found: Arrivals, allocation: Allocate) -> Ledger:
    """Run the month under an allocation."""
    twin = Twin(
        Orchestrator(Policies(allocation=allocation)),
        site_of(told),
        seed=told["seed"],
    )
    twin.post(
        e.DriverStarted(epoch=1, host="twin", pid=0),
        *(
            e.ProjectDeclared(project=Project(name, share=house["share"]))
            for name, house in told["institutions"].items()
        ),
    )
    for at_s, fact in found.facts:
        twin.post(fact, after_s=at_s)
    return twin.run(told["days"] * DAY_S)


def allocations(found: Arrivals) -> dict[str, Allocate]:
    """Return the three ways, by name."""
    return {
        "fifo": fifo,
        "easy": Backfill(estimates_s=found.estimates_s),
        "ours": allocate,
    }


def figures_of(told: Told, ledger: Ledger) -> dict[str, float]:
    """Return what the ways are compared by."""
    end_s = told["days"] * DAY_S
    accounts = ledger.accounts.values()
    firsts = [waits[0] for a in accounts if (waits := a.all_waits(end_s))]
    return {
        "utilisation": ledger.utilisation,
        "segments_per_day": ledger.segments / told["days"],
        "finished": sum(a.completed_s is not None for a in accounts),
        "free_part": ledger.spent()[Part.FREE] / ledger.up_node_s,
        "lost_part": ledger.spent()[Part.LOST] / ledger.up_node_s,
        "worst_wait_days": max(max(a.all_waits(end_s), default=0.0) for a in accounts)
        / DAY_S,
        "mean_first_wait_days": float(np.mean(firsts)) / DAY_S if firsts else 0.0,
        "interruptions": sum(len(a.interruptions) for a in accounts),
    }


def compared(told: Told) -> dict[str, dict[str, float]]:
    """Run the month under each; return the figures of each."""
    found = arrivals(told)
    table = {}
    for name, allocation in allocations(found).items():
        table[name] = figures_of(told, play(told, found, allocation))
    return table


def missed(table: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return in what ours is behind one of the others."""
    ours = table["ours"]
    others = [figures for name, figures in table.items() if name != "ours"]
    behind = []
    if ours["utilisation"] < max(other["utilisation"] for other in others):
        behind.append("utilisation")
    wait = "mean_first_wait_days"
    if ours[wait] > min(other[wait] for other in others):
        behind.append(wait)
    return behind


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ten days")
    told = scenario(quick=parser.parse_args().quick)
    begin_s = time.process_time()
    table = compared(told)
    figures: Figures = {
        f"{name}_{key}": value
        for name, row in table.items()
        for key, value in row.items()
    }
    figures["submitted"] = len(arrivals(told).facts)
    figures["cpu_s"] = time.process_time() - begin_s
    report("policies_compared", figures)
    keys = list(table["ours"])
    print(f"{'':6}", *(f"{key:>20}" for key in keys))
    for name, row in table.items():
        print(f"{name:6}", *(f"{row[key]:20,.3f}" for key in keys))
    behind = missed(table)
    print("bar: ours has the most in use and the shortest mean wait for first nodes")
    print(f"behind in {', '.join(behind)}" if behind else "holds")
    return 1 if behind else 0


if __name__ == "__main__":
    sys.exit(main())
