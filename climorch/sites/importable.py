"""Scripts that node processes can import without running the campaign again."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from types import ModuleType

from climorch.errors import Fault, InvalidInputError

__all__ = ["imported_again", "refuse_while_imported", "require_guard"]

_REMEDY = (
    'put what submits and runs below `if __name__ == "__main__":`, or into a function '
    "that is called there"
)


def require_guard(main: ModuleType | None = None) -> None:
    """See that node processes may import the script that is being run.

    Python imports it anew in each process that it starts. Where nothing in it asks for
    its name, each of them would run the campaign.

    Parameters
    ----------
    main : module or None
        What is being run; None: what is.

    Raises
    ------
    InvalidInputError
        If nothing in it asks for ``__name__``.
    """
    path = imported_again(main or sys.modules["__main__"])
    if path is None:
        return
    try:
        source = path.read_text(errors="replace")
    except OSError:
        # Deleted since, or never a file: the processes will say so.
        return
    if "__name__" not in source:
        raise _unguarded(
            path,
            "nodes are processes that import this file, and it would run the campaign "
            "in each of them",
        )


def refuse_while_imported() -> None:
    """See that this is not a node process that imports its script.

    Raises
    ------
    InvalidInputError
        If it is.
    """
    # Python's own mark, for which it has no public name.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise _unguarded(
            Path(sys.argv[0]),
            "a process that was started to be a node imports this file, which runs "
            "the campaign there",
        )


def imported_again(main: ModuleType) -> Path | None:
    """Return the file that a new process imports as its script.

    Parameters
    ----------
    main : module
        What is being run.

    Returns
    -------
    Path or None
        None for an interactive session and for ``python -m package``: Python imports
        neither again.
    """
    spec = getattr(main, "__spec__", None)
    file = getattr(main, "__file__", None)
    package = spec is not None and spec.name.rpartition(".")[2] == "__main__"
    return None if file is None or package else Path(file)


def _unguarded(path: Path, problem: str) -> InvalidInputError:
    return InvalidInputError(
        "this script cannot be run on local nodes",
        faults=[Fault(place=str(path), problem=problem, remedy=_REMEDY)],
    )
