"""How many blocks go to waste, by block interval, latency and size of the network.

    python benchmarks/stale_rate.py [BLOCKS] [--plot FILE.svg]

A discrete-event simulation: every node dials eight others at random, each link has a latency of
its own (exponential around the mean, with a floor), a block takes the quickest way and each hop
adds what a node needs to pass a compact block on. Up to 200 of the nodes mine with equal power, on
the first block that reached them among those with the most work. A block is stale if it is not on
the chain that wins. BLOCKS (default 20,000) are mined for every cell of the table.
"""

import heapq
import sys
from pathlib import Path
from random import Random

INTERVALS = (1, 2, 5, 10, 30, 60, 600)
"""Seconds between blocks."""

LATENCIES = (0.02, 0.1, 0.3, 1.0)
"""Mean seconds over one link, with the time to pass a block on."""

NODES = (10, 100, 1000)
LINKS = 8
MINERS = 200
HOP_WORK = 0.02
"""Seconds in which a node passes a compact block on, in the mean (benchmarks/sync.py)."""

COLOURS = ("#4878a8", "#5a9e6f", "#c08030", "#b04a4a")


def make_network(nodes: int, latency: float, random: Random) -> list[list[tuple[int, float]]]:
    """Neighbours of each node and the seconds to them."""
    links: list[dict[int, float]] = [{} for _ in range(nodes)]
    for one in range(nodes):
        others = [n for n in range(nodes) if n != one]
        for other in random.sample(others, min(LINKS, nodes - 1)):
            delay = 0.2 * latency + random.expovariate(1 / (0.8 * latency)) + HOP_WORK
            links[one][other] = links[other][one] = min(delay, links[one].get(other, delay))
    return [list(row.items()) for row in links]


def delays_from(source: int, network: list[list[tuple[int, float]]]) -> list[float]:
    """Seconds until each node has a block of `source` (Dijkstra)."""
    best = [float("inf")] * len(network)
    best[source] = 0.0
    heap = [(0.0, source)]
    while heap:
        time, node = heapq.heappop(heap)
        if time > best[node]:
            continue
        for other, delay in network[node]:
            if time + delay < best[other]:
                best[other] = time + delay
                heapq.heappush(heap, (best[other], other))
    return best


def stale_share(
    interval: float, delays: dict[int, list[float]], blocks: int, random: Random
) -> float:
    """The share of blocks off the winning chain."""
    miners = list(delays)
    longest = max(max(row) for row in delays.values())
    # (time, miner, height, parent): parents by their place in this list, genesis is none.
    made: list[tuple[float, int, int, int]] = []
    time, oldest = 0.0, 0
    for _ in range(blocks):
        time += random.expovariate(1 / interval)
        miner = random.choice(miners)
        while oldest < len(made) and made[oldest][0] < time - 2 * longest - 20 * interval:
            oldest += 1
        best, key = -1, (0, 0.0)
        for index in range(oldest, len(made)):
            begun, source, height, _ = made[index]
            arrival = begun + delays[source][miner]
            if arrival <= time and (height, -arrival) > key:
                best, key = index, (height, -arrival)
        made.append((time, miner, key[0] + 1, best))
    index = max(range(len(made)), key=lambda i: made[i][2])
    chain = 0
    while index >= 0:
        chain += 1
        index = made[index][3]
    return 1 - chain / len(made)


def plot(rows: dict[float, dict[float, float]], path: Path) -> None:
    """Draw the shares over the interval, both logarithmic, a line for each latency."""
    from math import log10

    left, top, width, height = 62, 34, 470, 280
    low, high = -4.0, 0.0

    def x(interval: float) -> float:
        span = log10(INTERVALS[-1]) - log10(INTERVALS[0])
        return left + width * (log10(interval) - log10(INTERVALS[0])) / span

    def y(share: float) -> float:
        return top + height * (high - max(low, log10(max(share, 1e-9)))) / (high - low)

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="370" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="640" height="370" fill="white"/>',
        '<text x="62" y="20" font-size="14">Stale blocks by block interval, 1,000 nodes</text>',
    ]
    for power in range(int(low), int(high) + 1):
        at = y(10**power)
        label = f"{100 * 10**power:g} %"
        parts.append(f'<path d="M{left} {at:.1f}h{width}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for interval in INTERVALS:
        at = x(interval)
        dash = "" if interval != 30 else ' stroke-dasharray="4 3" stroke-width="2"'
        parts.append(f'<path d="M{at:.1f} {top}v{height}" stroke="#bbb"{dash}/>')
        parts.append(
            f'<text x="{at:.1f}" y="{top + height + 16}" text-anchor="middle">{interval} s</text>'
        )
    for colour, latency in zip(COLOURS, LATENCIES, strict=True):
        points = [(x(i), y(rows[latency][i])) for i in INTERVALS]
        steps = " ".join(f"L{a:.1f} {b:.1f}" for a, b in points[1:])
        parts.append(
            f'<path d="M{points[0][0]:.1f} {points[0][1]:.1f} {steps}" fill="none" '
            f'stroke="{colour}" stroke-width="2"/>'
        )
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
        shown = f"{latency * 1000:g} ms a link"
        last = points[-1][1]
        parts.append(
            f'<text x="{left + width + 8}" y="{last + 4:.1f}" fill="{colour}">{shown}</text>'
        )
    parts.append("</svg>\n")
    path.write_text("\n".join(parts))


def main() -> None:
    """Print the table, and draw it where asked to."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    target = None
    if "--plot" in sys.argv:
        target = Path(sys.argv[sys.argv.index("--plot") + 1])
        words.remove(str(target))
    blocks = int(words[0]) if words else 20_000
    rows: dict[float, dict[float, float]] = {}
    print(f"stale blocks in %, {blocks} blocks a cell")
    print(
        "| nodes | a link | reaches half | reaches 90 % | "
        + " | ".join(f"{i} s" for i in INTERVALS)
        + " |"
    )
    print("|---:|---:|---:|---:|" + "---:|" * len(INTERVALS))
    for nodes in NODES:
        for latency in LATENCIES:
            random = Random(f"{nodes} {latency}")
            network = make_network(nodes, latency, random)
            sources = random.sample(range(nodes), min(nodes, MINERS))
            delays = {source: delays_from(source, network) for source in sources}
            every = sorted(delay for row in delays.values() for delay in row)
            shares = {i: stale_share(i, delays, blocks, random) for i in INTERVALS}
            rows[latency] = shares
            cells = " | ".join(f"{100 * shares[i]:.2f}" for i in INTERVALS)
            half, most = every[len(every) // 2], every[len(every) * 9 // 10]
            print(
                f"| {nodes} | {latency * 1000:g} ms | {half:.2f} s | {most:.2f} s | {cells} |",
                flush=True,
            )
    if target is not None:
        plot(rows, target)


if __name__ == "__main__":
    main()
