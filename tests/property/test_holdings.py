"""No worker ever has two owners, and none is lost for ever."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from climorch.engine.holdings import Holdings, Stand, Tenant

KEEP_S = 20.0
NAMES = st.sampled_from(["w0", "w1", "w2", "w3"])
CAMPAIGNS = st.sampled_from(["A", "B", "C"])


class Sharing(RuleBasedStateMachine):
    """Workers and campaigns come, go, die and answer in any order, late and twice."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Holdings()
        self.now_s = 0.0
        self.count = 0
        self.there: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        # Kept beside the table: who was told that it has a worker, and not yet lost it.
        self.owners: dict[str, set[str]] = {}
        self.clearing: set[str] = set()
        self.present: dict[str, int | None] = {}

    @rule(name=NAMES)
    def join(self, name: str) -> None:
        """A worker comes, under a new address; its name is free."""
        if name not in self.there.values():
            self.count += 1
            self.there[f"a{self.count}"] = name
            self.table.join(f"a{self.count}", name)

    @rule(name=NAMES)
    def die(self, name: str) -> None:
        """A worker goes, whatever it was doing."""
        for address in [a for a, n in self.there.items() if n == name]:
            del self.there[address]
            self.owners.pop(address, None)
            self.clearing.discard(address)
            self.table.gone(address, self.now_s, keep_s=KEEP_S)

    @rule(who=CAMPAIGNS, most=st.sampled_from([None, 1, 2]))
    def enter(self, who: str, most: int | None) -> None:
        """A campaign comes."""
        if who not in self.present:
            self.present[who] = most
            self.table.enter(Tenant(identity=who, epoch=1, most=most, who=who))

    @rule(who=CAMPAIGNS, killed=st.booleans())
    def exit(self, who: str, killed: bool) -> None:
        """A campaign goes, or its driver is killed."""
        left = self.table.exit(who, self.now_s, keep_s=KEEP_S if killed else 0.0)
        self.present.pop(who, None)
        for address, owners in self.owners.items():
            if who in owners:
                assert address in left
                owners.remove(who)
        self.clearing.update(left)

    @rule()
    def look(self) -> None:
        """The Dask scheduler offers what is free."""
        for address, who in self.table.offers(self.now_s):
            assert not self.owners.get(address)
            assert address not in self.clearing
            self.asked.append((address, who))

    @rule(data=st.data(), fit=st.booleans(), again=st.booleans())
    def answer(self, data: st.DataObject, fit: bool, again: bool) -> None:
        """Somebody answers an offer, perhaps an old one, perhaps twice."""
        if not self.asked:
            return
        address, who = data.draw(st.sampled_from(self.asked))
        if not again:
            self.asked.remove((address, who))
        if fit and self.table.accept(address, who):
            self.owners.setdefault(address, set()).add(who)
        elif not fit and self.table.decline(address, who):
            self.clearing.add(address)

    @rule(data=st.data())
    def cleared(self, data: st.DataObject) -> None:
        """A worker that was left has nothing of before any more."""
        if self.clearing:
            address = data.draw(st.sampled_from(sorted(self.clearing)))
            self.clearing.remove(address)
            self.table.cleared(address)

    @rule(seconds=st.sampled_from([1.0, 10.0, 25.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now_s += seconds

    @invariant()
    def nobody_shares_a_worker(self) -> None:
        """And the table says so too."""
        for address in self.there:
            owners = self.owners.get(address, set())
            assert len(owners) <= 1
            holder = self.table.holder(address)
            assert owners == (set() if holder is None else {holder})
            if holder is not None:
                assert holder in self.present
                assert address not in self.clearing

    @invariant()
    def nobody_has_more_than_its_number(self) -> None:
        """Which counts what it is asked about, too."""
        for who, most in self.present.items():
            held = len(self.table.held(who))
            assert most is None or held <= most

    def teardown(self) -> None:
        """Once all is answered and over, a campaign that comes has every worker."""
        for who in list(self.present):
            self.exit(who, killed=True)
        for address in sorted(self.clearing):
            self.table.cleared(address)
        self.now_s += KEEP_S
        self.table.enter(Tenant(identity="last", epoch=1, most=None, who="last"))
        for address, who in self.table.offers(self.now_s):
            assert who == "last"
            assert self.table.accept(address, who)
        assert set(self.table.held("last")) == set(self.there)
        assert {self.table.stand(a) for a in self.there} <= {Stand.HELD}


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
