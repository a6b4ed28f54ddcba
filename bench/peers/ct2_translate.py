"""Translation with CTranslate2 of a model with random weights. The checkpoint of transformers is written first, so that
qkv runs the same model; both read the sources from a file and write so many tokens a row, whatever they are."""
import argparse
import json
import os
import pathlib
import warnings

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
warnings.filterwarnings("ignore")

from serve import seconds, serve  # noqa: E402


def write_models(name, sizes, folder):
    """folder/hf and folder/ct2: the same weights for both."""
    import torch
    import transformers
    from ctranslate2.converters import transformers as converters
    transformers.logging.disable_progress_bar()
    torch.manual_seed(1)
    family = getattr(transformers, name)
    model = family(family.config_class(**sizes)).eval()
    model.save_pretrained(folder / "hf")
    loader = converters._MODEL_LOADERS[type(model.config).__name__]
    spec = loader.get_model_spec(model)
    # Marian's padding, its last token, is no token of CTranslate2's.
    tokens = [str(i) for i in range(spec.decoder.embeddings.weight.shape[0])]
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.config.bos_token = spec.config.decoder_start_token = str(min(model.config.decoder_start_token_id, len(tokens) - 1))
    spec.config.eos_token, spec.config.unk_token = str(model.config.eos_token_id), "1"
    spec.validate()
    spec.optimize()
    (folder / "ct2").mkdir()
    spec.save(str(folder / "ct2"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", help="class of transformers")
    parser.add_argument("sizes", type=json.loads, help="its configuration, as JSON")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("sources", type=pathlib.Path)
    for name in ("tokens", "beams", "threads"):
        parser.add_argument("--" + name, type=int, required=True)
    parser.add_argument("--dtype", required=True)
    parser.add_argument("--device", default="cpu")
    a = parser.parse_args()
    if not (a.folder / "ct2").exists():
        write_models(a.name, a.sizes, a.folder)
    import ctranslate2
    translator = ctranslate2.Translator(str(a.folder / "ct2"), a.device.split(":")[0], compute_type=a.dtype, inter_threads=1,
                                        intra_threads=a.threads)
    sources = [[str(i) for i in row] for row in json.loads(a.sources.read_text(encoding="utf-8"))]

    def translate():
        return translator.translate_batch(sources, beam_size=a.beams, max_decoding_length=a.tokens,
                                          min_decoding_length=a.tokens)

    ids = [[int(token) for token in one.hypotheses[0]] for one in translate()]
    serve(lambda count: {"seconds": [seconds(translate) for _ in range(count)], "ids": ids}, {})


if __name__ == "__main__":
    main()
