"""Runs the commands of a batch system, which may fail, hang or lie."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass

from climorch.sites.batch.jobs import Call

__all__ = ["Answer", "run"]

# What a command prints beyond that is cut off.
MOST_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a call.

    Attributes
    ----------
    code : int or None
        Its exit code; None: it did not end in time, or could not be started.
        What it was to do may have been done all the same.
    stdout, stderr : str
        What it printed.
    """

    code: int | None
    stdout: str = ""
    stderr: str = ""

    @property
    def good(self) -> bool:
        """Whether it did what it was to do."""
        return self.code == 0

    @property
    def fault(self) -> str:
        """What it said was wrong, in one line."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        said = "; ".join(lines[-3:])[:500]
        if self.code is None:
            return said or "no answer in time"
        return said or f"exit code {self.code}"


async def run(call: Call, *, timeout_s: float) -> Answer:
    """Run a command without a shell; end it with all that it started if it hangs.

    Parameters
    ----------
    call : Call
        What.
    timeout_s : float
        Seconds that it may take.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *call.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **call.env},
            start_new_session=True,
        )
    except OSError as error:
        return Answer(code=None, stderr=f"{call.argv[0]}: {error.strerror}")
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate(call.stdin.encode())
    except TimeoutError:
        return Answer(
            code=None, stderr=f"{call.argv[0]} gave no answer in {timeout_s:.0f} s"
        )
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Answer(
        code=process.returncode,
        stdout=out[:MOST_BYTES].decode(errors="replace"),
        stderr=err[:MOST_BYTES].decode(errors="replace"),
    )
