"""Writes the small files that tests/io/torch_file.cpp reads and the fuzzer starts from, with PyTorch itself:

    scripts/with-python tests/io/torch_fixtures.py
"""
from collections import OrderedDict
from pathlib import Path

import torch

folder = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "fuzz_torch"


def tensors():
    base = torch.arange(12, dtype=torch.float32)
    return OrderedDict(
        matrix=base.view(3, 4), transposed=base.view(3, 4).t(), part=base[2:8].view(2, 3)[:, 1:], scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 4), half=torch.tensor([1.5, -2]).half(), bfloat=torch.tensor([1.5, -2]).bfloat16(),
        double=torch.tensor([0.1, -2], dtype=torch.float64), long=torch.tensor([2**40, -1]), int=torch.tensor([7, -7]).int(),
        short=torch.tensor([300, -300]).short(), char=torch.tensor([-128, 127]).char(), byte=torch.tensor([0, 255]).byte(),
        bool=torch.tensor([True, False]), parameter=torch.nn.Parameter(torch.tensor([1.0, 2.0])))


if __name__ == "__main__":
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(tensors(), folder / "zip.bin")
    torch.save(tensors(), folder / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": {"a": torch.ones(2)}}, folder / "wrapped.bin")
    module = torch.nn.Linear(2, 2)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, 2], [3, 4]]))
    torch.save(module.state_dict(), folder / "module.bin")
