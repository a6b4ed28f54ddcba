"""The limits that the other tables are to be read against: matrix products and memory, as PyTorch's libraries reach
them. The best sample is the limit, not the median."""
import dataclasses
import itertools

from contestants import Peer, THREADS

PACKAGES = ("torch",)


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    unit: str
    arguments: tuple
    count: int


def cases(quick):
    shapes = ((2048, 2048, 2048), (1024, 768, 3072), (1024, 50257, 768), (768, 128, 128))
    products = [Case(f"matrix product {m} x {n} x {k}, {dtype}", "GFLOP/s", (dtype, "--shape", m, n, k), 20)
                for dtype, (m, n, k) in itertools.product(("f32", "bf16"), shapes)]
    return products + [Case("reading 1 GiB", "GB/s", ("read",), 5), Case("copying 1 GiB (read and written)", "GB/s", ("copy",), 5)]


def run(case, qkv, rounds):
    peer = Peer("PyTorch", "torch_limits.py", [*case.arguments, "--threads", THREADS], case.count)
    try:
        samples = [rate for _ in range(rounds) for rate in peer.measure()["result"]["rates"]]
    finally:
        peer.close()
    return [{"case": case.name, "unit": case.unit, "peers": {"PyTorch": max(samples)}, "samples": {"PyTorch": samples},
             "threads": THREADS, "packages": PACKAGES}]
