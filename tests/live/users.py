"""Other users of this machine, as whom a test does something."""

from __future__ import annotations

import functools
import os
import pickle
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

__all__ = ["MEMBER", "OUTSIDER", "TEAM", "as_user", "becoming", "harm", "may_become"]

T = TypeVar("T")

TEAM = 64_001
MEMBER, OUTSIDER = 64_002, 64_003
"""Nobody has these numbers: of a group, of one in it, and of one who is not."""


def as_user(user: int, groups: Iterable[int], what: Callable[[], T]) -> T:
    """Return what a function returns to another user.

    Parameters
    ----------
    user : int
        Who; also the number of the user's own group.
    groups : iterable of int
        Others that the user is in.
    what : callable
        Must import nothing: it runs in a fork, and our packages may be in a home
        that only we may enter.

    Raises
    ------
    RuntimeError
        If it raises anything.
    """
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups(list(groups))
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            os.write(theirs, pickle.dumps(what()))
            code = 0
        except BaseException as error:
            os.write(theirs, pickle.dumps(f"{type(error).__name__}: {error}"))
        finally:
            os._exit(code)
    os.close(theirs)
    with open(ours, "rb") as told:
        content = told.read()
    _, status = os.waitpid(pid, 0)
    found = pickle.loads(content)
    if status:
        raise RuntimeError(f"user {user}: {found}")
    return found  # type: ignore[no-any-return]


def becoming(user: int, *groups: int, umask: int = 0o022) -> tuple[str, ...]:
    """Return the command that runs another one as another user.

    It may read everything, as our packages may be in a home that only we may enter;
    in all else it is that user, and so is what it starts.

    Parameters
    ----------
    user : int
        Who; also the number of the user's own group.
    *groups : int
        Others that the user is in.
    umask : int
        Permissions that what it makes does not have.
    """
    named = ",".join(map(str, groups))
    member = f"--groups={named}" if groups else "--clear-groups"
    capability = "+dac_read_search"
    return (
        *("sh", "-c", f'umask {umask:o}; exec "$@"', "sh"),
        *("setpriv", f"--reuid={user}", f"--regid={user}", member),
        *("--inh-caps", capability, "--ambient-caps", capability),
    )


@functools.cache
def may_become() -> bool:
    """Tell whether this process may become another user that may read everything.

    Root in a container may often not, since it lacks that capability itself.
    """
    tried = subprocess.run([*becoming(OUTSIDER), "true"], capture_output=True)
    return tried.returncode == 0


def harm(paths: Iterable[Path]) -> list[str]:
    """Do all harm that one can to files and folders; return what was done.

    Parameters
    ----------
    paths : iterable of Path
        They stay as they are, whatever can be done.
    """
    return [f"{what} {path}" for path in paths for what in _done_to(path)]


def _done_to(path: Path) -> Iterable[str]:
    beside = path.with_name(f"{path.name}.stolen")
    ways: dict[str, Callable[[], object]] = {
        "permitted": lambda: path.chmod(0o777),
        "renamed": lambda: (path.rename(beside), beside.rename(path)),
    }
    # Of what may not even be looked at this says that it is no folder.
    if os.path.isdir(path):
        ways["planted into"] = lambda: _plant(path / "planted")
    else:
        ways["written"] = lambda: path.open("ab").close()
        ways["truncated"] = lambda: os.truncate(path, path.stat().st_size)
    for what, way in ways.items():
        try:
            way()
        except OSError:
            continue
        yield what


def _plant(path: Path) -> None:
    path.touch()
    path.unlink()
