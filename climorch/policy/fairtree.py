"""Whose turn it is: the two fair-share rules that Slurm made known.

Orders the accounts of a tree by their shares and by what they have used. Ignores
how use is counted (`usage`) and how many nodes anybody should hold (`sharing`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from climorch.errors import Fault, InvalidInputError

__all__ = ["Account", "classic_factors", "fair_tree", "normalised_shares"]


class Account(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Somebody with a share: a project, or an institution and its projects.

    Attributes
    ----------
    name : str
        Its name; among accounts without children each occurs once in a tree.
    share : float
        What it is entitled to, relative to its siblings; finite, > 0.
    usage : float
        What it has used itself, in any unit that all accounts of the tree have;
        finite, >= 0. That of its children comes on top.
    children : tuple of Account
        Who divides its share.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    name: str
    share: float = 1.0
    usage: float = 0.0
    children: tuple[Account, ...] = ()

    def __post_init__(self) -> None:
        names = [leaf.name for child in self.children for leaf in child.leaves]
        if (
            0 < self.share < math.inf
            and 0 <= self.usage < math.inf
            and len({*names}) == len(names)
        ):
            # Trees are made in every pass: what is wrong is told below.
            return
        faults = []
        if not (math.isfinite(self.share) and self.share > 0):
            faults.append(
                Fault(
                    place=f"account {self.name!r}, share",
                    problem=f"got {self.share!r}, expected finite and > 0",
                    remedy="leave out who is entitled to nothing",
                )
            )
        if not (math.isfinite(self.usage) and self.usage >= 0):
            faults.append(
                Fault(
                    place=f"account {self.name!r}, usage",
                    problem=f"got {self.usage!r}, expected finite and >= 0",
                    remedy="pass what was used",
                )
            )
        counts = Counter(names)
        faults += [
            Fault(
                place=f"account {self.name!r}, children",
                problem=f"{name!r} is there {count} times",
                remedy="give each account a name of its own",
            )
            for name, count in counts.items()
            if count > 1
        ]
        raise InvalidInputError("this account cannot have a share", faults=faults)

    @property
    def leaves(self) -> tuple[Account, ...]:
        """Those at the bottom, in order; itself where it has no children."""
        if not self.children:
            return (self,)
        return tuple(leaf for child in self.children for leaf in child.leaves)

    @property
    def total_usage(self) -> float:
        """What it and all below it have used."""
        if not self.children:
            return self.usage
        return self.usage + sum([child.total_usage for child in self.children])


def normalised_shares(root: Account) -> dict[str, float]:
    """Compute which part of the whole each leaf is entitled to.

    Parameters
    ----------
    root : Account
        The whole; its own share does not matter.

    Returns
    -------
    dict of str to float
        Part by name of the leaf, in order; they sum to 1.
    """
    return {name: share for name, share, _ in _effective(root, whole=1.0)}


def classic_factors(root: Account, *, whole: float | None = None) -> dict[str, float]:
    """Compute Slurm's classic fair-share factors.

    Parameters
    ----------
    root : Account
        The whole.
    whole : float or None
        Usage that counts as all of the machine; None: that of all accounts.

    Returns
    -------
    dict of str to float
        ``2 ** (-effective usage / normalised share)`` by name of the leaf, in
        order. 1: used nothing; 0.5: used what it is entitled to. What siblings
        used beyond their own part weighs on a leaf, at every level but the first.

    References
    ----------
    Slurm documentation, Classic Fairshare Algorithm (classic_fair_share.html).
    """
    whole = root.total_usage if whole is None else whole
    return {
        name: math.exp2(-effective / share)
        for name, share, effective in _effective(root, whole=whole)
    }


def _effective(
    parent: Account, *, whole: float, share: float = 1.0, above: float | None = None
) -> Iterator[tuple[str, float, float]]:
    """Yield name, normalised share and effective usage of each leaf below."""
    shares = sum(child.share for child in parent.children)
    for child in parent.children:
        part = child.share / shares
        used = child.total_usage / whole if whole > 0 else 0.0
        # Those right below the root have nobody to inherit from.
        effective = used if above is None else used + (above - used) * part
        if child.children:
            yield from _effective(
                child, whole=whole, share=share * part, above=effective
            )
        else:
            yield child.name, share * part, effective


def fair_tree(root: Account) -> dict[str, float]:
    """Rank the leaves so that no account ever suffers from its cousins.

    Siblings are compared by level fair share, which is their part of the shares
    over their part of the usage, and one with more goes first with all that is
    below it. Equal ones are treated as Slurm documents it: leaves tie, accounts
    are merged, and a leaf ties with whoever comes first in an equal account.

    Parameters
    ----------
    root : Account
        The whole.

    Returns
    -------
    dict of str to float
        Factor by name of the leaf, highest first: 1 for the first of n, 1/n for
        the last; those that tie have the factor of the first of them.

    References
    ----------
    Slurm documentation, Fair Tree Fairshare Algorithm (fair_tree.html).
    """
    count = len(root.leaves)
    factors: dict[str, float] = {}
    for names in _ranked(_levels(root)):
        factor = (count - len(factors)) / count
        factors |= dict.fromkeys(names, factor)
    return factors


def _levels(parent: Account) -> list[tuple[float, Account]]:
    """Compute the level fair share of each child."""
    shares = sum(child.share for child in parent.children)
    usages = [child.total_usage for child in parent.children]
    used = sum(usages)
    return [
        ((child.share / shares) / (usage / used) if usage > 0 else math.inf, child)
        for child, usage in zip(parent.children, usages, strict=True)
    ]


def _ranked(siblings: Sequence[tuple[float, Account]]) -> list[list[str]]:
    """Return the names of all leaves below in order, those that tie together."""
    ranked: list[list[str]] = []
    if not siblings:
        return ranked
    order = sorted(siblings, key=lambda pair: -pair[0])
    for _, group in groupby(order, key=lambda pair: pair[0]):
        equal = [account for _, account in group]
        leaves = [account.name for account in equal if not account.children]
        # Children keep the level that they have among their own siblings.
        joint = [account for account in equal if account.children]
        below = _ranked([pair for account in joint for pair in _levels(account)])
        if leaves:
            first = below[0] if below else []
            ranked += [leaves + first, *below[1:]]
        else:
            ranked += below
    return ranked
