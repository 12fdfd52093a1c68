"""With more wanted than there is, everybody starts, however large its gang."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from climorch.policy.overdue import INDEBTED
from climorch.policy.sharing import Sharing
from tests.property.cluster import STEP_S, Cluster, Gang

HOUR_S = 3600.0
# A quarter of the usual times: then days are enough to see it.
SHARING = Sharing(
    half_life_s=42 * HOUR_S,
    min_run_s=HOUR_S,
    slice_s=6 * HOUR_S,
    patience_s=18 * HOUR_S,
)


@st.composite
def crowds(draw: st.DrawFn) -> Cluster:
    """Draw projects that together want more than there is, in gangs of any size."""
    nodes = draw(st.sampled_from((6, 12, 24)))
    shares = {
        name: float(draw(st.integers(1, 5)))
        for name in "pqr"[: draw(st.integers(1, 3))]
    }
    sizes = st.sampled_from((1, 2, 3, 5, nodes // 3, nodes // 2, nodes))
    gangs: list[Gang] = []
    wanted = draw(st.sampled_from((2, 3))) * nodes
    while sum(gang.nodes for gang in gangs) < wanted:
        project = draw(st.sampled_from(sorted(shares)))
        name = f"s{len(gangs)}"
        gangs.append(Gang(name=name, project=project, nodes=draw(sizes)))
    return Cluster(nodes, shares, gangs, SHARING)


def bound_s(cluster: Cluster) -> float:
    """Say within which time everybody must have started: what the guide states.

    Five times the patience, and for each simulation that was before it a turn that
    shares leave it, with the time that others take to give nodes back.
    """
    turn_s = SHARING.min_run_s + 2 * STEP_S
    return INDEBTED * SHARING.patience_s + len(cluster.waits_s) * turn_s


@settings(max_examples=30)
@given(cluster=crowds())
def test_everybody_starts_within_the_stated_time(cluster: Cluster) -> None:
    """Also a gang of the whole site, and one larger than its project's share."""
    most_s = bound_s(cluster)
    cluster.run(most_s + 48 * HOUR_S)

    for name, waits_s in cluster.waits_s.items():
        assert waits_s, name
        assert max(waits_s) <= most_s, name


def test_without_patience_a_gang_above_its_share_would_wait_for_ever() -> None:
    """The test of the test: the rule off, it does not start in four weeks."""
    gangs = [
        *(Gang(name=f"p{i}", project="p", nodes=3) for i in range(6)),
        *(Gang(name=f"q{i}", project="q", nodes=3) for i in range(6)),
        Gang(name="large", project="p", nodes=10),
    ]
    never = Sharing(patience_s=1e9)
    without = Cluster(12, {"p": 1.0, "q": 1.0}, gangs, never)
    without.run(28 * 24 * HOUR_S)
    usual = Cluster(12, {"p": 1.0, "q": 1.0}, gangs, Sharing())
    usual.run(28 * 24 * HOUR_S)

    assert without.waits_s["large"] == [28 * 24 * HOUR_S]
    assert max(usual.waits_s["large"]) <= 4 * 24 * HOUR_S
    assert max(max(waits_s) for waits_s in usual.waits_s.values()) <= 7 * 24 * HOUR_S
    # What it took beyond its share its project has paid with its usage.
    used = usual.usage["p"] / sum(usual.usage.values())
    assert 0.47 <= used <= 0.53
