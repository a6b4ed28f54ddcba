"""A family of transformers in eager mode with random weights: its forward pass and its training step. The checkpoint is
written first, so that qkv runs the same model."""
import argparse
import inspect
import json
import os
import warnings

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")

import torch  # noqa: E402
import transformers  # noqa: E402

from serve import on_device, seconds, serve  # noqa: E402


def make_model(name, sizes):
    family = getattr(transformers, name)
    config = family.config_class(**sizes)
    for key, value in list(vars(config).items()):
        if "drop" in key and isinstance(value, float):
            setattr(config, key, 0.0)
    return family(config)


def inputs_of(model, rows, length, target_length):
    """(of a forward pass, of a training step): every place of a decoder is predicted, 15 % of a masked model's."""
    c = model.config
    vocab = lambda *keys: next(getattr(c, k) for k in keys if getattr(c, k, None))  # noqa: E731
    ids = torch.randint(0, vocab("src_vocab_size", "vocab_size"), (rows, length))
    if c.is_encoder_decoder:
        labels = torch.randint(0, vocab("tgt_vocab_size", "vocab_size"), (rows, target_length))
        return {"input_ids": ids, "decoder_input_ids": labels}, {"input_ids": ids, "labels": labels}
    labels = ids.clone()
    if "MaskedLM" in type(model).__name__:
        labels[torch.rand(labels.shape) >= 0.15] = -100
    return {"input_ids": ids}, {"input_ids": ids, "labels": labels}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", help="class of transformers")
    parser.add_argument("sizes", type=json.loads, help="its configuration, as JSON")
    parser.add_argument("directory")
    for name in ("batch", "length", "target-length", "threads"):
        parser.add_argument("--" + name, type=int, required=True)
    parser.add_argument("--device", default="cpu")
    a = parser.parse_args()
    device = on_device(a.device)
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    transformers.logging.disable_progress_bar()
    model = make_model(a.name, a.sizes)
    model.save_pretrained(a.directory)
    model.to(device)
    # A cache is of no use to either; some models have no such argument.
    cached = "use_cache" in inspect.signature(model.forward).parameters
    asked, taught = ({**{name: ids.to(device) for name, ids in one.items()}, **({"use_cache": False} if cached else {})}
                     for one in inputs_of(model, a.batch, a.length, a.target_length))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), fused=True)

    def forward():
        model.eval()
        with torch.no_grad():
            model(**asked)

    def step():
        model.train()
        loss = model(**taught).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    for work in (forward, step) * 2:
        work()
    serve(lambda count: {"forward_seconds": [seconds(forward) for _ in range(count)],
                         "step_seconds": [seconds(step) for _ in range(count)], "loss": step()},
          {"parameters": sum(p.numel() for p in model.parameters())})


if __name__ == "__main__":
    main()
