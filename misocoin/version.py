"""The version of the package, said in one place that costs nothing to import."""

VERSION = "0.2.0"
"""As in pyproject.toml (a test holds the two together)."""
