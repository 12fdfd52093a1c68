"""What a driver asks of the plugin on its Dask scheduler, where these run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from climorch.engine.metering import METRIC
from climorch.engine.nodes import node_name
from climorch.engine.plugin import NAME, LeasePlugin
from climorch.errors import InternalError
from climorch.model.usage import Usage

if TYPE_CHECKING:
    from distributed import Scheduler

__all__ = ["plugin_of", "set_leases", "take_leave", "take_measures"]


def plugin_of(scheduler: Scheduler) -> LeasePlugin:
    """Return the plugin of a Dask scheduler.

    Raises
    ------
    KeyError
        If there is none.
    """
    plugin = scheduler.plugins[NAME]
    if not isinstance(plugin, LeasePlugin):
        raise InternalError(f"plugin {NAME} is a {type(plugin).__name__}")
    return plugin


def set_leases(
    leases: Mapping[str, tuple[str, ...]],
    priorities: Mapping[str, int],
    dask_scheduler: Scheduler,
    client: str = "",
) -> list[str]:
    """Give the plugin new leases.

    Parameters
    ----------
    leases : mapping of str to tuple of str
        Simulation to the names of its nodes.
    priorities : mapping of str to int
        Simulation or guest to its priority.
    dask_scheduler : distributed.Scheduler
        Given by Dask.
    client : str
        Id of the driver's client.

    Returns
    -------
    list of str
        Exceptions of hooks so far; the driver stops on any.

    Raises
    ------
    NotFoundError
        If that driver's campaign is not on the Dask scheduler, or no more.
    """
    plugin = plugin_of(dask_scheduler)
    plugin.update(leases, priorities, client)
    return plugin.errors


def take_measures(
    simulation: str, stage: str, dask_scheduler: Scheduler, client: str = ""
) -> tuple[dict[str, float], Usage]:
    """Take what a segment took and used.

    Parameters
    ----------
    simulation, stage : str
        Whose.
    dask_scheduler, client
        As of `set_leases`.

    Returns
    -------
    paces : dict of str to float
        As `Paces.take`.
    usage : Usage
        As `Usages.take`.

    Raises
    ------
    NotFoundError
        As `set_leases`.
    """
    parties = plugin_of(dask_scheduler).parties
    party = parties.present(client)
    told = {
        node_name(worker.name): worker.metrics.get(METRIC) or {}
        for address, worker in dask_scheduler.workers.items()
        # Of a node of another campaign, whose simulation may have the same name.
        if parties.at(address) is party
    }
    usage = party.paces.usages.take(simulation, stage, told)
    return party.paces.take(simulation, stage), usage


def take_leave(dask_scheduler: Scheduler) -> None:
    """Remove the plugin from a Dask scheduler that goes on without it.

    What foreign tasks had asked for holds again.

    Parameters
    ----------
    dask_scheduler : distributed.Scheduler
        Given by Dask.
    """
    if NAME in dask_scheduler.plugins:
        plugin_of(dask_scheduler).close_down()
        dask_scheduler.remove_plugin(NAME)
