"""How many examples a property is tried on, told so that a profile can multiply it."""

from hypothesis import settings


def examples(count: int) -> settings:
    """`count` examples by default, and as many times more as the profile in use asks for."""
    return settings(max_examples=max(1, count * settings.default.max_examples // 100))
