"""Keeps as many jobs as are wanted: one loop that submits, asks and reconciles.

What the batch system tells is taken as it stands: a question that failed says
nothing, a job that is missing from an answer has ended for a reason that nobody
knows. Ignores which batch system it is, a `Dialect` knows, and what jobs are for.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from climorch.sites.batch.bulletin import Bulletin
from climorch.sites.batch.calls import Answer
from climorch.sites.batch.ends import NodeEnds
from climorch.sites.batch.jobs import Call, Dialect, Job, JobRequest, JobState
from climorch.sites.batch.refusals import Refusals
from climorch.sites.batch.renewal import (
    Bucket,
    Need,
    Renewal,
    lead_s,
    pause_s,
    renew,
)

__all__ = ["JobKeeper"]

logger = logging.getLogger(__name__)

# Maintenance is asked for with every so many questions about jobs.
CLOSURES_EVERY = 5
# Ends, and waits in the queue, that are remembered.
MOST_ENDED = 50


class JobKeeper:
    """The jobs of one site.

    Parameters
    ----------
    dialect : Dialect
        Commands of the batch system.
    request : JobRequest
        What each job is like; only its serial differs.
    wanted : Renewal
        How many are to be there.
    run : callable
        Runs a call and returns its answer.
    poll_s : float
        Seconds between two questions.
    now : callable
        UTC seconds.

    Attributes
    ----------
    known : dict of str to Job
        Jobs that are not over, by number.
    ended : list of Job
        The newest that are, in the order in which that was learned.
    ends : NodeEnds
        When nodes go.
    needed : Need
        What of it is needed, as far as somebody knows.
    bulletin : Bulletin
        Tells of trouble, and of jobs that wait.
    """

    def __init__(
        self,
        dialect: Dialect,
        request: JobRequest,
        wanted: Renewal,
        *,
        run: Callable[[Call], Awaitable[Answer]],
        poll_s: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.dialect = dialect
        self.request = request
        self.wanted = wanted
        self.known: dict[str, Job] = {}
        self.ended: list[Job] = []
        self.bulletin = Bulletin(dialect, request, now)
        self.needed = Need()
        self.run = run
        self._poll_s = poll_s
        self._now = now
        self._bucket = Bucket()
        self._serial, self._refusals = 0, Refusals()
        self._waits_s: list[float] = []
        self._released: set[str] = set()
        self.ends = NodeEnds(self._goes, now)
        self._not_before_s = -math.inf

    async def keep(self) -> None:
        """Look after the jobs until cancelled."""
        for turn in itertools.count():
            try:
                if turn % CLOSURES_EVERY == 0:
                    await self.ask_closures()
                await self.look()
            except Exception as error:
                # Whatever a batch system prints must not end the campaign.
                logger.exception("batch system")
                self.trouble("loop", f"batch system: {error}")
            await asyncio.sleep(self._poll_s)

    async def end(self, *, patience_s: float) -> None:
        """End all jobs: those that wait at once, the others as they give up.

        Parameters
        ----------
        patience_s : float
            Seconds that those which have nodes get to end by themselves.
        """
        end_s = self._now() + patience_s
        first = True
        while jobs := [job for job in await self._open() if not job.state.over]:
            late = self._now() >= end_s
            ids = [job.id for job in jobs if late or (first and job.state.waits)]
            if ids:
                await self.run(self.dialect.cancel(ids))
            if late:
                break
            first = False
            await asyncio.sleep(min(1.0, self._poll_s))
        self.known.clear()

    def again(self) -> None:
        """Tell all ends again, and try again what was refused for good."""
        self.ends.again()
        if self._refusals.final:
            self._refusals, self._not_before_s = Refusals(), -math.inf
            self.trouble("final", "")
        self.bulletin.post(again=True)

    async def _open(self) -> Iterable[Job]:
        """Return the jobs of ours; where nobody tells, those that were known."""
        jobs = await self._ask()
        return list(self.known.values()) if jobs is None else jobs

    async def look(self) -> None:
        """Ask once, tell what is new, and ask for what is missing."""
        try:
            if (jobs := await self._ask()) is not None:
                await self._reconcile(jobs)
        finally:
            self.bulletin.post()

    async def _reconcile(self, jobs: list[Job]) -> None:
        now_s = self._now()
        self._note(jobs, now_s)
        self.ends.tell(jobs)
        self.bulletin.waits(jobs)
        turn = renew(
            self.wanted,
            [self.ends.seen(job) for job in jobs],
            now_s=now_s,
            ahead_s=lead_s(self.wanted, self._waits_s),
            released=self._released,
            needed=self.needed,
        )
        if turn.cancel:
            await self.run(self.dialect.cancel(turn.cancel))
        if turn.release:
            self._released.update(turn.release)
            if (release := self.dialect.release(turn.release)) is not None:
                await self.run(release)
        self._bucket = self._bucket.at(now_s)
        if now_s >= self._not_before_s:
            for _ in range(int(min(turn.submit, self._bucket.tokens))):
                if not await self._submit():
                    break

    async def _ask(self) -> list[Job] | None:
        """Return all our jobs; None: nobody knows."""
        tag = self.request.tag
        ids: tuple[str, ...] = ()
        find = self.dialect.find(tag)
        if find is not None:
            answer = await self._told(find)
            ids = tuple(answer.stdout.split())
            if answer.good and not ids:
                self.trouble("query", "")
                return []
        if find is None or answer.good:
            answer = await self._told(self.dialect.query(tag, ids))
        if answer.good:
            try:
                jobs = self.dialect.jobs(answer.stdout, self.request.tag)
            except ValueError as error:
                answer = Answer(code=0, stderr=str(error))
            else:
                self.trouble("query", "")
                return jobs
        self.trouble("query", f"the batch system does not tell: {answer.fault}")
        return None

    async def _told(self, call: Call) -> Answer:
        """Ask; what says that there is nothing is an answer too."""
        answer = await self.run(call)
        if not answer.code or not self.dialect.nothing(answer.code, answer.stderr):
            return answer
        return replace(answer, code=0)

    async def _submit(self) -> bool:
        """Submit one job; return whether another one may follow."""
        self._bucket = self._bucket.take(1)
        self._serial += 1
        request = replace(self.request, serial=self._serial)
        answer = await self.run(self.dialect.submit(request))
        if answer.good:
            self._refusals = Refusals()
            self.trouble("submit", "")
            with contextlib.suppress(ValueError):
                number = self.dialect.submitted(answer.stdout)
                logger.info("job=%s submitted", number)
                # It may be over before the next question.
                self.known[number] = Job(id=number, state=JobState.QUEUED)
            return True
        # What came of it the next question tells: no second one before that.
        remedy = self.dialect.barred(answer.stderr)
        self._refusals = self._refusals.another(barred=bool(remedy))
        self._not_before_s = self._now() + self._refusals.pause_s(self._poll_s)
        told = self._refusals.told(answer.fault, remedy)
        self.trouble(self._refusals.subject, told)
        return False

    async def ask_closures(self) -> None:
        """Ask for maintenance."""
        if (call := self.dialect.closures()) is None:
            return
        if (answer := await self.run(call)).good:
            # Asked for rarely: what cannot be read stays as it was.
            with contextlib.suppress(ValueError):
                self.ends.closures = self.dialect.closed(answer.stdout)

    def _note(self, jobs: list[Job], now_s: float) -> None:
        """Compare with what was known: who began, and who ended, and why."""
        found = {job.id: job for job in jobs}
        for job in jobs:
            before = self.known.get(job.id)
            if job.state is JobState.RUNNING and (before is None or before.state.waits):
                logger.info("job=%s runs on=%s", job.id, ",".join(job.hosts))
                waited_s = job.started_s - job.submitted_s
                if before is not None and math.isfinite(waited_s):
                    self._waits_s.append(waited_s)
        # One that was over when we came is history.
        gone = [
            found.get(job.id, job)
            for job in self.known.values()
            if job.id not in found or found[job.id].state.over
        ]
        for job in gone:
            over = job if job.id in found else replace(job, state=JobState.UNKNOWN)
            logger.warning(
                "job=%s ended cause=%s reason=%s", job.id, over.state.value, job.reason
            )
            self.ended.append(over)
            self.ends.forget(job)
        del self.ended[:-MOST_ENDED], self._waits_s[:-MOST_ENDED]
        self.known = {job.id: job for job in jobs if not job.state.over}
        if gone:
            wait_s = pause_s(self.ended)
            self._not_before_s = max(self._not_before_s, now_s + wait_s)
            text = (
                f"job {self.ended[-1].id} ended as soon as it had begun; the next one "
                f"is tried in {wait_s:.0f} s; its log is {self.request.log}"
            )
            self.trouble("quick", text if wait_s else "")

    def _goes(self, node: str, end_s: float, why: str, recalled: bool) -> None:
        if self.bulletin.news is not None:
            self.bulletin.news.goes(node, end_s, why, recalled=recalled)

    def trouble(self, subject: str, message: str) -> None:
        """Tell what is wrong, or no longer (empty), once."""
        self.bulletin.trouble(subject, message)
