"""What this machine's processor or GPU and its memory give at best, with PyTorch's libraries (MKL, oneDNN, cuBLAS)."""
import argparse

import torch

from serve import on_device, seconds, serve


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["f32", "bf16", "read", "copy"])
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--shape", type=int, nargs=3, default=[2048, 2048, 2048], help="rows, columns, inner size")
    parser.add_argument("--device", default="cpu")
    a = parser.parse_args()
    torch.set_default_device(on_device(a.device))
    torch.set_num_threads(a.threads)
    torch.set_grad_enabled(False)
    if a.what in ("f32", "bf16"):
        dtype = torch.float32 if a.what == "f32" else torch.bfloat16
        m, n, k = a.shape
        x, w, y = torch.rand(m, k, dtype=dtype), torch.rand(n, k, dtype=dtype), torch.empty(m, n, dtype=dtype)
        amount, work = 2 * m * n * k, lambda: torch.mm(x, w.t(), out=y)
    else:
        x = torch.rand(1 << 28)
        y = torch.empty_like(x) if a.what == "copy" else None
        amount, work = (x.nbytes, x.sum) if a.what == "read" else (2 * x.nbytes, lambda: y.copy_(x))
    work()
    serve(lambda times: {"rates": [amount / seconds(work) / 1e9 for _ in range(times)]}, {"torch": torch.__version__})


if __name__ == "__main__":
    main()
