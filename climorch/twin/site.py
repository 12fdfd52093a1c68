"""What a virtual cluster consists of, as one value that pickles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from climorch.errors import Fault
from climorch.model.kinds import require_kinds
from climorch.model.resources import parse_bytes
from climorch.model.windows import Window
from climorch.twin.costs import Costs, Overheads
from climorch.twin.hazards import Absence, Failures, Outages, number_faults, refuse
from climorch.twin.loads import Loads
from climorch.twin.scoring import ScoreLaw
from climorch.twin.storage import Storage

__all__ = ["TwinSite"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinSite:
    """A cluster that exists only in virtual time.

    Attributes
    ----------
    nodes : int
        How many, >= 1.
    names : tuple of str
        Theirs; empty: ``node-0``, ``node-1`` and so on.
    cores : int
        Cores of each.
    memory : int or str
        Memory of each, bytes or text such as ``"64 GiB"``; 0: unlimited.
    other_memory : mapping of str to int or str
        Memory of those nodes that have another one, by name.
    speed_cv : float
        Standard deviation over mean of the nodes' speeds, lognormal. A segment
        takes as long as the slowest node of its lease.
    failures : Failures or None
        How each node fails by itself; None: never.
    outages : tuple of Outages
        What takes many nodes down together.
    absences : tuple of Absence
        Nodes that are not ours for a while.
    loads : Loads or None
        What makes nodes slower for a while; None: nothing, and nobody measures
        what each node takes.
    storage : Storage
        What all write their checkpoints to.
    costs : Costs or None
        How long segments take; None: as a campaign expects them to.
    overheads : Overheads or None
        What starts and checkpoints cost; None: as measured, or what is usual.
    scores : callable or None
        ``scores(scenario, score, mark)``: what scores say; None: what the campaign
        knows of the simulation goes on, or of its siblings.
    detect_s : float
        From the death of a node until it is noticed, seconds.
    job_nodes : int
        Nodes of each job, in their order, where ``srun`` or its like starts programs
        on those of one job only, as for `Command`; 0: they start anywhere.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    nodes: int
    names: tuple[str, ...] = ()
    cores: int = 1
    memory: int | str = 0
    other_memory: Mapping[str, int | str] = field(default_factory=dict)
    speed_cv: float = 0.0
    failures: Failures | None = None
    outages: tuple[Outages, ...] = ()
    absences: tuple[Absence, ...] = ()
    loads: Loads | None = None
    storage: Storage = field(default_factory=Storage)
    costs: Costs | None = None
    overheads: Overheads | None = None
    scores: ScoreLaw | None = None
    detect_s: float = 1.0
    job_nodes: int = 0

    def __post_init__(self) -> None:
        require_kinds(self)
        parse_bytes(self.memory)
        for node, size in self.other_memory.items():
            parse_bytes(size, place=f"other_memory[{node!r}]")
        faults = [
            *number_faults("TwinSite", {"nodes": self.nodes}, above=True),
            *number_faults("TwinSite", {"cores": self.cores}, above=True),
            *number_faults(
                "TwinSite",
                {
                    "speed_cv": self.speed_cv,
                    "detect_s": self.detect_s,
                    "job_nodes": self.job_nodes,
                },
            ),
        ]
        if self.names and len(set(self.names)) != self.nodes:
            faults.append(
                Fault(
                    place="TwinSite.names",
                    problem=f"{len(set(self.names))} names for {self.nodes} nodes",
                    remedy="name each node once, or none",
                )
            )
        faults += self._strangers()
        refuse("this virtual site", faults)

    def _strangers(self) -> list[Fault]:
        known = set(self.node_names)
        groups = [("outages", o.nodes) for o in self.outages]
        groups += [("absences", a.nodes) for a in self.absences]
        groups.append(("other_memory", tuple(self.other_memory)))
        groups += [("loads", x.nodes) for x in (self.loads or Loads()).given]
        faults = [
            Fault(
                place=f"TwinSite.{what}",
                problem=f"{node!r} is none of its {self.nodes} nodes",
                remedy="name nodes of this site, or give their names",
            )
            for what, nodes in groups
            for node in nodes
            if node not in known
        ]
        faults += [
            Fault(
                place="TwinSite.absences",
                problem=f"{absence.count} nodes are absent of {self.nodes}",
                remedy="take no more than there are",
            )
            for absence in self.absences
            if absence.count > self.nodes
        ]
        return faults

    def memory_of(self, node: str) -> int:
        """Return the memory of a node.

        Parameters
        ----------
        node : str
            Which.

        Returns
        -------
        int
            Bytes; 0: unlimited.
        """
        return parse_bytes(self.other_memory.get(node, self.memory))

    def jobs(self) -> dict[str, str]:
        """Return the job of each node; none: programs start anywhere."""
        each = int(self.job_nodes)
        names = self.node_names if each else ()
        return {name: f"job-{i // each}" for i, name in enumerate(names)}

    @property
    def node_names(self) -> tuple[str, ...]:
        """Names of all nodes, in order."""
        return self.names or tuple(f"node-{i}" for i in range(int(self.nodes)))

    def announced(self, begin_s: float) -> tuple[tuple[float, Window], ...]:
        """Return the windows that announce absences.

        Parameters
        ----------
        begin_s : float
            Clock at the beginning of the run, seconds.

        Returns
        -------
        tuple of (float, Window)
            With the seconds from the beginning at which each is declared.
        """
        return tuple(
            (
                max(absence.start_s - absence.notice_s, 0.0),
                Window(
                    name=f"absence-{number}",
                    start_s=begin_s + absence.start_s,
                    stop_s=begin_s + absence.stop_s,
                    nodes=self.absent(absence) if self._in_part(absence) else (),
                ),
            )
            for number, absence in enumerate(self.absences)
            if absence.notice_s is not None
        )

    def _in_part(self, absence: Absence) -> bool:
        return bool(absence.nodes or absence.count)

    def absent(self, absence: Absence) -> tuple[str, ...]:
        """Return which nodes an absence is about.

        Parameters
        ----------
        absence : Absence
            One of this site's.

        Returns
        -------
        tuple of str
            Names, in order.
        """
        if absence.nodes:
            return absence.nodes
        return self.node_names[-absence.count :] if absence.count else self.node_names
