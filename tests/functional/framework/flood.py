"""A flood on a gate, as a program: `flood.py PORT CONNECTIONS` writes bad lines until it is ended.

Requests without a stamp, forged and old ones of both versions, garbage. Prints how many lines went
out when its standard input ends.
"""

import asyncio
import itertools
import sys

LINES = (
    b'{"id":%d,"method":"server.version","params":["x","1.4"]}\n',
    b'2:16:1795243200:my.server:6f1d2c3b4a596877:%016x {"id":1,"method":"a"}\n',
    b'{"id":%d,"method":"a","nonce":"aaaaaaaaaa","pow":"' + b"0" * 64 + b'"}\n',
    b"garbage %d\n",
    b'[{"id":%d,"method":"a"},{"id":2,"method":"b"}]\n',
)


async def flood(port: int, number: int, sent: list[int]) -> None:
    """Write to one connection, connecting again when it is closed."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            discarding = asyncio.create_task(discard(reader))
            for turn in itertools.count():
                lines = b"".join(line % (turn * 10 + i) for i, line in enumerate(LINES))
                writer.write(lines * 20)
                await writer.drain()
                sent[number] += 20 * len(LINES)
                if discarding.done():
                    break
            writer.close()
        except OSError:
            await asyncio.sleep(0.05)  # refused: there may be room a little later


async def discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


async def main(port: int, connections: int) -> None:
    sent = [0] * connections
    tasks = [asyncio.create_task(flood(port, i, sent)) for i in range(connections)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    sys.stdout.write(f"{sum(sent)}\n")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
