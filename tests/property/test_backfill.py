"""What every rule of backfill keeps to, whatever the nodes and the queue are."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from climorch.policy.availability import Profile
from climorch.policy.backfill import RULES, conservative, easy, fcfs, sjbf
from climorch.policy.bits import lowest
from climorch.policy.queueing import Plan, Request, Reservation, Rule
from tests.property.counting import easy_starts

NODES = 7
EVERY = (1 << NODES) - 1
NOW_S = 10

masks = st.integers(0, EVERY)
rules = st.sampled_from(sorted(RULES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Nodes that nobody may use for a while.

    Attributes
    ----------
    nodes : int
        Which.
    start_s, stop_s : int
        From when until before when.
    """

    nodes: int
    start_s: int
    stop_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A machine, what runs on it and who waits.

    Attributes
    ----------
    running : tuple of (int, int)
        Nodes, and when they are given back by the estimate.
    windows : tuple of Window
        Services and deadlines.
    queue : tuple of Request
        Who waits.
    """

    running: tuple[tuple[int, int], ...]
    windows: tuple[Window, ...]
    queue: tuple[Request, ...]

    @property
    def profile(self) -> Profile:
        """What is free when."""
        profile = Profile(EVERY, start_s=NOW_S)
        for nodes, stop_s in self.running:
            profile = profile.take(nodes, NOW_S, stop_s)
        for window in self.windows:
            profile = profile.block(window.nodes, window.start_s, window.stop_s)
        return profile


def queues(*, alike: bool) -> st.SearchStrategy[tuple[Request, ...]]:
    """Make queues; of requests that some nodes will not do for, or of any."""
    asked = st.lists(
        st.tuples(
            st.integers(1, NODES), st.integers(1, 25), st.just(-1) if alike else masks
        ),
        max_size=8,
    )
    return asked.map(
        lambda found: tuple(
            Request(
                name=f"r{place}", nodes=nodes, estimate_s=estimate_s, eligible=eligible
            )
            for place, (nodes, estimate_s, eligible) in enumerate(found)
        )
    )


def disjoint(found: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Let no node run two things."""
    seen, kept = 0, []
    for nodes, stop_s in found:
        kept.append((nodes & ~seen, stop_s))
        seen |= nodes
    return tuple((nodes, stop_s) for nodes, stop_s in kept if nodes)


holding = st.lists(st.tuples(masks, st.integers(NOW_S + 1, 40)), max_size=5).map(
    disjoint
)
windows = st.lists(
    st.builds(
        lambda nodes, start_s, lasts_s: Window(
            nodes=nodes, start_s=start_s, stop_s=start_s + lasts_s
        ),
        masks,
        st.integers(0, 40),
        st.integers(1, 20),
    ),
    max_size=3,
).map(tuple)
scenes = st.builds(Scene, running=holding, windows=windows, queue=queues(alike=False))
plain = st.builds(Scene, running=holding, windows=st.just(()), queue=queues(alike=True))


def places(plan: Plan, queue: tuple[Request, ...]) -> dict[str, Reservation]:
    """Name where and when everybody runs that has nodes, now or later."""
    asked = {request.name: request for request in queue}
    now = {
        name: Reservation(
            start_s=NOW_S, stop_s=NOW_S + asked[name].estimate_s, nodes=nodes
        )
        for name, nodes in plan.starts.items()
    }
    return now | {n: place for n, place in plan.reservations.items() if place.nodes}


@given(scenes, rules)
def test_no_node_is_given_twice(scene: Scene, rule: str) -> None:
    """Who starts or has nodes reserved shares none of them with anybody else."""
    plan = RULES[rule](scene.profile, scene.queue, NOW_S)
    held = [
        *(Reservation(start_s=NOW_S, stop_s=s, nodes=n) for n, s in scene.running),
        *places(plan, scene.queue).values(),
    ]

    for at, one in enumerate(held):
        for other in held[:at]:
            together = one.start_s < other.stop_s and other.start_s < one.stop_s
            assert not (together and one.nodes & other.nodes)


@given(scenes, rules)
def test_everybody_gets_what_was_asked_for(scene: Scene, rule: str) -> None:
    """A start is on as many nodes as asked for, all of them among those that do."""
    plan = RULES[rule](scene.profile, scene.queue, NOW_S)
    placed = places(plan, scene.queue)

    for request in scene.queue:
        if request.name in placed:
            place = placed[request.name]
            assert place.nodes.bit_count() == request.nodes
            assert place.nodes & ~request.eligible == 0
            assert place.stop_s - place.start_s == request.estimate_s
    assert placed.keys() & set(plan.never) == set()


@given(scenes, rules)
def test_nothing_runs_on_a_node_within_a_window(scene: Scene, rule: str) -> None:
    """No start and no reservation reaches into a window of one of its nodes."""
    plan = RULES[rule](scene.profile, scene.queue, NOW_S)

    for place in places(plan, scene.queue).values():
        for window in scene.windows:
            within = place.start_s < window.stop_s and window.start_s < place.stop_s
            assert not (within and place.nodes & window.nodes)


@settings(max_examples=300)
@given(scenes, st.sampled_from([easy, sjbf]))
def test_who_overtakes_never_delays_the_head(scene: Scene, rule: Rule) -> None:
    """The head can start as early after the others have overtaken it as before."""
    before = fcfs(scene.profile, scene.queue, NOW_S)
    after = rule(scene.profile, scene.queue, NOW_S)

    assert after.reservations == before.reservations
    assert list(after.starts)[: len(before.starts)] == list(before.starts)
    if before.shadow is not None:
        head = before.shadow.head
        slot = after.profile.earliest(
            head.nodes, head.estimate_s, eligible=head.eligible, not_before_s=NOW_S
        )
        assert slot is not None
        assert slot.start_s == before.shadow.start_s


@given(scenes)
def test_who_still_waits_would_have_delayed_the_head(scene: Scene) -> None:
    """After EASY nobody is left that could start without delay to the head."""
    plan = easy(scene.profile, scene.queue, NOW_S)
    if plan.shadow is None:
        return
    head = plan.shadow.head
    for request in scene.queue:
        if request.name in {*plan.starts, *plan.never, head.name}:
            continue
        stop_s = NOW_S + request.estimate_s
        free = plan.profile.free_over(NOW_S, stop_s) & request.eligible
        if free.bit_count() < request.nodes:
            continue
        # Whichever nodes it took, the head would find too few at its time: try the
        # kindest choice, those that the head has no use for.
        kind = lowest(free & ~plan.shadow.usable, request.nodes)
        kind |= lowest(free & plan.shadow.usable, request.nodes - kind.bit_count())
        without = plan.profile.take(kind, NOW_S, stop_s)
        slot = without.earliest(
            head.nodes, head.estimate_s, eligible=head.eligible, not_before_s=NOW_S
        )
        assert slot is None or slot.start_s > plan.shadow.start_s


@given(plain)
def test_where_nodes_are_alike_the_starts_are_those_of_counting(scene: Scene) -> None:
    """FCFS, EASY and SJBF start whom the classical rules start, that only count."""
    running = [(float(stop_s), n.bit_count()) for n, stop_s in scene.running]
    queue = [(request.nodes, request.estimate_s) for request in scene.queue]

    for rule, options in (
        (fcfs, {"overtake": False}),
        (easy, {}),
        (sjbf, {"shortest_first": True}),
    ):
        plan = rule(scene.profile, scene.queue, NOW_S)
        expected = easy_starts(NODES, running, queue, NOW_S, **options)
        assert set(plan.starts) == {scene.queue[place].name for place in expected}


@given(scenes)
def test_conservative_places_everybody_or_says_never(scene: Scene) -> None:
    """Each request starts, has a reservation, or fits nowhere even alone."""
    plan = conservative(scene.profile, scene.queue, NOW_S)

    told = [*plan.starts, *plan.reservations, *plan.never]
    assert sorted(told) == sorted(request.name for request in scene.queue)
    for request in scene.queue:
        alone = scene.profile.earliest(
            request.nodes,
            request.estimate_s,
            eligible=request.eligible,
            not_before_s=NOW_S,
        )
        assert (alone is None) == (request.name in plan.never)


@given(scenes)
def test_conservative_lets_nobody_delay_those_before(scene: Scene) -> None:
    """Who is placed is placed the same whoever comes behind."""
    whole = places(conservative(scene.profile, scene.queue, NOW_S), scene.queue)

    for count in range(len(scene.queue)):
        fewer = scene.queue[:count]
        part = places(conservative(scene.profile, fewer, NOW_S), fewer)
        assert part == {r.name: whole[r.name] for r in fewer if r.name in whole}


@given(scenes, st.lists(st.integers(0, 30), min_size=1, max_size=6), st.data())
def test_conservative_never_delays_a_reservation(
    scene: Scene, steps: list[int], data: st.DataObject
) -> None:
    """Over early ends and newcomers nobody starts later than was ever promised."""
    estimates = {request.name: request.estimate_s for request in scene.queue}
    plan = conservative(scene.profile, scene.queue, NOW_S)
    queue = [r for r in scene.queue if r.name in plan.reservations]
    running = list(scene.running)
    now_s = NOW_S
    for number, step_s in enumerate(steps):
        running += [(n, now_s + int(estimates[who])) for who, n in plan.starts.items()]
        promised = plan.reservations
        due_s = min((p.start_s for p in promised.values()), default=now_s + step_s)
        now_s = int(min(now_s + step_s, due_s))
        running = [(nodes, stop_s) for nodes, stop_s in running if stop_s > now_s]
        profile = plan.profile.advance(now_s)
        early = data.draw(
            st.lists(st.sampled_from(running or [(0, now_s)]), unique=True)
        )
        for nodes, stop_s in early:
            running = [held for held in running if held != (nodes, stop_s)]
            profile = returned(profile, scene.windows, (nodes, stop_s), now_s)
        new = Request(name=f"new{number}", nodes=1 + step_s % NODES, estimate_s=9)
        estimates[new.name] = 9
        queue.append(new)

        plan = conservative(profile, queue, now_s, reserved=promised)

        for name, place in promised.items():
            assert name in plan.starts or (
                plan.reservations[name].start_s <= place.start_s
            )
        queue = [r for r in queue if r.name in plan.reservations]


def returned(
    profile: Profile, windows: tuple[Window, ...], held: tuple[int, int], now_s: int
) -> Profile:
    """Give nodes back early, but for what a window has of them."""
    nodes, stop_s = held
    for second in range(now_s, stop_s):
        left = nodes
        for window in windows:
            if window.start_s <= second < window.stop_s:
                left &= ~window.nodes
        profile = profile.give(left, second, second + 1)
    return profile
