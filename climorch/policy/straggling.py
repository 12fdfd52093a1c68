"""Which nodes are slow, from what each took for its share of segments.

A node is compared twice: with what its place in the lease took before, and with
the other nodes of the same segment. What slows all of them down (storage, a model
that got stiffer) excuses each. A single node is compared with its stage before,
and excused by what nodes of other simulations took lately.

Ignores why a node is slow. Where the work of a place was never done by another
node, it may be the work: then other nodes must be faster by far, and the node is
cleared once another one takes as long for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from climorch.policy.learning import Learned, learn
from climorch.policy.moving import Moving

__all__ = [
    "LATELY",
    "Paces",
    "Place",
    "Sample",
    "Shun",
    "Slow",
    "forgiven_at_s",
    "may_shun",
    "measured",
    "recovered",
    "replaced",
    "slow_by",
    "to_clear",
]

# Ratios of any nodes that are kept.
LATELY = 15
# Segments after which a place is known; ours.
KNOWN = 3
# One slow segment moves what is expected by no more than this allows, so that a
# slow node does not become what is expected.
CLIP = 1.5
# What another node takes for the same work, as a part, that clears a node.
NO_FASTER = 0.8
LONGEST_SHUN_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a node took for its share of one segment.

    Attributes
    ----------
    own : float
        Ratio to what the place took before, those of the others considered; 1
        where nothing is known.
    peers : float
        Ratio to the median of the others of the segment, where only this node
        ever had the place; else 1.
    seconds : float
        What it took.
    simulation : str
        Whose segment.
    """

    own: float
    peers: float
    seconds: float
    simulation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What one place of a lease has shown of a stage.

    Attributes
    ----------
    learned : Learned
        Seconds, with slow ones cut off.
    node : str
        Who had it last.
    alone : bool
        Whether nobody else ever had it.
    last_s : float
        What the last segment took there.
    before : str
        Who had it before, if the node has had it for one segment; else empty.
    before_s : float
        What the last segment took there.
    """

    learned: Learned
    node: str
    alone: bool
    last_s: float
    before: str = ""
    before_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """By how much a node is slow: ratio, in how many segments in a row, for whom."""

    ratio: float
    segments: int
    simulation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shun:
    """A slow node.

    Attributes
    ----------
    slow : float
        How many times longer than expected it takes.
    segments : int
        In so many in a row.
    simulation : str
        Whose.
    since_s, until_s : float
        When that was found and when it is tried again, driver's clock, seconds.
    """

    slow: float
    segments: int
    simulation: str
    since_s: float
    until_s: float


Key = tuple[str, int, int]
"""Stage, nodes of the lease, place in it."""


@dataclass(slots=True, kw_only=True)
class Paces:
    """All that is remembered of what nodes took.

    Attributes
    ----------
    places : dict of str to dict of Key to Place
        By simulation.
    samples : dict of str to tuple of Sample
        Of each node since it came, or was last judged; the newest last.
    lately : tuple of (str, float)
        Node and ratio to what was known of its place, of the last segments.
    shunned : dict of str to Shun
        Nodes that are slow.
    times : dict of str to int
        How often each was found slow.
    cleared : dict of str to str
        Nodes that are not to blame, and why.
    """

    places: dict[str, dict[Key, Place]] = field(default_factory=dict)
    samples: dict[str, tuple[Sample, ...]] = field(default_factory=dict)
    lately: tuple[tuple[str, float], ...] = ()
    shunned: dict[str, Shun] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    cleared: dict[str, str] = field(default_factory=dict)


def measured(
    simulation: str,
    paces: Mapping[str, float],
    places: Mapping[str, Place | None],
    lately: Iterable[tuple[str, float]],
) -> tuple[dict[str, Sample], dict[str, float]]:
    """Compare the nodes of one segment.

    Parameters
    ----------
    simulation : str
        Whose segment.
    paces : mapping of str to float
        Node to the seconds that it took, or would have for an equal share.
    places : mapping of str to Place or None
        What is known of the place of each.
    lately : iterable of (str, float)
        As `Paces.lately`.

    Returns
    -------
    dict of str to Sample
        By node.
    dict of str to float
        Ratios to what was known of the places, for `Paces.lately`.
    """
    raw = {
        node: seconds / math.exp(place.learned.centre)
        for node, seconds in paces.items()
        if (place := places.get(node)) is not None and place.learned.count >= KNOWN
    }
    found = {}
    for node, seconds in paces.items():
        peers = [r for other, r in raw.items() if other != node]
        if len(paces) == 1:
            peers = [r for other, r in lately if other != node]
        # What is common to others is an excuse; that they are fast is no reproach.
        common = max(median(peers), 1.0) if peers else 1.0
        place = places.get(node)
        alone = place is None or place.alone
        others = [s for other, s in paces.items() if other != node] if alone else []
        found[node] = Sample(
            own=raw.get(node, 1.0) / common,
            peers=seconds / median(others) if others else 1.0,
            seconds=seconds,
            simulation=simulation,
        )
    return found, raw


def replaced(place: Place | None, node: str, seconds: float) -> Place:
    """Return what a place has shown, with one more segment.

    Parameters
    ----------
    place : Place or None
        So far; None: nothing.
    node : str
        Who had it.
    seconds : float
        What it took.
    """
    if place is None:
        known = learn(None, seconds)
        return Place(learned=known, node=node, alone=True, last_s=seconds)
    most_s = math.inf
    if place.learned.count >= KNOWN:
        most_s = CLIP * math.exp(place.learned.centre)
    return Place(
        learned=learn(place.learned, min(seconds, most_s)),
        node=node,
        alone=place.alone and place.node == node,
        last_s=seconds,
        before="" if place.node == node else place.node,
        before_s=place.last_s,
    )


def to_clear(place: Place | None, node: str, seconds: float) -> str:
    """Name the node before that is not to blame: another takes as long.

    Looked at in the second segment of the other one: the first may be longer for
    reasons of its own, such as a model that is compiled.

    Parameters
    ----------
    place : Place or None
        What the place has shown.
    node : str
        Who has it now.
    seconds : float
        What it took.

    Returns
    -------
    str
        Empty: nobody.
    """
    if place is None or place.node != node or not place.before:
        return ""
    return place.before if seconds >= NO_FASTER * place.before_s else ""


def slow_by(samples: Sequence[Sample], moving: Moving) -> Slow | None:
    """Judge a node.

    Parameters
    ----------
    samples : sequence of Sample
        Its own, the newest last.
    moving : Moving
        The rules.

    Returns
    -------
    Slow or None
        None: it is not slow, or not for long enough.
    """
    ratios: list[float] = []
    lost_s = 0.0
    for sample in reversed(samples):
        ratio = _ratio(sample, moving)
        if ratio < moving.slow_factor:
            break
        ratios.append(ratio)
        lost_s += sample.seconds * (1 - 1 / ratio)
    if len(ratios) < moving.strikes or lost_s < moving.slow_min_s:
        return None
    return Slow(
        ratio=median(ratios), segments=len(ratios), simulation=samples[-1].simulation
    )


def _ratio(sample: Sample, moving: Moving) -> float:
    # It may be the work: the benefit of the doubt.
    if sample.peers >= moving.slow_factor**2:
        return max(sample.own, sample.peers)
    return sample.own


def recovered(samples: Sequence[Sample], moving: Moving) -> bool:
    """Tell whether a slow node keeps pace again.

    Parameters
    ----------
    samples : sequence of Sample
        Its own since it was found slow, the newest last.
    moving : Moving
        The rules.
    """
    fine = (1 + moving.slow_factor) / 2
    newest = samples[-moving.strikes :]
    return len(newest) == moving.strikes and all(
        _ratio(sample, moving) < fine for sample in newest
    )


def may_shun(shunned: int, nodes: int, moving: Moving) -> bool:
    """Tell whether one more node may count as slow.

    Parameters
    ----------
    shunned, nodes : int
        Slow ones now, and all that are up.
    moving : Moving
        The rules.
    """
    return shunned < max(int(moving.slow_share * nodes), 1)


def forgiven_at_s(now_s: float, times: int, moving: Moving) -> float:
    """Say when a slow node is tried again.

    Parameters
    ----------
    now_s : float
        Driver's clock, seconds.
    times : int
        How often it was found slow before.
    moving : Moving
        The rules.

    Returns
    -------
    float
        Driver's clock, seconds.
    """
    longest_s = max(LONGEST_SHUN_S, moving.forgive_s)
    return now_s + min(moving.forgive_s * 2.0 ** min(times, 20), longest_s)
