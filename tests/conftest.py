"""What holds for all tests: how hypothesis looks for counterexamples.

The default profile looks at the same examples in every run, so that a change and not chance makes
a test fail. `pytest --hypothesis-profile=long tests/property` looks at many, new ones every time.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long", parent=settings.get_profile("ci"), derandomize=False, max_examples=3000
)
settings.load_profile("ci")
