"""What the books make of a record about the work of a set.

One small function per kind of record, in one table, as `core.fold` has them. A record
about an attempt that is over changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from climorch.forecast.accounts import Book, Done, Running, SetBook, year_s
from climorch.forecast.books import Books
from climorch.forecast.parts import Part
from climorch.model import commands as c
from climorch.model import events as e

__all__ = ["DRIVER_ENDED", "WORK", "break_off", "flush"]

DRIVER_ENDED = "driver ended"
"""Why work was lost, beside every `Cause`."""


def break_off(book: Book, s: SetBook) -> None:
    """Let nothing of an attempt go on."""
    for stage in sorted(s.running):
        running = book.lease.end(stage)
        running.turn(book.purse)
        s.lost.append((stage, running.all))
    s.running.clear()
    book.lease.restoring -= s.restoring
    book.lease.writing -= s.writing
    s.alive = s.restoring = s.writing = False


def _attempt(books: Books, command: c.StartAttempt) -> None:
    book = books.book(command.simulation)
    s = book.sets[command.set]
    flush(book, s, s.why)
    s.why = ""
    s.attempt, s.alive, s.restoring, s.owed = command.attempt, True, True, 0.0
    book.lease.restoring += 1


def _restored(books: Books, fact: e.SetRestored) -> None:
    found = books.current(fact)
    if found is not None and found[1].restoring:
        book, s = found
        s.restoring = False
        book.lease.restoring -= 1
        book.used(book.purse).bytes_read += fact.bytes_read


def _failed(
    books: Books, fact: e.RestoreFailed | e.SegmentFailed | e.CheckpointFailed
) -> None:
    found = books.current(fact)
    if found is None:
        return
    book, s = found
    s.why = fact.cause.value
    if isinstance(fact, e.CheckpointFailed) and s.writing:
        s.writing = False
        book.lease.writing -= 1


def _segment(books: Books, command: c.StartSegment) -> None:
    found = books.current(command)
    if found is None:
        return
    book, s = found
    stage = command.stage
    base = next(g for g in book.plan.stages if g.name == stage).resources.nodes
    running = Running(
        base=base,
        segment=command.segment,
        began_s=books.now_s,
        again_s=books.now_s,
    )
    book.lease.begin(stage, running)
    s.running.add(stage)


def _finished(books: Books, fact: e.SegmentFinished) -> None:
    found = books.current(fact)
    if found is None:
        return
    book, s = found
    stage = fact.stage
    running = book.lease.running.get(stage)
    if running is None or running.segment != fact.segment:
        return
    book.lease.end(stage)
    s.running.discard(stage)
    running.turn(book.purse)
    spends, stall = running.all, 0.0
    if fact.vain_s:
        # It went on with what was left of its lease, from its newest cut.
        took_s = books.now_s - running.again_s
        kept = (fact.seconds - fact.vain_s) / took_s if took_s > 0 else 1.0
        kept = min(max(kept, 0.0), 1.0)
        again = [(purse, x * (1 - kept)) for purse, x in running.earlier]
        book.lose(stage, running.vain + again, e.Cause.NODE_LOST.value)
        spends = [(purse, x * kept) for purse, x in running.earlier]
    elif fact.stall_s is not None:
        took_s = books.now_s - running.began_s
        stall = min(fact.stall_s / took_s, 1.0) if took_s > 0 else 0.0
    elif s.owed:
        whole = sum(x for _, x in spends)
        stall = min(s.owed / whole, 1.0) if whole else 0.0
        s.owed -= stall * whole
    s.finished[stage, fact.segment] = Done(spends, stall)


def _checkpoint(books: Books, command: c.BeginCheckpoint) -> None:
    found = books.current(command)
    if found is not None and not found[1].writing:
        found[1].writing = True
        found[0].lease.writing += 1


def _salvage(books: Books, command: c.SalvageCopy) -> None:
    found = books.current(command)
    if found is not None:
        book, s = found
        break_off(book, s)
        s.alive = s.writing = True
        book.lease.writing += 1


def _not_salvaged(books: Books, fact: e.SalvageFailed) -> None:
    found = books.current(fact)
    if found is not None and found[1].writing:
        found[1].writing = False
        found[0].lease.writing -= 1


def _abandoned(books: Books, command: c.AbandonAttempt) -> None:
    found = books.current(command)
    if found is not None:
        break_off(*found)


def _rolled_back(books: Books, decision: c.RolledBack) -> None:
    book = books.book(decision.simulation)
    s = book.sets[decision.set]
    why = decision.cause.value
    if s.why == DRIVER_ENDED:
        why = DRIVER_ENDED
    s.why = ""
    flush(book, s, why)
    plan = next(p for p in book.plan.sets if p.name == decision.set)
    counts = plan.segments_at[decision.boundary]
    beyond = [key for key in s.finished if key[1] >= counts[key[0]]]
    if beyond:
        s.forfeited = {key: (s.finished.pop(key), why) for key in beyond}
        for (stage, _), (done, _) in s.forfeited.items():
            book.lose(stage, done.spends, why)
    for stage, count in counts.items():
        kept = min(book.committed.get(stage, 0), count)
        book.committed[stage] = kept
    book.completed_s = book.completed_s if book.complete else None
    key = (book.purse, why)
    book.mishaps[key] = book.mishaps.get(key, 0) + 1


def _committed(books: Books, decision: c.SegmentCommitted) -> None:
    book = books.book(decision.simulation)
    stage, segment = decision.stage, decision.segment
    name = book.plan.set_of[stage]
    s = book.sets[name]
    done = s.finished.pop((stage, segment), None)
    if done is None and (stage, segment) in s.forfeited:
        # Its checkpoint was there all the while.
        done, why = s.forfeited.pop((stage, segment))
        book.lose(stage, [(purse, -x) for purse, x in done.spends], why)
    first = segment >= s.best.get(stage, 0)
    if done is not None:
        book.commit(stage, done, Part.USEFUL if first else Part.RECOMPUTED)
    book.committed[stage] = max(book.committed.get(stage, 0), segment + 1)
    if first:
        s.best[stage] = segment + 1
        purse = done.spends[-1][0] if done and done.spends else book.purse
        line = book.line(purse, stage)
        line.segments += 1
        if stage == name:
            line.model_years += _years(book, stage, segment)
    if book.completed_s is None and book.complete:
        book.completed_s = books.now_s


def flush(book: Book, s: SetBook, why: str) -> None:
    """Book what ran when an attempt ended."""
    for stage, spends in s.lost:
        book.lose(stage, spends, why)
    s.lost.clear()


def _years(book: Book, stage: str, segment: int) -> float:
    plan = next(g for g in book.plan.stages if g.name == stage)
    start, stop = plan.boundaries[segment : segment + 2]
    return (stop - start) / year_s(plan.calendar)


WORK: dict[type[Any], Callable[[Books, Any], None]] = {
    c.StartAttempt: _attempt,
    e.SetRestored: _restored,
    e.RestoreFailed: _failed,
    e.SegmentFailed: _failed,
    e.CheckpointFailed: _failed,
    c.StartSegment: _segment,
    e.SegmentFinished: _finished,
    c.BeginCheckpoint: _checkpoint,
    c.SalvageCopy: _salvage,
    e.SalvageFailed: _not_salvaged,
    c.AbandonAttempt: _abandoned,
    c.RolledBack: _rolled_back,
    c.SegmentCommitted: _committed,
}
