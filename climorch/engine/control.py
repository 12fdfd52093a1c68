"""What a user may ask of a campaign, from any process, and how it gets there.

One way for all: the wish becomes a file in the inbox, durable before the verb
returns. Whoever drives the campaign, now or next, takes it from there.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
from pathlib import Path

from climorch.core.state import CampaignState
from climorch.engine.session import Run
from climorch.errors import BackendError, Fault, InvalidInputError, NotFoundError
from climorch.model.events import WindowDeclared, WindowWithdrawn, Wish
from climorch.model.windows import Window
from climorch.storage import inbox

__all__ = ["check_node", "give", "windows_wanted"]

logger = logging.getLogger(__name__)

MOST_NAME = 256


def give(folder: Path, wish: Wish, run: Run | None) -> None:
    """Give a wish to whoever drives the campaign, now or next.

    Parameters
    ----------
    folder : Path
        Of the campaign.
    wish : Wish
        What is wanted.
    run : Run or None
        The driver, if it is in this process.

    Raises
    ------
    BackendError
        If the wish cannot be made durable and no driver is in this process.
    """
    try:
        inbox.put(folder / inbox.FOLDER, wish, by=_who())
    except BackendError as error:
        if run is None:
            raise
        # The disk is full or gone: the driver here can be told all the same.
        logger.warning("the wish is not durable before it is journaled: %s", error)
        run.post(wish)
    else:
        if run is not None:
            run.look()


def check_node(state: CampaignState, node: str) -> None:
    """Refuse the name of a node that there cannot be.

    Parameters
    ----------
    state : CampaignState
        What is known.
    node : str
        Name; while no driver runs nobody knows which there will be.

    Raises
    ------
    InvalidInputError
        If it is no name at all.
    NotFoundError
        If nodes are up and none has or had this name; says which there are.
    """
    if not (
        isinstance(node, str) and 0 < len(node) <= MOST_NAME and node.isprintable()
    ):
        fault = Fault(
            place="node",
            problem=f"{node!r} is no name of a node",
            remedy="take one from status().nodes",
        )
        raise InvalidInputError("no such node", faults=[fault])
    known = state.known_nodes
    if state.nodes and node not in known:
        raise NotFoundError(f"node {node!r} is not known; these are: {sorted(known)}")


def windows_wanted(state: CampaignState, folder: Path) -> dict[str, Window]:
    """Return the windows there are once every wish that waits is taken.

    Parameters
    ----------
    state : CampaignState
        What is known.
    folder : Path
        Of the campaign.

    Returns
    -------
    dict of str to Window
        By name.
    """
    windows = dict(state.windows)
    try:
        found = inbox.look(folder / inbox.FOLDER).wishes
    except BackendError as error:
        logger.warning("wishes that wait were not read: %s", error)
        found = ()
    for taken in found:
        wish = taken.wish
        if taken.id in state.wishes:
            continue
        if isinstance(wish, WindowDeclared):
            windows[wish.window.name] = wish.window
        elif isinstance(wish, WindowWithdrawn):
            windows.pop(wish.name, None)
    return windows


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A user id without an entry, as in containers.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} ({os.getpid()})"
