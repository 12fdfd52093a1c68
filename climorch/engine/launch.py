"""From what a script submitted to a driver that runs, or to rows of the journal."""

from __future__ import annotations

import time
from importlib.metadata import version
from pathlib import Path

from climorch.core.orchestrator import Orchestrator
from climorch.core.ports import Site
from climorch.core.progress import Policies
from climorch.engine.driver import DriverSpec
from climorch.engine.keeper import RecordKeeper
from climorch.engine.session import Run, open_journal, read_state
from climorch.intake.submissions import Submissions
from climorch.model.events import CampaignOpened, Fact

__all__ = ["journal_now", "launch"]


def launch(
    root: Path,
    campaign: str,
    submissions: Submissions,
    policies: Policies,
    site: Site,
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

    Returns
    -------
    Run
        Already on its way.

    Raises
    ------
    InvalidInputError
        If a simulation can never run there.
    ConflictError
        If another driver holds the journal.
    """
    keeper = RecordKeeper(open_journal(root, campaign))
    try:
        orchestrator = Orchestrator(policies)
        orchestrator.replay(keeper.replayed())
        facts = submissions.news(orchestrator.state)
        submissions.require_runnable(orchestrator.state, site)
    except BaseException:
        keeper.release()
        raise
    spec = DriverSpec(
        root=root,
        campaign=campaign,
        workflows=dict(submissions.workflows),
        facts=tuple(facts),
        policies=policies,
    )
    return Run(spec, site, keeper)


def journal_now(
    root: Path, campaign: str, submissions: Submissions, fact: Fact
) -> None:
    """Journal a fact while no driver runs, after what it may be about."""
    keeper = RecordKeeper(open_journal(root, campaign))
    try:
        state = read_state(root, campaign)
        facts = [*submissions.news(state), fact]
        if not state.campaign:
            facts.insert(
                0, CampaignOpened(campaign=campaign, version=version("climorch"))
            )
        keeper.append_now(facts, now_s=time.time())
    finally:
        keeper.release()
