"""A golden model with a vocabulary of words: w1, w2, ..."""
import json
import shutil
from pathlib import Path

MODELS = Path(__file__).resolve().parent.parent / "golden" / "models"


def word_model(folder, family="llama"):
    """Puts the golden model of that name into `folder`, made if need be, with a tokenizer whose token i is the word wi."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(MODELS / family / name, folder / name)
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    vocabulary = {"<unk>": 0} | {f"w{i}": i for i in range(1, size)}
    (folder / "tokenizer.json").write_text(json.dumps({
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "normalizer": None, "post_processor": None, "decoder": None,
        "added_tokens": []}))
    return folder
