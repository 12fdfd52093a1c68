"""What may be asked of a campaign from any process on its root.

Every wish goes the same way, whether a driver runs here, elsewhere or not at
all: it is on the disk when the verb returns, and acted on when a driver takes it.
"""

from __future__ import annotations

import time
from pathlib import Path

from climorch.core.state import CampaignState
from climorch.core.statuses import known
from climorch.engine.control import check_node, give, windows_wanted
from climorch.engine.session import JOURNAL, Run
from climorch.engine.view import JournalView
from climorch.errors import NotFoundError
from climorch.intake.submissions import Submissions
from climorch.intake.windows import Asked, Moment, Nodes, make_window
from climorch.model import events as e

__all__ = ["Steering"]


class Steering:
    """The verbs of a campaign that steer it.

    Parameters
    ----------
    folder : Path
        Of the campaign.
    submissions : Submissions
        What this script knows of that no driver may know yet.
    """

    def __init__(self, folder: Path, submissions: Submissions) -> None:
        self._folder = folder
        self._submissions = submissions
        self._view = JournalView(folder / JOURNAL)
        self._run: Run | None = None

    def pause(self, name: str) -> None:
        """Checkpoint a simulation at its next boundary and free its nodes.

        Like every wish it may come from any process on the same root, and
        returns once the wish is on the disk, not when it was acted on; the
        driver takes it within about a second, or the next one does at its start.

        Parameters
        ----------
        name : str
            Simulation.

        Raises
        ------
        NotFoundError
            If there is no such simulation.
        BackendError
            If the wish cannot be written.
        """
        self._control(e.PauseRequested(simulation=name))

    def resume(self, name: str) -> None:
        """Let a simulation go on after a pause or a failure.

        Parameters
        ----------
        name : str
            Simulation.
        """
        self._control(e.ResumeRequested(simulation=name))

    def cancel(self, name: str) -> None:
        """End a simulation for good; what is committed stays.

        Parameters
        ----------
        name : str
            Simulation.
        """
        self._control(e.CancelRequested(simulation=name))

    def prioritize(self, name: str, *, priority: int) -> None:
        """Change the priority of a simulation.

        Parameters
        ----------
        name : str
            Simulation.
        priority : int
            Higher goes first.
        """
        self._control(e.PriorityRequested(simulation=name, priority=priority))

    def drain(self, node: str) -> None:
        """Let nobody have a node any more, until `undrain`.

        Simulations that hold it checkpoint at their next boundary and give it
        back; it stays up, unused. A drain outlives the node and the driver.

        Parameters
        ----------
        node : str
            Its name, as in ``status().nodes``.

        Raises
        ------
        NotFoundError
            If nodes are up, and none has or had this name.
        BackendError
            If the wish cannot be written.
        """
        check_node(self._state(), node)
        self._give(e.DrainRequested(node=node))

    def undrain(self, node: str) -> None:
        """Let a node be leased again.

        Parameters
        ----------
        node : str
            Its name.

        Raises
        ------
        NotFoundError, BackendError
            As for `drain`.
        """
        check_node(self._state(), node)
        self._give(e.UndrainRequested(node=node))

    def maintenance(
        self,
        nodes: Nodes,
        start: Moment,
        stop: Moment,
        *,
        hard: bool = True,
        name: str | None = None,
    ) -> str:
        """Declare that nodes are serviced for a while.

        Simulations that hold one checkpoint at a boundary before and go on
        elsewhere, or wait; afterwards the nodes are leased again.

        Parameters
        ----------
        nodes : str, iterable of str, int or None
            Names as in ``status().nodes``; or how many; ``"all"`` or None: the
            whole site.
        start, stop : datetime, float or str
            With a time zone; or UTC seconds; or ISO 8601 text with a time zone.
            May have begun already.
        hard : bool
            True: nodes go at the start whatever runs on them. False: what runs
            then goes on to its next boundary.
        name : str or None
            By which it may be withdrawn, or declared again with other times;
            None: after its start.

        Returns
        -------
        str
            Its name. The same words again are no second window.

        Raises
        ------
        InvalidInputError
            With every fault.
        NotFoundError
            If nodes are up, and none has or had such a name.
        BackendError
            If the wish cannot be written.
        """
        asked = Asked(nodes=nodes, start=start, stop=stop, hard=hard, name=name)
        return self._declare(asked)

    def reserve(
        self,
        nodes: Nodes,
        start: Moment,
        stop: Moment,
        *,
        holder: str,
        name: str | None = None,
    ) -> str:
        """Keep nodes for a project or a simulation for a while.

        Others leave them by the start, after a checkpoint.

        Parameters
        ----------
        nodes, start, stop, name
            As for `maintenance`.
        holder : str
            Project or simulation.

        Returns
        -------
        str
            Its name.

        Raises
        ------
        InvalidInputError, NotFoundError, BackendError
            As for `maintenance`.
        """
        asked = Asked(nodes=nodes, start=start, stop=stop, holder=holder, name=name)
        return self._declare(asked)

    def withdraw(self, name: str) -> None:
        """End a window now, or let it not be.

        Parameters
        ----------
        name : str
            Of a maintenance or reservation.

        Raises
        ------
        NotFoundError
            If there is no such window; says which there are.
        BackendError
            If the wish cannot be written.
        """
        windows = windows_wanted(self._state(), self._folder)
        if name not in windows:
            raise NotFoundError(
                f"no window {name!r}; there are {sorted(windows) or 'none'}"
            )
        self._give(e.WindowWithdrawn(name=name))

    def _declare(self, asked: Asked) -> str:
        state = self._state()
        windows = windows_wanted(state, self._folder)
        window = make_window(
            asked,
            state=state,
            windows=windows,
            holders={
                *state.projects,
                *state.simulations,
                *self._submissions.holders,
            },
            now_s=time.time(),
        )
        if windows.get(window.name) != window:
            self._give(e.WindowDeclared(window=window))
        return window.name

    def _control(
        self,
        wish: e.PauseRequested
        | e.ResumeRequested
        | e.CancelRequested
        | e.PriorityRequested,
    ) -> None:
        state = self._state()
        # What only this script submitted is known to no driver elsewhere.
        elsewhere = self._live() is None and self._view.driven
        if elsewhere or wish.simulation not in self._submissions:
            known(state, wish.simulation)
        self._give(wish)

    def _give(self, wish: e.Wish) -> None:
        give(self._folder, wish, self._live())

    def _live(self) -> Run | None:
        run = self._run
        return run if run is not None and run.alive else None

    def _state(self) -> CampaignState:
        run = self._live()
        return self._view.state() if run is None else run.state()
