"""A shape of dependencies as a user's script that dies on the way.

Its only argument is JSON: ``root``, ``shape``, and ``call``: with which checkpoint.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from climorch import Campaign, LocalSite, Scenario
from climorch.testing.faults import die_in
from tests.live.cases import policies
from tests.shapes import NAME, SHAPES


def campaign_of(root: str | Path, shape: str) -> Campaign:
    """Return the campaign with its simulation submitted."""
    campaign = Campaign("c", root=root, policies=policies(every=1))
    campaign.submit(SHAPES[shape].build(), scenario=Scenario(NAME))
    return campaign


def main() -> None:
    """Run it until it dies."""
    given = json.loads(sys.argv[1])
    die_in("climorch.storage.commit.promote", call=given["call"], after=True)
    site = LocalSite(nodes=3, in_process=True)
    status = campaign_of(given["root"], given["shape"]).run(site)
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
