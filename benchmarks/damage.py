"""Damage of any kind to checkpoints: all is found, and the newest good one restored.

Three checkpoints, the third linked to the second, which shares no file with the
first. Hypothesis chooses one to three damages at once: flipped bits, cuts, zeros,
files that are empty, missing, too long, swapped with others or those of an older
checkpoint; manifests and metadata among them. After each, every damaged file must be
reported and no other, and the newest checkpoint that is whole be restored, with its
very values; else the initial state. Then a journal is damaged in the same ways: it
has to be refused, or to hold every row unchanged.

The bar: at least 2,000 damages, all found, every rung right. With ``--quick`` a tenth.

    uv run python benchmarks/damage.py [--quick]
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from benchmarks.bench import RESULTS, Figures, report
from climorch.storage import durable
from climorch.testing.damage import (
    Damage,
    damages,
    harm_journal,
    look,
    make_scene,
    write_journal,
)

BAR = 2000
MEMORY = Path("/dev/shm")


def tried(folder: Path, most: int) -> Figures:
    """Damage checkpoints and the journal; return counts."""
    (folder / "base").mkdir()
    scene = make_scene(folder / "base")
    journal = write_journal(folder / "journal.sqlite")
    kinds: Counter[str] = Counter()
    rungs: Counter[int] = Counter()
    counts: Counter[str] = Counter()
    faults: list[str] = []
    numbers = itertools.count()

    @settings(
        max_examples=most,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(damages)
    def inflict(chosen: list[Damage]) -> None:
        place = folder / str(next(numbers))
        place.mkdir()
        found = look(scene, chosen, place)
        durable.remove_tree(place)
        faults.extend(found.faults)
        if found.damaged:
            counts["damages"] += len(chosen)
            counts["files"] += found.damaged
            kinds.update(damage.kind for damage in chosen)
            rungs[found.rung] += 1
        for damage in chosen[:1]:
            problem = harm_journal(journal, damage, folder / "harmed.sqlite")
            counts[f"journal_{problem}"] += 1
            if problem == "wrong":
                faults.append(f"the journal is wrong after {damage}")

    inflict()
    for fault in faults[:5]:
        print(fault)
    return {
        "damages": counts["damages"],
        "files_damaged": counts["files"],
        "faults": len(faults),
        **{f"kind_{kind}": count for kind, count in sorted(kinds.items())},
        **{f"rung_{rung or 'init'}": n for rung, n in sorted(rungs.items())},
        **{key: n for key, n in sorted(counts.items()) if key.startswith("journal")},
    }


def main() -> int:
    """Damage, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    share = 0.1 if parser.parse_args().quick else 1.0
    logging.disable(logging.CRITICAL)
    RESULTS.mkdir(exist_ok=True)
    begin_s = time.process_time()
    where = MEMORY if MEMORY.is_dir() else RESULTS
    with tempfile.TemporaryDirectory(dir=where) as folder:
        figures = tried(Path(folder), round(1600 * share))
    figures["cpu_s"] = time.process_time() - begin_s
    report("damage", figures)
    enough = int(figures["damages"]) >= BAR * share
    print(f"bar: {BAR * share:.0f} damages, all found, every rung right")
    return 0 if enough and not figures["faults"] else 1


if __name__ == "__main__":
    sys.exit(main())
