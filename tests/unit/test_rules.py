"""Rules that users import."""

from __future__ import annotations

import climorch
from climorch import rules


def test_each_rule_is_offered_once_and_documented() -> None:
    """What `climorch` itself offers is not offered here as well."""
    assert sorted(rules.__all__) == rules.__all__
    assert set(rules.__all__).isdisjoint(climorch.__all__)
    assert [n for n in rules.__all__ if not getattr(rules, n).__doc__] == []


def test_rules_fit_the_policies() -> None:
    """By default, and combined."""
    copying = rules.PartnerCopy() | rules.BeforeEvent()
    chosen = climorch.Policies(
        checkpointing=copying,
        limits=rules.Limits(most_overhead=0.01),
        moving=rules.Moving(early=0.0),
        scrub=rules.Scrub(after_s=1.0),
    )
    assert chosen.checkpointing == rules.AnyOf(
        strategies=(rules.PartnerCopy(), rules.BeforeEvent())
    )
