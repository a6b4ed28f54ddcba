"""A random BERT's blocks on random tokens, without padding: ONNX Runtime (f32, or its dynamic int8) or PyTorch.
Answers each line "N" with the seconds of N passes.

    python bench/peers/encoder.py {onnx|torch|torch-compiled} {f32|bf16|int8} --batch 8 --length 128 --threads 2
"""
import argparse
import pathlib
import tempfile

import torch
import transformers

from serve import on_device, seconds, serve


class Hidden(torch.nn.Module):
    """Inputs by place and one tensor out, as the exporter wants it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def onnx_session(model, inputs, int8, threads, device):
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.onnx")
        torch.onnx.export(Hidden(model), (inputs["input_ids"], inputs["attention_mask"]), path, dynamo=False,
                          input_names=["input_ids", "attention_mask"], output_names=["hidden"])
        if int8:
            quantize_dynamic(path, path.with_name("int8.onnx"), weight_type=QuantType.QInt8)
            path = path.with_name("int8.onnx")
        provider = "CUDAExecutionProvider" if device.type == "cuda" else "CPUExecutionProvider"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
    if provider not in session.get_providers():
        raise SystemExit(f"this ONNX Runtime has no {provider}")
    feed = {name: value.numpy() for name, value in inputs.items()}
    return lambda: session.run(None, feed)


def torch_session(model, inputs, dtype, device, compiled):
    model = model.to(device, dtype)
    # On a GPU this mode records CUDA graphs.
    model = torch.compile(model, mode="reduce-overhead") if compiled else model
    # Without padding no mask is needed, and attention may take its fastest way.
    inputs = {"input_ids": inputs["input_ids"].to(device)} if compiled else {n: v.to(device) for n, v in inputs.items()}

    def run():
        with torch.inference_mode():
            model(**inputs)

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["onnx", "torch", "torch-compiled"])
    parser.add_argument("dtype", choices=["f32", "bf16", "int8"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = on_device(options.device)
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False).eval()
    ids = torch.randint(0, model.config.vocab_size, (options.batch, options.length))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if options.engine == "onnx":
        run = onnx_session(model, inputs, options.dtype == "int8", options.threads, device)
    else:
        run = torch_session(model, inputs, torch.bfloat16 if options.dtype == "bf16" else torch.float32, device,
                            options.engine == "torch-compiled")
    for _ in range(3 if options.engine == "torch-compiled" else 2):
        run()
    serve(lambda count: {"samples": [seconds(run) for _ in range(count)]}, {"ready": True})


if __name__ == "__main__":
    main()
