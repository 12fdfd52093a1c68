"""How long to wait after submissions that were refused, and when to stop trying.

Pure. What may pass is tried for ever, ever more rarely; what does not is tried a few
times, since whoever made the mistake may be about to mend it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["MOST_BARRED", "Refusals"]

# Longest pause, in seconds.
LONGEST_PAUSE_S = 600.0
MOST_BARRED = 5
"""Refusals in a row for what does not pass; none is tried after them."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Submissions that were refused in a row.

    Attributes
    ----------
    number : int
        How many.
    barred : int
        How many of them for what does not pass.
    """

    number: int = 0
    barred: int = 0

    @property
    def final(self) -> bool:
        """Whether no other submission is to be tried."""
        return self.barred >= MOST_BARRED

    @property
    def subject(self) -> str:
        """Under what it is told: who has heard of the first hears of the last too."""
        return "final" if self.final else "submit"

    def another(self, *, barred: bool) -> Refusals:
        """Return them with one more.

        Parameters
        ----------
        barred : bool
            Whether it was for what does not pass.
        """
        return Refusals(self.number + 1, self.barred + barred)

    def pause_s(self, poll_s: float) -> float:
        """Return the seconds until the next one is tried.

        Parameters
        ----------
        poll_s : float
            The first pause, in seconds; each is twice the one before.
        """
        if self.final:
            return math.inf
        return min(LONGEST_PAUSE_S, poll_s * 2.0 ** (self.number - 1))

    def told(self, fault: str, remedy: str) -> str:
        """Say what is wrong.

        Parameters
        ----------
        fault : str
            The batch system's words.
        remedy : str
            What to change; empty: nothing.
        """
        text = f"the batch system takes no job: {fault}"
        text += f"; {remedy}" if remedy else ""
        if self.final:
            text += "; no other one is tried before the campaign is started anew"
        return text
