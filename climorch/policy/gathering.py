"""Where a claim is served from: anywhere, or from one job.

A launcher such as ``srun`` starts programs on the nodes of one job only. Then all nodes
of a lease are of one job: of the one in which it holds some, or wholly of another one.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from climorch.policy.claims import Claim
from climorch.policy.pool import Pool

__all__ = [
    "Camp",
    "camps_of",
    "gang_in",
    "grows_on",
    "most_able",
    "most_spare",
    "of_one_job",
    "parts_of",
]


class Camp(msgspec.Struct, frozen=True, gc=False):
    """Nodes of which a claim can be given all that it lacks.

    Attributes
    ----------
    nodes : int
        Those that fit it, whoever holds them, as bits.
    lacks : int
        How many of them it needs: a whole gang where it must leave what it has.
    leaves : bool
        Whether it must.
    """

    nodes: int
    lacks: int
    leaves: bool = False


def of_one_job(claim: Claim, pool: Pool) -> bool:
    """Whether it matters to a claim of which jobs nodes are."""
    return claim.together and len(pool.jobs) > 1


def camps_of(claim: Claim, pool: Pool) -> list[Camp]:
    """Return where a claim can be served, what suits it best first.

    Parameters
    ----------
    claim : Claim
        Who lacks nodes, or holds its gang.
    pool : Pool
        What is there.

    Returns
    -------
    list of Camp
        None where too few nodes are up that fit, in one job where that matters.
    """
    able, nodes = pool.able(claim), claim.nodes
    lacks = max(nodes - len(claim.held), 0)
    if not of_one_job(claim, pool):
        return [Camp(able, lacks)] if able.bit_count() >= nodes else []
    found, held = [], pool.held(claim)
    for job in pool.jobs:
        fit = able & job
        if fit.bit_count() >= nodes:
            leaves = bool(held & ~job)
            found.append(Camp(fit, nodes if leaves else lacks, leaves))
    if len(found) > 1:
        seeks, avoids = pool.mask(claim.seeks), pool.mask(claim.avoids)
        found.sort(key=lambda camp: _merit(camp, pool, seeks, avoids))
    return found


def _merit(
    camp: Camp, pool: Pool, seeks: int, avoids: int
) -> tuple[int, int, int, int, int]:
    """Sort camps: where least is missing; the smallest that will do, and stays."""
    free = pool.free & camp.nodes
    coming = (pool.coming & camp.nodes).bit_count()
    missing = camp.lacks - free.bit_count()
    # What it leaves is a last resort; what is on its way costs time, not turns.
    shy = missing > -(free & avoids).bit_count()
    return (
        max(missing, 0) + camp.lacks * (missing > coming),
        2 * shy + camp.leaves,
        -(free & seeks).bit_count(),
        -missing,
        camp.nodes & -camp.nodes,
    )


def most_able(claim: Claim, pool: Pool) -> int:
    """Count the nodes that fit a claim, at most in one job where that matters."""
    able = pool.able(claim)
    if not of_one_job(claim, pool):
        return able.bit_count()
    return max(part.bit_count() for part in parts_of(claim, pool, able))


def most_spare(claim: Claim, pool: Pool) -> int:
    """Count the nodes that are free or will be, likewise, whether they fit or not."""
    spare = pool.free | pool.coming
    return max(part.bit_count() for part in parts_of(claim, pool, spare))


def grows_on(claim: Claim, pool: Pool, lease: Iterable[str]) -> int:
    """Return the nodes that may be added to a lease, as bits, free or not."""
    if not of_one_job(claim, pool):
        return pool.able(claim)
    held = pool.mask(lease)
    return pool.able(claim) & next((job for job in pool.jobs if job & held), 0)


def gang_in(claim: Claim, pool: Pool, nodes: int) -> int:
    """Return some nodes of which a whole gang can be, as bits; 0: there are none."""
    parts = parts_of(claim, pool, nodes)
    return next((part for part in parts if part.bit_count() >= claim.nodes), 0)


def parts_of(claim: Claim, pool: Pool, nodes: int) -> list[int]:
    """Cut nodes into those of which one lease may be.

    Parameters
    ----------
    claim : Claim
        Whose lease.
    pool : Pool
        What is there.
    nodes : int
        As bits.

    Returns
    -------
    list of int
        One or more, as bits.
    """
    if not of_one_job(claim, pool):
        return [nodes]
    return [nodes & job for job in pool.jobs]
