"""Tiny models for the page's tests: one that says texts written here, token by token, and others for the tasks."""

import json

import torch
import transformers

# What the model says when the last message begins with the word. Lines of a text end as they stand.
SCRIPTS = {
    "markdown": """# Title

Some **bold**, *thin* and `code` text, ~~gone~~, with a [link](https://example.org/a_b).

1. one
2. two
   - deep

> quoted

| name | size |
|------|-----:|
| a    | 1    |

```python
def f(x):
    return "x" + str(41 + 1)  # sum
```
""",
    "evil": """<img src=x onerror="window.hacked=1"> <script>window.hacked=2</script>

[click](javascript:window.hacked=3) ![pixel](data:text/html,x) <a href="javascript:0">a</a>

```html
<img src=x onerror="window.hacked=4">
```
""",
    "long": " ".join(f"word{i}" for i in range(60)),
    "think": "<think>Let me *see*.</think>\n\nI have **thought**.",
    "plain": "The quick brown fox jumps over the lazy dog.",
}
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% set word = messages[-1].content.split(' ')[0] %}"
    "{% if word in ["
    + ", ".join(f"'{name}'" for name in SCRIPTS)
    + "] %}{{ '<|' + word + '|>' }}{% else %}<|plain|>{% endif %}"
)
END = "<|end|>"
ALTERNATIVE = 2.0  # by so much the other token is less likely, as logits


def pieces_of(text, taken):
    """The text in parts that nobody else has: a part is a token, and what follows it is what follows that part."""
    pieces = []
    while text:
        length = next((n for n in range(2, len(text) + 1) if text[:n] not in taken and len(text) - n != 1), None)
        if length is None:  # nothing new is left: the last part takes it
            taken.discard(pieces[-1])
            pieces[-1] += text
            taken.add(pieces[-1])
            break
        pieces.append(text[:length])
        taken.add(text[:length])
        text = text[length:]
    return pieces


def byte_letters():
    """GPT-2's letters for bytes."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return {
        b: chr(b) if b in kept else chr(256 + i) for i, b in enumerate(sorted(range(256), key=lambda b: (b in kept, b)))
    }


def scripted_model(folder, chat=True, sampling=None):
    """A GPT-2 whose next token depends on the last token alone, with attention that nothing comes of. `sampling`: what its
    generation_config.json says of that."""
    letters = byte_letters()
    spelled = lambda text: "".join(letters[b] for b in text.encode())  # noqa: E731
    vocabulary = {letter: i for i, letter in enumerate(letters.values())}
    taken = set(map(chr, range(128)))
    follow = {}
    special = [END, *(f"<|{name}|>" for name in SCRIPTS)]
    for token in special:
        vocabulary[token] = len(vocabulary)
    for name, text in SCRIPTS.items():
        last = vocabulary[f"<|{name}|>"]
        for piece in pieces_of(text, taken):
            vocabulary[spelled(piece)] = here = len(vocabulary)
            follow[last] = here
            last = here
        follow[last] = vocabulary[END]
    size = len(vocabulary)
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        vocab_size=size,
        n_positions=1024,
        n_layer=2,
        n_head=4,
        n_embd=size + (-size) % 4,
        n_inner=8,
        tie_word_embeddings=False,
        bos_token_id=vocabulary[END],
        eos_token_id=vocabulary[END],
    )
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "wte" in name:
                weight.copy_(torch.eye(size, config.n_embd))
            elif "wpe" in name or "c_proj" in name or "lm_head" in name:
                weight.zero_()
            elif "c_attn.weight" in name:
                weight.mul_(8)
        scale = config.n_embd**0.5  # of a one after the last norm
        for last, following in follow.items():
            model.lm_head.weight[following, last] = 12 / scale
            model.lm_head.weight[(following + 1) % size, last] = (12 - ALTERNATIVE) / scale
    model.generation_config.update(**sampling or {})
    model.save_pretrained(folder)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    added = [
        {
            "id": vocabulary[token],
            "content": token,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for token in special
    ]
    (folder / "tokenizer.json").write_text(
        json.dumps(
            {
                "version": "1.0",
                "added_tokens": added,
                "normalizer": None,
                "pre_tokenizer": byte_level,
                "post_processor": None,
                "decoder": byte_level,
                "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
            }
        )
    )
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | ({"chat_template": TEMPLATE} if chat else {})))
    return folder


WORDS = (
    "paris london ada lovelace was born in the capital of france is a good bad film . ? who where i liked it".split()
)


def encoder(folder, kind):
    """A random BERT with a head: "fill", "tag", "answer" or "classify"."""
    classes = {
        "fill": transformers.BertForMaskedLM,
        "tag": transformers.BertForTokenClassification,
        "answer": transformers.BertForQuestionAnswering,
        "classify": transformers.BertForSequenceClassification,
    }
    labels = {"tag": ["O", "B-PER", "B-LOC"], "classify": ["bad", "good"]}.get(kind, ["0", "1"])
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    torch.manual_seed(3)
    model = classes[kind](
        transformers.BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=128,
            initializer_range=0.5,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
        )
    )
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    )
    return folder


def translator(folder):
    """A random T5 over the same words, which always writes some."""
    vocabulary = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    torch.manual_seed(5)
    model = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=len(vocabulary),
            d_model=32,
            d_kv=16,
            d_ff=64,
            num_layers=2,
            num_heads=2,
            decoder_start_token_id=0,
            initializer_factor=4.0,
        )
    )
    model.generation_config.update(min_new_tokens=4, max_new_tokens=8, decoder_start_token_id=0, eos_token_id=1)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(
        json.dumps(
            {
                "version": "1.0",
                "added_tokens": [],
                "normalizer": {"type": "Lowercase"},
                "pre_tokenizer": {"type": "WhitespaceSplit"},
                "post_processor": None,
                "decoder": None,
                "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
            }
        )
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "pad_token": "<pad>"})
    )
    return folder
