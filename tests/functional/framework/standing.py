"""What our answers and a real bitcoind's differ in wherever a method is called, and why."""

from collections.abc import Mapping

from tests.functional.framework.differences import Buts, ours_lacks

KNOTS = ours_lacks("Knots' own field; Core has none")

STANDING: Mapping[str, Buts] = {
    "getblock": {"$.txcount": KNOTS, "$.header_version": KNOTS},
}
"""By method and path."""
