"""What tasks say of themselves, and whom a wrong label is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from climorch.engine.tags import ANNOTATION, Tag, read_guest, read_service, read_tag
from climorch.errors import InvalidInputError

if TYPE_CHECKING:
    from distributed.scheduler import TaskState

__all__ = ["Labels"]

MOST_TOLD = 100


class Labels:
    """Reads labels; somebody's mistake is told once and is no reason to stop.

    Parameters
    ----------
    tell : callable
        Takes a message for the driver.
    """

    def __init__(self, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._tell = tell
        self._told: set[str] = set()

    def read(self, annotation: object) -> Tag | str | None:
        """Return a label, or the name of a guest, or None for a label of nobody.

        Parameters
        ----------
        annotation : object
            What a task carries under `ANNOTATION`.
        """
        if read_service(annotation) is not None:
            return None
        guest = read_guest(annotation)
        if guest is not None:
            return guest
        try:
            return read_tag(annotation)
        except InvalidInputError as error:
            if str(error) not in self._told and len(self._told) < MOST_TOLD:
                self._told.add(str(error))
                self._tell({"what": "mistagged", "message": str(error)})
        return None

    def each(
        self, tasks: Iterable[TaskState]
    ) -> Iterator[tuple[TaskState, Tag | str | None]]:
        """Yield tasks with what `read` returns for each; None for one without a label.

        Parameters
        ----------
        tasks : iterable of TaskState
            Of one graph, or of several.
        """
        # Most tasks of a graph carry the very same object.
        read: dict[int, Tag | str | None] = {}
        for state in tasks:
            annotation = (state.annotations or {}).get(ANNOTATION)
            tag = None if annotation is None else read.get(id(annotation), "")
            if tag == "":
                tag = read[id(annotation)] = self.read(annotation)
            yield state, tag

    def of(self, state: TaskState) -> Tag | None:
        """Return the label of a task; None: it is foreign work."""
        annotation = (state.annotations or {}).get(ANNOTATION)
        tag = None if annotation is None else self.read(annotation)
        return tag if isinstance(tag, Tag) else None
