"""The node that a developer's tests get."""

from misocoin.testing.daemon import Daemon, wait_until


class RegtestNode(Daemon):
    """A node on regtest, whose methods are `rpc`'s: Misocoin's names and Bitcoin Core's.

    `node.rpc.getblockcount()` and `node.rpc.send_misocoin(address, "1.5")` both work; amounts come
    as `Decimal`, and an error is `misocoin.http.errors.RpcError` with Core's code.
    """

    @property
    def address(self) -> str:
        """Where other nodes reach it: `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url_with_password(self) -> str:
        """Where clients reach it that take name and password from the URL."""
        user, password = self.credentials
        return f"http://{user}:{password}@{self.address}"

    def mine(self, count: int = 1, address: str | None = None) -> list[str]:
        """Mine blocks, to the node's own wallet or to an address; their hashes."""
        where = [] if address is None else [address]
        hashes: list[str] = self.rpc.generate(count, *where)
        return hashes

    def fund(self) -> None:
        """Mine until the wallet can spend the reward of one block."""
        self.mine(101)

    def connect(self, other: "RegtestNode") -> None:
        """Link with another node, and wait until both have the same best block."""
        self.rpc.add_node(other.address)
        wait_until(
            lambda: other.address in {peer["address"] for peer in self.rpc.get_peers()},
            "the nodes are linked",
        )
        wait_until(
            lambda: self.rpc.getbestblockhash() == other.rpc.getbestblockhash(), "the nodes agree"
        )
