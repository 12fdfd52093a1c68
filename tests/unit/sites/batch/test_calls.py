"""Commands that work, fail, hang, or are not there."""

from __future__ import annotations

from pathlib import Path

from climorch.sites.batch.calls import Answer, run
from climorch.sites.batch.jobs import Call


async def test_a_command_gets_its_input_and_environment() -> None:
    """And gives back what it printed."""
    call = Call(
        argv=("sh", "-c", "cat; printf %s $X; echo bad >&2; exit 3"),
        stdin="in ",
        env={"X": "out"},
    )
    answer = await run(call, timeout_s=30.0)

    assert answer == Answer(code=3, stdout="in out", stderr="bad\n")
    assert not answer.good
    assert answer.fault == "bad"


async def test_arguments_are_no_shell(tmp_path: Path) -> None:
    """What looks like a command is a word."""
    target = tmp_path / "made"
    answer = await run(Call(argv=("echo", f"; touch {target}")), timeout_s=30.0)

    assert answer.good
    assert not target.exists()


async def test_a_command_that_is_not_there_is_told() -> None:
    """Without an exit code: nobody knows what was done."""
    answer = await run(Call(argv=("no-such-program",)), timeout_s=30.0)

    assert answer.code is None
    assert answer.fault == "no-such-program: No such file or directory"


async def test_a_command_that_hangs_is_ended_with_what_it_started(
    tmp_path: Path,
) -> None:
    """Its children too."""
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $! $$ > {pids}; wait"
    answer = await run(Call(argv=("sh", "-c", script)), timeout_s=1.0)

    assert answer.code is None
    assert "no answer in 1 s" in answer.fault
    for pid in pids.read_text().split():
        assert _gone(pid)


def _gone(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_fault_is_never_without_words() -> None:
    """Where nothing was said, the code is."""
    assert Answer(code=7).fault == "exit code 7"
    assert Answer(code=None).fault == "no answer in time"
