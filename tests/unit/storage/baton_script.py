"""A process that counts in a file while it holds the baton, and is killed with it.

Arguments: the file, and how often it counts.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from climorch.storage.baton import Baton


def main() -> None:
    """Add to the number in the file; die once that is done, holding the baton."""
    path, times = Path(sys.argv[1]), int(sys.argv[2])
    baton = Baton(path)
    for _ in range(times):
        with baton.held("count"):
            path.write_text(str(int(path.read_text()) + 1))
    with baton.held("die"):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
