"""From what a script submitted, and wishes that wait, to a driver that runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from climorch.core.fold import apply
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.core.site_ports import Site
from climorch.core.state import CampaignState
from climorch.engine.archiving import open_archive
from climorch.engine.driver import DriverSpec
from climorch.engine.keeper import RecordKeeper
from climorch.engine.session import Run, open_journal
from climorch.errors import BackendError
from climorch.intake.submissions import Submissions
from climorch.model.alarm import Alarm
from climorch.model.events import Fact, WishTaken
from climorch.sites.importable import refuse_while_imported
from climorch.storage import inbox

__all__ = ["launch"]

logger = logging.getLogger(__name__)


def launch(
    root: Path,
    campaign: str,
    submissions: Submissions,
    policies: Policies,
    site: Site,
    on_alarm: Callable[[Alarm], None] | None = None,
) -> Run:
    """Hold the journal, check what it says against the site and run.

    Parameters
    ----------
    root : Path
        Folder of all campaigns.
    campaign : str
        Which.
    submissions : Submissions
        What the script submitted.
    policies : Policies
        The rules.
    site : Site
        Where nodes come from.
    on_alarm : callable or None
        Told of what needs a person.

    Returns
    -------
    Run
        Already on its way.

    Raises
    ------
    InvalidInputError
        If a simulation can never run there, there can be no such archive, or a node
        process that imports its script runs this.
    ConflictError
        If another driver holds the journal.
    """
    refuse_while_imported()
    open_archive(policies.archive, campaign)
    journal = open_journal(root, campaign)
    keeper = RecordKeeper(journal, identity=journal.identity)
    try:
        state = _replayed(keeper, policies)
        facts = _news(state, submissions, root / campaign)
        submissions.require_runnable(state, site)
    except BaseException:
        keeper.release()
        raise
    spec = DriverSpec(
        root=root,
        campaign=campaign,
        workflows=dict(submissions.workflows),
        facts=facts,
        policies=policies,
        on_alarm=on_alarm,
    )
    return Run(spec, site, keeper)


def _replayed(keeper: RecordKeeper, policies: Policies) -> CampaignState:
    orchestrator = Orchestrator(policies)
    orchestrator.replay(keeper.replayed())
    return orchestrator.state


def _news(
    state: CampaignState, submissions: Submissions, folder: Path
) -> tuple[Fact, ...]:
    """Return what the journal has not, and let the state have it."""
    # Before anything starts: a simulation may have been cancelled since.
    wishes = [w for w in _waiting(folder) if w.id not in state.wishes]
    facts = (*submissions.news(state), *wishes)
    for fact in facts:
        apply(state, fact, state.now_s)
    return facts


def _waiting(folder: Path) -> tuple[WishTaken, ...]:
    try:
        return inbox.look(folder / inbox.FOLDER).wishes
    except BackendError as error:
        # The driver looks again, and tells an alarm if that fails too.
        logger.warning("wishes that wait were not read: %s", error)
        return ()
