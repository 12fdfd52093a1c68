"""Stories of checkpoints that are kept, pinned and let go."""

from __future__ import annotations

from climorch.core.keeping import over_budget_bytes
from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.budgeting import ByteBudget
from climorch.policy.checkpointing import EverySegments
from climorch.policy.retention import KeepLast
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

LONG = stage(boundaries=range(30))
YEAR_S = 365 * 86_400


def rules(size: int | None = None, *, keep: int = 99, full_every: int = 99) -> Policies:
    """A checkpoint at every boundary, and perhaps a budget."""
    return Policies(
        checkpointing=EverySegments(),
        limits=UNLIMITED,
        retention=KeepLast(count=keep),
        budget=None if size is None else ByteBudget(size=size),
        full_every=full_every,
    )


def begun(policies: Policies, *names: str) -> Script:
    """Let simulations have their states."""
    script = Script(policies)
    script.tell(*(submitted(LONG, name=name) for name in names))
    script.nodes(*(f"node-{name}" for name in names))
    for name in names:
        script.restored(simulation=name)
    return script


def written(
    script: Script, boundary: int, name: str = "s", size: int = 10, full: bool = False
) -> list[str]:
    """Let a simulation compute up to a boundary and commit so many bytes there."""
    script.finished(boundary - 1, simulation=name)
    fact = e.CheckpointCommitted(
        simulation=name,
        set="a",
        boundary=boundary,
        attempt=script.set(simulation=name).attempt,
        seconds=3.0,
        bytes_written=size - 3,
        bytes_salvaged=3,
        independent=full or boundary == 1,
    )
    told = script.tell(fact) + script.published(boundary, simulation=name)
    return [w for w in told if "delete" in w]


def deleted(
    script: Script, boundary: int, freed: int | None = None, name: str = "s"
) -> list[str]:
    """Let a deletion be done."""
    fact = e.CheckpointDeleted(
        simulation=name, set="a", boundary=boundary, bytes_freed=freed
    )
    return [w for w in script.tell(fact) if "delete" in w]


def test_bytes_are_counted_as_they_come_and_go() -> None:
    """What was written or taken over counts; a deletion gives back what it freed."""
    script = begun(rules(), "s")
    written(script, 1, size=100)
    written(script, 2)
    state = script.orchestrator.state

    assert (state.stored_bytes, script.set().stored_bytes) == (110, 110)
    deleted(script, 1, freed=10)
    assert (state.stored_bytes, script.set().stored_bytes) == (100, 100)
    # From a journal that did not count yet: what it had brought.
    deleted(script, 2)
    assert state.stored_bytes == 90
    # A repeated fact changes nothing, and nothing falls below nothing.
    deleted(script, 2)
    assert state.stored_bytes == 90
    script.tell(e.StorageCounted(simulation="s", set="a", bytes=7))
    assert (state.stored_bytes, script.set().stored_bytes) == (7, 7)
    script.tell(e.StorageCounted(simulation="gone", set="a", bytes=7))
    assert state.stored_bytes == 7


def test_what_takes_the_place_of_a_damaged_one_is_counted_once() -> None:
    """The damaged one was set aside, and its files with it."""
    script = begun(rules(), "s")
    written(script, 1, size=100)
    script.tell(
        e.CheckpointScrubbed(
            simulation="s", set="a", boundary=1, bad=("x",), damaged=True
        )
    )
    script.failed(1, e.Cause.NODE_LOST)
    script.restored()
    written(script, 1, size=30)

    assert (script.orchestrator.state.stored_bytes, script.set().stored_bytes) == (
        30,
        30,
    )


def test_a_budget_makes_room_over_all_simulations() -> None:
    """Who commits makes room, by what another one can spare the best."""
    script = begun(rules(100), "s", "t")
    for boundary in (1, 2, 3, 4, 5):
        assert written(script, boundary, "s") == []
    for boundary in (1, 2, 3, 4, 5):
        assert written(script, boundary, "t") == []

    assert written(script, 6, "t") == ["delete t.a 1"]
    # One that is under way counts as done.
    assert script.published(6, simulation="t") == []
    assert deleted(script, 1, 10, "t") == []
    assert written(script, 6, "s") == ["delete s.a 1"]
    command = deletion(script)
    assert (command.bytes, command.at_once) == (10, True)


def test_less_freed_than_thought_makes_more_go() -> None:
    """Files that others still have stay; the next one goes as well."""
    script = begun(rules(40), "s")
    for boundary in (1, 2, 3, 4):
        written(script, boundary)

    assert written(script, 5) == ["delete s.a 1"]
    assert deleted(script, 1, freed=4) == ["delete s.a 2"]
    assert deleted(script, 2, freed=10) == []


def test_a_budget_that_is_too_small_costs_no_fallback() -> None:
    """Two stay of each set, however far above the budget that is."""
    script = begun(rules(1), "s")
    for boundary in (1, 2):
        assert written(script, boundary, size=1000) == []

    assert written(script, 3, size=1000) == ["delete s.a 1"]
    deleted(script, 1, freed=1000)
    assert over_budget_bytes(script.orchestrator.state, script.policies) == 1999


def test_without_a_budget_nothing_is_over_it() -> None:
    """Whatever is stored."""
    script = begun(rules(), "s")
    written(script, 1, size=10**15)

    assert over_budget_bytes(script.orchestrator.state, script.policies) == 0


def test_retention_says_at_once_only_where_there_is_a_budget() -> None:
    """Else what is deleted waits in the trash for its readers."""
    for size in (None, 10**9):
        script = begun(rules(size, keep=2), "s")
        for boundary in (1, 2, 3):
            told = written(script, boundary)
        assert told == ["delete s.a 1"]
        command = deletion(script)
        assert command.at_once is (size is not None)


def test_a_pinned_checkpoint_stays_until_it_is_unpinned() -> None:
    """By retention and by the budget."""
    script = begun(rules(25, keep=2), "s")
    written(script, 1)
    pin = e.PinRequested(simulation="s", set="a", boundary=1)
    unpin = e.UnpinRequested(simulation="s", set="a", boundary=1)
    script.tell(wished("1", pin))
    for boundary in (2, 3):
        assert written(script, boundary) == []

    assert written(script, 4) == ["delete s.a 2"]
    told = script.tell(wished("2", unpin))
    assert told == ["delete s.a 1"]


def test_pins_of_what_is_not_there_change_nothing() -> None:
    """A wish may come from a process that knows an older state."""
    script = begun(rules(), "s")
    for kind in (e.PinRequested, e.UnpinRequested):
        for name, own in (("gone", "a"), ("s", "gone")):
            script.tell(kind(simulation=name, set=own, boundary=1))

    assert script.set().pins == frozenset()


def test_what_an_attempt_restores_from_stays() -> None:
    """Its nodes read lost blocks from there again, until the next commit."""
    script = begun(rules(1, keep=1), "s")
    for boundary in (1, 2, 3):
        written(script, boundary)
    deleted(script, 1, 10)
    script.failed(3, e.Cause.MODEL)

    assert script.set().from_boundary == 3
    script.restored()
    assert sorted(script.set().commits) == [2, 3]


def test_deletions_without_an_outcome_are_asked_for_again() -> None:
    """A driver that died in the middle of one counts nothing as gone."""
    script = begun(rules(20, keep=99), "s")
    for boundary in (1, 2, 3):
        written(script, boundary)
    assert script.set().commits[1].deleting

    told = script.restart("node-s")
    assert "delete s.a 1" in told
    assert deleted(script, 1, 10) == []
    assert script.orchestrator.state.stored_bytes == 20


def deletion(script: Script) -> c.DeleteCheckpoint:
    """Return the newest deletion that was asked for."""
    *_, found = (r for r, _ in script.journal if isinstance(r, c.DeleteCheckpoint))
    return found


def wished(number: str, wish: e.Wish) -> e.WishTaken:
    """Make a wish as it comes through the inbox."""
    return e.WishTaken(id=number, by="me", given_s=0.0, wish=wish)
