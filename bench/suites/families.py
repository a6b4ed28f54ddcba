"""Every family that transformers has against its eager mode: a forward pass and a training step, the same checkpoint."""
import dataclasses
import json
import statistics
import tempfile

from contestants import Peer, Program, THREADS, take_turns

PACKAGES = ("torch", "transformers")
GOAL = 1.3
VOCAB = 16000


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    model: str  # class of transformers
    sizes: dict
    batch: int
    length: int
    target_length: int = 0


def encoder(**more):
    return dict(vocab_size=VOCAB, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024,
                max_position_embeddings=514, pad_token_id=1, bos_token_id=0, eos_token_id=2) | more


def decoder(**more):
    return dict(vocab_size=VOCAB, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=768,
                max_position_embeddings=512) | more


def gpt(**more):
    return dict(vocab_size=VOCAB, n_embd=256, n_layer=4, n_head=4, n_positions=512) | more


def bart(**more):
    return dict(vocab_size=VOCAB, d_model=256, encoder_layers=3, decoder_layers=3, encoder_attention_heads=4,
                decoder_attention_heads=4, encoder_ffn_dim=1024, decoder_ffn_dim=1024, max_position_embeddings=512) | more


def t5(**more):
    return dict(vocab_size=VOCAB, d_model=256, d_kv=64, d_ff=1024, num_layers=3, num_decoder_layers=3, num_heads=4,
                pad_token_id=0, eos_token_id=1, decoder_start_token_id=0) | more


GROUPED = {"num_key_value_heads": 2}
# Of one place: rows, tokens a row, and of encoder-decoders the target's.
ROWS_OF_TEXT, SEGMENTS, PAIRS, LONG = (8, 128), (4, 256), (8, 64, 64), (1, 1024)
FAMILIES = {
    "ALBERT": ("AlbertForMaskedLM", encoder(embedding_size=128), ROWS_OF_TEXT),
    "BERT": ("BertForMaskedLM", encoder(), ROWS_OF_TEXT),
    "RoBERTa": ("RobertaForMaskedLM", encoder(), ROWS_OF_TEXT),
    "XLM-RoBERTa": ("XLMRobertaForMaskedLM", encoder(vocab_size=64000), ROWS_OF_TEXT),
    "DistilBERT": ("DistilBertForMaskedLM", dict(vocab_size=VOCAB, dim=256, hidden_dim=1024, n_layers=4, n_heads=4), ROWS_OF_TEXT),
    "ELECTRA": ("ElectraForMaskedLM", encoder(embedding_size=128), ROWS_OF_TEXT),
    "DeBERTa-v2": ("DebertaV2ForMaskedLM", encoder(
        type_vocab_size=0, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=256, share_att_key=True,
        norm_rel_ebd="layer_norm", position_biased_input=False), ROWS_OF_TEXT),
    "ModernBERT": ("ModernBertForMaskedLM", encoder(intermediate_size=384, global_attn_every_n_layers=2), ROWS_OF_TEXT),
    "Longformer": ("LongformerForMaskedLM", encoder(max_position_embeddings=1026, attention_window=[256] * 4), LONG),
    "GPT": ("OpenAIGPTLMHeadModel", gpt(), SEGMENTS),
    "GPT-2": ("GPT2LMHeadModel", gpt(), SEGMENTS),
    "GPT-Neo": ("GPTNeoForCausalLM", dict(vocab_size=VOCAB, hidden_size=256, num_layers=4, num_heads=4,
                                          attention_types=[[["global", "local"], 2]], max_position_embeddings=512), SEGMENTS),
    "GPT-J": ("GPTJForCausalLM", gpt(rotary_dim=32), SEGMENTS),
    "GPT-NeoX": ("GPTNeoXForCausalLM", decoder(intermediate_size=1024), SEGMENTS),
    "OPT": ("OPTForCausalLM", decoder(ffn_dim=1024, word_embed_proj_dim=256, intermediate_size=None), SEGMENTS),
    "BLOOM": ("BloomForCausalLM", dict(vocab_size=VOCAB, hidden_size=256, n_layer=4, n_head=4), SEGMENTS),
    "CTRL": ("CTRLLMHeadModel", gpt(dff=1024), SEGMENTS),
    "Falcon": ("FalconForCausalLM", dict(vocab_size=VOCAB, hidden_size=256, num_hidden_layers=4, num_attention_heads=4), SEGMENTS),
    "Llama": ("LlamaForCausalLM", decoder(**GROUPED), SEGMENTS),
    "Mistral": ("MistralForCausalLM", decoder(sliding_window=128, **GROUPED), SEGMENTS),
    "Mixtral": ("MixtralForCausalLM", decoder(num_local_experts=8, num_experts_per_tok=2, **GROUPED), SEGMENTS),
    "Qwen 2": ("Qwen2ForCausalLM", decoder(**GROUPED), SEGMENTS),
    "Qwen 3": ("Qwen3ForCausalLM", decoder(head_dim=64, **GROUPED), SEGMENTS),
    "Phi": ("PhiForCausalLM", decoder(intermediate_size=1024, partial_rotary_factor=0.5), SEGMENTS),
    "Gemma 2": ("Gemma2ForCausalLM", decoder(head_dim=64, sliding_window=128, query_pre_attn_scalar=64, **GROUPED), SEGMENTS),
    "GLM": ("GlmForCausalLM", decoder(head_dim=64, pad_token_id=0, **GROUPED), SEGMENTS),
    "Marian": ("MarianMTModel", bart(pad_token_id=VOCAB - 1, decoder_start_token_id=VOCAB - 1), PAIRS),
    "BART": ("BartForConditionalGeneration", bart(), PAIRS),
    "mBART": ("MBartForConditionalGeneration", bart(), PAIRS),
    "Pegasus": ("PegasusForConditionalGeneration", bart(), PAIRS),
    "FSMT": ("FSMTForConditionalGeneration", {k: v for k, v in bart(
        langs=["en", "de"], src_vocab_size=VOCAB, tgt_vocab_size=VOCAB, tie_word_embeddings=False).items() if k != "vocab_size"}, PAIRS),
    "T5 1.0": ("T5ForConditionalGeneration", t5(feed_forward_proj="relu"), PAIRS),
    "T5 1.1": ("T5ForConditionalGeneration", t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False), PAIRS),
    "mT5": ("MT5ForConditionalGeneration", t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False), PAIRS),
    "Switch Transformers": ("SwitchTransformersForConditionalGeneration", t5(
        num_layers=4, num_decoder_layers=4, num_sparse_encoder_layers=2, num_sparse_decoder_layers=2, num_experts=8), PAIRS),
    "XLNet": ("XLNetLMHeadModel", dict(vocab_size=VOCAB, d_model=256, n_layer=4, n_head=4, d_inner=1024), (4, 128)),
    "Reformer": ("ReformerModelWithLMHead", dict(
        vocab_size=VOCAB, hidden_size=256, num_attention_heads=4, attention_head_size=64, feed_forward_size=1024,
        attn_layers=["local", "lsh"] * 2, axial_pos_shape=[32, 32], axial_pos_embds_dim=[64, 192], is_decoder=True,
        num_buckets=32, max_position_embeddings=1024), LONG),
    "Mamba": ("MambaForCausalLM", dict(vocab_size=VOCAB, hidden_size=256, num_hidden_layers=4), (2, 128)),
}


# Where Python's own time shows: a quarter of the width, fewer tokens.
SHRUNK = {VOCAB: 1000, 1024: 256, 768: 192, 256: 64, 64: 16}
TINY = {"BERT": (4, 32), "GPT-2": (4, 32), "Llama": (4, 32), "Mixtral": (4, 32), "T5 1.0": (4, 16, 16), "XLNet": (4, 32)}


def cases(quick):
    del quick
    named = [(name, *FAMILIES[name]) for name in FAMILIES]
    named += [(f"tiny {name}", FAMILIES[name][0], {key: SHRUNK.get(value, value) if isinstance(value, int) else value
                                                   for key, value in FAMILIES[name][1].items()}, shape)
              for name, shape in TINY.items()]
    return [Case(f"{name}, {' x '.join(map(str, shape))}", model, sizes, *shape) for name, model, sizes, shape in named]


def run(case, qkv, rounds):
    repeat = 3
    shape = ["--batch", case.batch, "--length", case.length, "--target-length", case.target_length or 1, "--threads", THREADS]
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer("transformers", "torch_family.py", [case.model, json.dumps(case.sizes), folder, *shape], repeat)
        try:
            ours = Program("qkv", [qkv, "bench", "model", folder, *shape, "--repeat", repeat])
            results = take_turns([ours, peer], rounds)
        finally:
            peer.close()
    rows = []
    for what, key in (("forward", "forward_seconds"), ("training step", "step_seconds")):
        samples = {name: [1e3 * s for turn in turns for s in turn["result"][key]] for name, turns in results.items()}
        times = {name: statistics.median(values) for name, values in samples.items()}
        mine = times.pop("qkv")
        rows.append({"case": f"{case.name}: {what}", "unit": "ms", "qkv": mine, "peers": times, "goal": GOAL,
                     "ratio": min(times.values()) / mine, "samples": samples, "threads": THREADS, "packages": PACKAGES,
                     "parameters": peer.about["parameters"]})
    return rows
