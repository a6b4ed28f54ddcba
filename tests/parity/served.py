"""Servers for the parity tests of clients: models that serve_parity.py and others offer, and `qkv serve` over them."""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
from word_model import word_model  # noqa: E402

KEY = "parity"
TEMPLATE = ("{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}{% endfor %}"
            "{% if tools %}{{ tools[0].function.name }}{% endif %}{% if add_generation_prompt %}<a>{% endif %}")


def characters(folder):
    """A golden Llama whose tokens are the printable characters, with a chat template."""
    word_model(folder, "llama")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    vocabulary = {"<end>": 0, "\u0120": 1} | {chr(c): c - 31 for c in range(33, 127)}
    end = {"id": 0, "content": "<end>", "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": [end], "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
        "decoder": byte_level, "model": {"type": "BPE", "vocab": vocabulary, "merges": []}}))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>", "chat_template": TEMPLATE}))
    return folder


class Server:
    def __init__(self, qkv, *arguments):
        self.process = subprocess.Popen([qkv, "serve", *map(str, arguments), "--port", "0", "--quiet", "--api-key", KEY,
                                         *([] if "--data" in arguments else ["--data", "none"])],
                                        stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline())[0] + "/v1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


def offered_models(folder):
    """Words that go on ("tiny"), vectors ("bert") and conversations ("chatty")."""
    folder = pathlib.Path(folder)
    return [word_model(folder / "tiny", "llama"), word_model(folder / "bert", "bert_masked_lm_untied"),
            characters(folder / "chatty")]
