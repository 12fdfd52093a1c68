"""As which user a process runs, for whom others may run theirs."""

from __future__ import annotations

import os
import pwd

__all__ = ["this_user"]


def this_user() -> str:
    """Return the name of the user that this process runs as, or the number.

    Not by the environment, which may say anything.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
