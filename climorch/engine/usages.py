"""What segments use: what Dask says of their tasks, what nodes say of themselves.

Kept on the Dask scheduler until a segment has ended. Tasks tell exactly what they took;
CPU seconds come with heartbeats, and what is told between two of them belongs to
the stages that computed meanwhile, as their tasks took.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from climorch.engine.tags import IO
from climorch.model.usage import Usage

__all__ = ["Usages"]

# Digits after the point: a journal keeps them for months.
DIGITS = 3


@dataclass(slots=True)
class _Used:
    """What a stage used since it was asked for; ``fresh_s`` since CPU was divided."""

    task_s: float = 0.0
    transfer_s: float = 0.0
    io_s: float = 0.0
    cpu_s: float = 0.0
    fresh_s: float = 0.0


@dataclass(slots=True)
class _Simulation:
    """What a simulation used, by stage; what is not divided yet."""

    stages: dict[str, _Used] = field(default_factory=dict)
    io_s: float = 0.0
    memory_bytes: int = 0
    # Node to the turn that it spoke of, and the CPU seconds that it had then.
    heard: dict[str, tuple[int, float]] = field(default_factory=dict)


class Usages:
    """Adds up what the segments of all simulations use, until it is asked for."""

    def __init__(self) -> None:
        self._of: dict[str, _Simulation] = {}

    def __len__(self) -> int:
        """Return how many simulations are remembered."""
        return len(self._of)

    def follow(self, simulations: Iterable[str]) -> None:
        """Forget those that have no lease any more."""
        kept = set(simulations)
        self._of = {name: used for name, used in self._of.items() if name in kept}

    def note(self, annotation: object, startstops: Iterable[Mapping[str, Any]]) -> None:
        """Remember a task that has ended.

        Parameters
        ----------
        annotation : object
            What the task carries; anybody may have written it.
        startstops : iterable of mapping
            What Dask says of its times.
        """
        if not isinstance(annotation, Mapping):
            return
        match annotation:
            case {"lease": str(name), "watched": {"stage": str(stage), **more}}:
                if "reads" not in more:
                    self._computed(name, stage, startstops)
            case {"lease": str(name), "kind": kind} if kind == IO:
                took_s = sum(x["stop"] - x["start"] for x in startstops)
                self._of.setdefault(name, _Simulation()).io_s += took_s
            case _:
                pass

    def take(
        self, name: str, stage: str, told: Mapping[str, Mapping[str, Any]]
    ) -> Usage:
        """Return what a segment used, and forget it.

        Parameters
        ----------
        name, stage : str
            Simulation and stage.
        told : mapping of str to mapping
            What nodes of its lease said last, as `Meter.read` has it.

        Returns
        -------
        Usage
            Without what only a model in a process of its own knows.
        """
        of = self._of.setdefault(name, _Simulation())
        used = of.stages.setdefault(stage, _Used())
        self._divide(of, name, stage, told)
        del of.stages[stage]
        return Usage(
            task_s=round(used.task_s, DIGITS),
            transfer_s=round(used.transfer_s, DIGITS),
            io_s=round(used.io_s, DIGITS),
            cpu_s=round(used.cpu_s, DIGITS),
            memory_bytes=of.memory_bytes,
        )

    def _computed(
        self, name: str, stage: str, startstops: Iterable[Mapping[str, Any]]
    ) -> None:
        of = self._of.setdefault(name, _Simulation())
        used = of.stages.setdefault(stage, _Used())
        for x in startstops:
            took_s = x["stop"] - x["start"]
            match x["action"]:
                case "compute":
                    used.task_s += took_s
                    used.fresh_s += took_s
                case "transfer":
                    used.transfer_s += took_s
                case "disk-read" | "disk-write":
                    used.io_s += took_s
                case _:
                    pass

    def _divide(
        self,
        of: _Simulation,
        name: str,
        stage: str,
        told: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Give stages what was used since this was done before."""
        fresh_cpu_s = 0.0
        for node, said in told.items():
            if said.get("simulation") != name:
                continue
            turn, cpu_s = said["turn"], said["cpu_s"]
            before_turn, before_s = of.heard.get(node, (turn, 0.0))
            fresh_cpu_s += cpu_s - before_s if before_turn == turn else cpu_s
            of.heard[node] = (turn, cpu_s)
            of.memory_bytes = max(of.memory_bytes, said["memory_bytes"])
        whole_s = sum(used.fresh_s for used in of.stages.values())
        for own, used in of.stages.items():
            share = used.fresh_s / whole_s if whole_s > 0 else float(own == stage)
            used.cpu_s += fresh_cpu_s * share
            used.io_s += of.io_s * share
            used.fresh_s = 0.0
        of.io_s = 0.0
