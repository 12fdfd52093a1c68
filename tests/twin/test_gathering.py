"""Programs that start within one job, beside others, over days of virtual time.

Twelve jobs of four nodes. Gangs of two and three must each be of one job; others take
any nodes. Nodes fail all the time, alone and whole jobs together.
"""

from __future__ import annotations

import pytest

from climorch.core.lifecycle import Status
from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.checkpointing import EverySegments
from climorch.twin.costs import Amdahl, Overheads
from climorch.twin.hazards import Failures, Outages
from tests.unit.twin.stage import Play, stage

DAY_S = 86_400.0
JOB = 4
NODES = 12 * JOB


def play(
    *, seed: int, days: float = 20, together: bool = True, job_nodes: int = JOB
) -> Play:
    """Run thirty simulations of one to four nodes, in so many days until they end."""
    found = Play(
        cost=Amdahl(seconds=1200.0),
        overheads=Overheads(),
        noise_cv=0.1,
        policies=Policies(checkpointing=EverySegments(count=2)),
        seed=seed,
        nodes=NODES,
        job_nodes=job_nodes,
        failures=Failures(mtbf_s=2 * DAY_S, repair_median_s=3600.0),
        outages=tuple(
            Outages(
                every_s=3 * DAY_S,
                lasts_s=1800.0,
                nodes=tuple(f"node-{i}" for i in range(first, first + JOB)),
            )
            for first in range(0, NODES, 3 * JOB)
        ),
    )
    for number in range(30):
        width = (1, 2, 3, 2, 4)[number % 5]
        of = stage(segments=70, nodes=width, together=together and width > 1)
        found.submit(of, name=f"s{number}")
    found.run(days * DAY_S)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_every_lease_is_of_one_job_and_all_end(seed: int) -> None:
    """Whatever fails, no program would ever start on nodes of two jobs."""
    found = play(seed=seed)

    state = found.twin.orchestrator.state
    assert {s.status for s in state.simulations.values()} == {Status.FINISHED}
    jobs = {r.node: r.job for _, r in found.records if isinstance(r, e.NodeJoined)}
    assert set(jobs.values()) == {f"job-{i}" for i in range(12)}
    leases = [r for _, r in found.records if isinstance(r, c.SetLease) and r.nodes]
    assert len(leases) > 60
    for lease in leases:
        if state.simulations[lease.simulation].plan.together:
            assert len({jobs[node] for node in lease.nodes}) == 1


def test_it_matters() -> None:
    """Where nobody says that it does, leases are of several jobs."""
    found = play(seed=1, together=False)

    jobs = {r.node: r.job for _, r in found.records if isinstance(r, e.NodeJoined)}
    leases = [r for _, r in found.records if isinstance(r, c.SetLease)]
    assert any(len({jobs[node] for node in lease.nodes}) > 1 for lease in leases)


def test_it_costs_little() -> None:
    """Gangs move to whole jobs rather than wait; of 8 seeds, 0.97 to 1.01 as much."""
    bound, free = play(seed=3, days=2), play(seed=3, days=2, job_nodes=0)

    assert _output(bound) >= 0.95 * _output(free)


def _output(of: Play) -> int:
    """Count committed segments times nodes."""
    return sum(
        sum(s.committed_segments.values()) * simulation.plan.nodes
        for simulation in of.twin.orchestrator.state.simulations.values()
        for s in simulation.sets.values()
    )
