"""How many examples the properties are tried on.

``pytest tests/property --hypothesis-profile=thorough --timeout=0`` tries many more than
a default run does; it takes a quarter of an hour.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "thorough",
    database=None,
    deadline=None,
    max_examples=1000,
    stateful_step_count=60,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
