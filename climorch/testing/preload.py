"""Libraries that bring storage trouble to whole processes, such as `preload.c`.

Decides how they are compiled and how a process comes to load them. Needs a C compiler.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from climorch.errors import BackendError
from climorch.testing.trouble import VARIABLE, TroubledStorage

__all__ = ["SOURCE", "build", "compiler", "environment_of", "loaded_first"]

SOURCE = Path(__file__).with_suffix(".c")
"""Of the library of troubles."""


def compiler() -> str | None:
    """Return the path of a C compiler; None: there is none."""
    return shutil.which("gcc") or shutil.which("cc")


def build(folder: Path, source: Path = SOURCE) -> Path:
    """Compile a library.

    Parameters
    ----------
    folder : Path
        Where it is put.
    source : Path
        Which; by default that of `climorch.testing.trouble`.

    Returns
    -------
    Path
        The library.

    Raises
    ------
    BackendError
        If there is no C compiler, or it fails.
    """
    found = compiler()
    if found is None:
        raise BackendError("there is no C compiler on PATH; install gcc")
    library = folder.absolute() / f"{source.stem}.so"
    command = [found, "-O1", "-shared", "-fPIC", "-o", str(library), str(source)]
    done = subprocess.run(
        [*command, "-ldl"], capture_output=True, check=False, text=True
    )
    if done.returncode:
        raise BackendError(f"{source} cannot be compiled: {done.stderr[-2000:]}")
    return library


def environment_of(storage: TroubledStorage, library: Path) -> Mapping[str, str]:
    """Say what a process needs in its environment, to come upon a trouble.

    Parameters
    ----------
    storage : TroubledStorage
        What is wrong, and when.
    library : Path
        From `build`.
    """
    return {**loaded_first(library), VARIABLE: str(storage.control)}


def loaded_first(library: Path) -> Mapping[str, str]:
    """Say what a process needs in its environment, to load a library before others."""
    others = os.environ.get("LD_PRELOAD")
    return {"LD_PRELOAD": str(library) if not others else f"{library}:{others}"}
