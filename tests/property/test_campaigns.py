"""Random campaigns with everything going wrong that can."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.windows import Window
from climorch.policy.sharing import Sharing
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.fake_world import Chances
from climorch.testing.seeds.actions import moved_end
from climorch.testing.strategies import policies, submissions
from tests.property.rig import Rig

ROUGH = Chances(
    segment=0.05,
    restore=0.1,
    checkpoint=0.15,
    copy=0.2,
    rule=0.1,
    damage=0.1,
    repeat=0.2,
    late=0.3,
    lost=0.5,
)
NODES = tuple(f"n{i}" for i in range(6))
NO_CHANCE = Chances()

names = st.integers(0, 7)
seeds = st.integers(0, 2**32 - 1)


Wish = e.PauseRequested | e.ResumeRequested | e.CancelRequested
# Small: the same wish is told again, and another one under its name never counts.
WISH_IDS = st.integers(0, 20).map("{:020d}-0123456789ab".format)
WISHES: tuple[type[Wish], ...] = (
    *3 * (e.PauseRequested,),
    *4 * (e.ResumeRequested,),
    e.CancelRequested,
)


class Campaign(RuleBasedStateMachine):
    """Everything a user and a machine room may do to a campaign."""

    rig: Rig

    @initialize(
        submitted=submissions(),
        rules=policies(),
        seed=seeds,
        nodes=st.integers(1, 6),
        rough=st.sampled_from((True, True, True, False)),
        storm=st.sampled_from((0.0, 0.05, 0.2)),
    )
    def open(
        self,
        submitted: tuple[e.SimulationSubmitted, ...],
        rules: Policies,
        seed: int,
        nodes: int,
        rough: bool,
        storm: float,
    ) -> None:
        self.rig = Rig(rules, seed=seed, chances=ROUGH if rough else NO_CHANCE)
        self.rig.start(e.CampaignOpened(campaign="drawn", version="0"), *submitted)
        self.rig.storm = storm
        for node in NODES[:nodes]:
            self.rig.world.join(node, 0.0)

    def pick(self, index: int) -> str:
        known = list(self.rig.orchestrator.state.simulations)
        return known[index % len(known)]

    @rule(steps=st.integers(1, 30))
    def go_on(self, steps: int) -> None:
        for _ in range(steps):
            self.rig.step()

    @rule(index=st.integers(0, 5))
    def lose_node(self, index: int) -> None:
        self.rig.world.lose(NODES[index], self.rig.now_s)

    @rule(index=st.integers(0, 5), memory=st.sampled_from((0, 10, 2000)))
    def join_node(self, index: int, memory: int) -> None:
        # Of a node that is up: it came back before its loss was noticed.
        self.rig.world.join(NODES[index], self.rig.now_s, memory_bytes=memory)

    @rule(steps=st.integers(20, 60))
    def go_on_long(self, steps: int) -> None:
        self.go_on(steps)

    @rule(index=names, wish=st.sampled_from(WISHES))
    def wish(self, index: int, wish: type[Wish]) -> None:
        self.rig.handle([wish(simulation=self.pick(index))])

    @rule(index=names, wish=st.sampled_from(WISHES), id=WISH_IDS)
    def wish_from_elsewhere(self, index: int, wish: type[Wish], id: str) -> None:
        asked = wish(simulation=self.pick(index))
        self.rig.handle([e.WishTaken(id=id, by="me", given_s=0.0, wish=asked)])

    @rule(index=st.integers(0, 5), undo=st.booleans())
    def drain(self, index: int, undo: bool) -> None:
        kind = e.UndrainRequested if undo else e.DrainRequested
        self.rig.handle([kind(node=NODES[index])])

    @rule(
        name=st.sampled_from("uvw"),
        nodes=st.sets(st.sampled_from(NODES), max_size=3),
        count=st.integers(0, 3),
        start_s=st.sampled_from((-20.0, 0.0, 20.0, 200.0)),
        takes_s=st.sampled_from((30.0, 300.0)),
        hard=st.booleans(),
        holder=st.sampled_from(("", "s0", "s1", "default", "others")),
    )
    def declare_window(
        self,
        name: str,
        nodes: set[str],
        count: int,
        start_s: float,
        takes_s: float,
        hard: bool,
        holder: str,
    ) -> None:
        start_s += self.rig.now_s
        window = Window(
            name=name,
            start_s=start_s,
            stop_s=start_s + takes_s,
            nodes=tuple(sorted(nodes)),
            count=0 if nodes else count,
            hard=hard,
            holder=holder,
        )
        self.rig.handle([e.WindowDeclared(window=window)])

    @rule(name=st.sampled_from("uvw"))
    def withdraw_window(self, name: str) -> None:
        self.rig.handle([e.WindowWithdrawn(name=name)])

    @rule(index=names, priority=st.integers(-2, 2))
    def prioritize(self, index: int, priority: int) -> None:
        self.rig.handle(
            [e.PriorityRequested(simulation=self.pick(index), priority=priority)]
        )

    @rule(index=names, more=st.sampled_from((-1, 1, 2)), nodes=st.integers(1, 3))
    def change(self, index: int, more: int, nodes: int) -> None:
        state = self.rig.orchestrator.state.simulations[self.pick(index)]
        plan = moved_end(state, more=more, nodes=nodes)
        if plan is not None:
            self.rig.handle(
                [
                    e.SimulationChanged(
                        simulation=state.name, scenario=state.scenario, plan=plan
                    )
                ]
            )

    @rule(
        kind=st.sampled_from((c.StartAttempt, c.StartSegment, c.BeginCheckpoint)),
        cause=st.sampled_from(Cause),
    )
    def fail_next(self, kind: type[c.Command], cause: Cause) -> None:
        self.rig.world.fail_next(kind, cause)

    @precondition(lambda self: not self.rig.orchestrator.state.stopping)
    @rule()
    def stop(self) -> None:
        self.rig.handle([e.StopRequested()])

    @rule(
        executed=st.none() | st.integers(0, 5),
        half_life_s=st.none() | st.sampled_from((30.0, 5e3)),
    )
    def crash(self, executed: int | None, half_life_s: float | None) -> None:
        if half_life_s is not None:
            # The script that is run again may have other settings.
            sharing = Sharing(half_life_s=half_life_s)
            self.rig.policies = dataclasses.replace(self.rig.policies, sharing=sharing)
        facts = self.rig.world.due(self.rig.world.next_at_s or 0.0)
        self.rig.crash(facts, executed=executed)
        for node in NODES[:4]:
            self.rig.world.join(node, self.rig.now_s)

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            self.rig.finish()


def test_whatever_happens_every_invariant_holds_and_what_may_finish_finishes() -> None:
    """No interleaving of failures, wishes and crashes breaks an invariant."""
    run_state_machine_as_test(Campaign)


@given(
    submitted=submissions(most_simulations=3, most_segments=3),
    rules=policies(patient=True),
    seed=seeds,
    data=st.data(),
)
def test_a_new_driver_goes_on_from_every_prefix_of_the_journal(
    submitted: tuple[e.SimulationSubmitted, ...],
    rules: Policies,
    seed: int,
    data: st.DataObject,
) -> None:
    """A driver that dies after any transaction is followed by one that finishes."""
    first = Rig(rules, seed=seed, chances=ROUGH)
    first.start(*submitted)
    for node in NODES[:4]:
        first.world.join(node, 0.0)
    for _ in range(40):
        first.step()
    for end in data.draw(
        st.lists(st.sampled_from(first.ends), min_size=1, max_size=3, unique=True)
    ):
        second = Rig(rules, seed=seed, chances=NO_CHANCE, disk=FakeDisk())
        second.resume(first, end)
        second.start()
        second.finish()
