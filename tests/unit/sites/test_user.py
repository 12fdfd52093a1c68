"""As which user a process runs."""

from __future__ import annotations

import os
import pwd

import pytest

from climorch.sites.user import this_user


def test_a_user_is_known_by_name_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else jobs of somebody else could be taken for its own."""
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert this_user() == "root"


def test_one_without_a_name_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container."""

    def unknown(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "geteuid", lambda: 64_002)
    assert this_user() == "64002"
