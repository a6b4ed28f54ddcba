"""Embedding the lines of a file by sentence-transformers, in batches of 32, which is its default."""
import argparse
import pathlib

from serve import on_device, seconds, serve


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("--device", default="cpu")
    a = parser.parse_args()
    device = on_device(a.device)
    import torch
    from sentence_transformers import SentenceTransformer
    torch.set_num_threads(a.threads)
    encoder = SentenceTransformer(a.model, device=str(device))
    lines = a.text.read_text(encoding="utf-8").splitlines()
    encoder.encode(lines[:64], show_progress_bar=False)
    work = lambda: encoder.encode(lines, show_progress_bar=False)  # noqa: E731
    serve(lambda count: {"rates": [len(lines) / seconds(work) for _ in range(count)]}, {})


if __name__ == "__main__":
    main()
