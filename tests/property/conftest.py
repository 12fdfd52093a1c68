"""How many examples the properties are tried on.

``--hypothesis-profile=thorough`` tries many more than a default run does.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "thorough",
    database=None,
    deadline=None,
    max_examples=2000,
    stateful_step_count=60,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
