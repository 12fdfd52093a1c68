"""What sets on a virtual cluster share, and what each of them has under way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from climorch.model import commands as c
from climorch.model import events as e
from climorch.twin.costs import Overheads
from climorch.twin.ledger import Ledger
from climorch.twin.storage import SharedStorage

if TYPE_CHECKING:
    import simpy

__all__ = ["UNMEASURED", "Lab", "Price", "Running", "Standing"]


UNMEASURED: Mapping[str, float] = MappingProxyType({})


class Price(NamedTuple):
    """What a segment takes.

    Attributes
    ----------
    seconds : float
        On its lease as it is.
    base_s : float
        On as many of these nodes as its stage asks for.
    base : int
        Nodes that its stage asks for.
    paces : mapping of str to float
        What each node takes for its share, if that is measured.
    memory_bytes : int
        What it takes of each node; 0: not known.
    fits : bool
        Whether each node has that.
    """

    seconds: float
    base_s: float
    base: int
    paces: Mapping[str, float] = UNMEASURED
    memory_bytes: int = 0
    fits: bool = True


@dataclass(slots=True, kw_only=True)
class Lab:
    """What all sets of a run share.

    Attributes
    ----------
    env : simpy.Environment
        The kernel.
    storage : SharedStorage
        What they write to.
    overheads : Overheads
        What starts and checkpoints cost.
    ledger : Ledger
        The books.
    post : callable
        Takes a fact that has arrived.
    price : callable
        ``price(simulation, stage, segment, now_s)`` on the lease as it is now.
    nodes : callable
        Nodes of a lease that are up.
    """

    env: simpy.Environment
    storage: SharedStorage
    overheads: Overheads
    ledger: Ledger
    post: Callable[[e.Fact], None]
    price: Callable[[str, str, int, float], Price]
    nodes: Callable[[str], int]


@dataclass(slots=True)
class Running:
    """A segment under way.

    Attributes
    ----------
    number : int
        Which.
    price : Price
        What it takes.
    begun_s, since_s, ends_s : float
        When it was started, computes from and will end; clock, seconds.
    timeout : simpy.Timeout or None
        The alarm that is set for its end.
    vain_s : float
        Seconds that it has computed for nothing, and will compute again.
    """

    number: int
    price: Price
    begun_s: float
    since_s: float
    ends_s: float = math.inf
    timeout: simpy.Timeout | None = None
    vain_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Standing:
    """What of a set is under way, whoever plays it.

    Attributes
    ----------
    running : dict of str to Running
        By stage.
    checkpoint : BeginCheckpoint or None
        The one that is being written.
    begun_s, written_s : float
        When it was begun and will be written; infinite: none is.
    ready_s : float
        When the newest cut is made; no segment computes before.
    redo_base_s : float
        Seconds of computing since that cut, on as many nodes as are asked for.
    """

    running: dict[str, Running] = field(default_factory=dict)
    checkpoint: c.BeginCheckpoint | None = None
    begun_s: float = 0.0
    written_s: float = math.inf
    ready_s: float = 0.0
    redo_base_s: float = 0.0
