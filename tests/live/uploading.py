"""A driver's upload of results, for tests that stop it in the middle.

Its only argument is JSON: ``url`` and ``options`` of the archive, ``root`` of the
campaign, ``epoch`` of the driver, ``stops`` (whether it stops itself once it has moved
the first file). Prints where the archive is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from climorch.storage.archive import Archived, ArchiveStore
from climorch.storage.depot import open_depot
from climorch.storage.results import ResultStore


def upload(given: dict[str, Any]) -> Archived:
    """Archive the results of stage ``ocean`` of simulation ``m01``."""
    depot = open_depot(given["url"], given["options"])
    archive = ArchiveStore(depot, "cmip", epoch=given["epoch"])
    stops = given.get("stops", False)

    def pace(count: int) -> None:
        nonlocal stops
        if stops:
            stops = False
            os.kill(os.getpid(), signal.SIGSTOP)

    results = ResultStore(given["root"], "cmip")
    done = archive.put_results(results, "m01", "ocean", pace=pace)
    assert done is not None
    return done


if __name__ == "__main__":
    sys.stdout.write(f"{upload(json.loads(sys.argv[1])).url}\n")
