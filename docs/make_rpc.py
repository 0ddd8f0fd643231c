"""Print `docs/rpc.md`; `make docs` runs this."""

import sys
import tempfile
from pathlib import Path

from misocoin.config import Config
from misocoin.node import Node
from misocoin.rpc.reference import reference


class _Silent:
    def update(self, count: int, done: float, total: float) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


def main() -> None:
    """Start a node that leaves nothing behind, and print what it can be asked."""
    with tempfile.TemporaryDirectory() as folder:
        cookie = Path(folder) / ".cookie"
        config = Config(chain="regtest", port=0, gossip=False, cookie_file=cookie)
        node = Node(config, lambda _label, _unit: _Silent())
        node.start()
        try:
            sys.stdout.write(reference(node.registry().methods.values()))
        finally:
            node.stop()


if __name__ == "__main__":
    main()
