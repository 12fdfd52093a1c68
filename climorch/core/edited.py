"""What rules made of a simulation, and what was wrong with their answers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Edited", "RuleFault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What a rule asked for of a simulation.

    Attributes
    ----------
    rule : str
        Which.
    at : int
        How much was committed, as in ``EvaluateRule``.
    told : tuple of str
        What, in words.
    """

    rule: str
    at: int
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFault:
    """Why the newest answer of a rule does not hold.

    Attributes
    ----------
    at : int
        How much was committed, as in ``EvaluateRule``.
    message : str
        What is wrong.
    """

    at: int
    message: str
