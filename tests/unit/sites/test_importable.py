"""Scripts that node processes would run again are refused, and told how to mend it."""

from __future__ import annotations

import multiprocessing
import runpy
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from climorch.errors import InvalidInputError
from climorch.sites.importable import (
    imported_again,
    refuse_while_imported,
    require_guard,
)

UNGUARDED = "run()\n"
GUARDED = 'if __name__ == "__main__":\n    run()\n'


def main_of(path: Path | None, name: str | None = None) -> ModuleType:
    """Return what Python has as ``__main__`` when it runs a file or a module."""
    main = ModuleType("__main__")
    main.__spec__ = None if name is None else ModuleSpec(name, None)
    if path is not None:
        main.__file__ = str(path)
    return main


def test_a_script_without_a_guard_is_refused_with_its_remedy(tmp_path: Path) -> None:
    """Its file is named, and what to do."""
    path = tmp_path / "months.py"
    path.write_text(UNGUARDED)

    with pytest.raises(InvalidInputError) as refused:
        require_guard(main_of(path))

    (fault,) = refused.value.faults
    assert fault.place == str(path)
    assert "import this file" in fault.problem
    assert fault.remedy.startswith("put what submits and runs below `if __name__ ==")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        # python months.py; python -m months; python -m months_package
        (GUARDED, None),
        (GUARDED, "months"),
        (UNGUARDED, "months_package.__main__"),
        (UNGUARDED, "__main__"),
    ],
)
def test_what_is_not_run_again_is_taken(
    tmp_path: Path, source: str, name: str | None
) -> None:
    """It has a guard, or Python imports it into no process."""
    path = tmp_path / "months.py"
    path.write_text(source)
    require_guard(main_of(path, name))


def test_a_module_that_is_run_by_name_is_imported_again(tmp_path: Path) -> None:
    """As a script is."""
    path = tmp_path / "months.py"
    path.write_text(UNGUARDED)
    assert imported_again(main_of(path, "months")) == path
    with pytest.raises(InvalidInputError, match=r"months\.py"):
        require_guard(main_of(path, "months"))


def test_sessions_and_files_that_are_gone_are_taken(tmp_path: Path) -> None:
    """Nothing can be read there."""
    require_guard(main_of(None))
    require_guard(main_of(tmp_path / "gone.py"))
    assert imported_again(main_of(None)) is None


def test_a_process_that_imports_its_script_runs_no_campaign(tmp_path: Path) -> None:
    """Python's own start of a process says so; the process itself may run one."""
    script = tmp_path / "months.py"
    script.write_text(
        "from climorch.sites.importable import refuse_while_imported\n"
        f"said = {str(tmp_path / 'said')!r}\n"
        "try:\n"
        "    refuse_while_imported()\n"
        "    text = 'taken'\n"
        "except Exception as error:\n"
        "    text = str(error)\n"
        "with open(said, 'a') as file:\n"
        "    file.write(__name__ + ' ' + text + '\\n')\n"
        "if __name__ == '__main__':\n"
        "    import multiprocessing\n"
        "    process = multiprocessing.get_context('spawn').Process(target=print)\n"
        "    process.start()\n"
        "    process.join()\n"
    )
    main, argv = sys.modules["__main__"], sys.argv
    try:
        # As python does it, within this process: what is started imports the file.
        sys.argv = [str(script)]
        sys.modules["__main__"] = main_of(script)
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.modules["__main__"], sys.argv = main, argv

    own, started = (tmp_path / "said").read_text().split("\n", 1)
    assert own == "__main__ taken"
    assert started.startswith("__mp_main__ this script cannot be run on local nodes")
    assert multiprocessing.active_children() == []


def test_this_process_may_run_one() -> None:
    """It has started long since."""
    refuse_while_imported()
