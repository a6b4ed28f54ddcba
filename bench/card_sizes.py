"""Models that are measured on a GPU: sizes for which a CPU is no place, as options of `qkv bench` and of the peers."""
GPT2 = dict(family="gpt2", vocab=50257, layers=12, heads=12, width=768, context=1024)
GPT_SMALL = dict(family="gpt2", vocab=65, layers=6, heads=6, width=384, context=256)
BERT = dict(family="bert", vocab=30522, layers=12, heads=12, width=768, context=512)
# TinyLlama's.
LLAMA = {"family": "llama", "vocab": 32000, "layers": 22, "heads": 32, "kv-heads": 4, "width": 2048, "feed-forward": 5632,
         "context": 2048, "untied": True}


def words(sizes):
    """Options: a value that is True is a flag."""
    return [word for key, value in sizes.items() for word in ([f"--{key}"] if value is True else [f"--{key}", value])]
