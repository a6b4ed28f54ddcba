"""The verbs of tasks: one text or a file of them, resumed, with bad lines, against models that do not fit."""
import csv
import io
import random
import time

from command import *

WORDS = [f"w{i}" for i in range(5, 101)]


def texts(count, longest=30, seed=1):
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(rng.randint(1, longest))) for _ in range(count)]


def npy(path):
    """Shape and numbers of a NumPy file."""
    content = path.read_bytes()
    assert content[:8] == b"\x93NUMPY\x01\x00", content[:8]
    length = 10 + struct.unpack("<H", content[8:10])[0]
    assert length % 64 == 0
    header = eval(content[10:length], {})  # a literal of ours
    assert header["descr"] == "<f4" and not header["fortran_order"]
    return header["shape"], struct.unpack(f"<{(len(content) - length) // 4}f", content[length:])


class TaskTest(CommandTest):
    def model(self, name):
        """A golden model with a tokenizer of words w5, w6, ... up to its vocabulary."""
        directory = self.folder / name
        if directory.exists():
            return directory
        directory.mkdir()
        for file in ["config.json", "model.safetensors"]:
            shutil.copy(GOLDEN / "models" / name / file, directory)
        size = json.loads((directory / "config.json").read_text())["vocab_size"]
        if name in ("gpt2", "t5_v10", "mbart"):
            special = {"gpt2": ["<unk>"], "t5_v10": ["<pad>", "</s>", "<unk>"],
                       "mbart": ["<s>", "<pad>", "</s>", "<unk>", "en_XX", "de_DE"]}[name]
            vocabulary = {token: i for i, token in enumerate(special)} | {f"w{i}": i for i in range(len(special), size)}
            ends = {"t5_v10": ["</s>"], "mbart": ["</s>", "en_XX"]}.get(name, [])
            (directory / "tokenizer.json").write_text(json.dumps({
                "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}, "normalizer": None,
                "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": None,
                "post_processor": ends and {
                    "type": "TemplateProcessing", "pair": [],
                    "single": [{"Sequence": {"id": "A", "type_id": 0}},
                               *({"SpecialToken": {"id": end, "type_id": 0}} for end in ends)],
                    "special_tokens": {end: {"id": end, "ids": [vocabulary[end]], "tokens": [end]} for end in ends}} or None,
                "added_tokens": [{"id": i, "content": token, "special": True, "single_word": False, "lstrip": False,
                                  "rstrip": False, "normalized": False} for i, token in enumerate(special) if token != "<unk>"]}))
        else:
            (directory / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] +
                                                           [f"w{i}" for i in range(5, size)]) + "\n")
        return directory

    def change(self, model, file="config.json", **changes):
        path = model / file
        config = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**config, **changes}))

    def lines(self, *arguments, **options):
        return [json.loads(line) for line in self.succeed(*arguments, **options).splitlines()]


class OneText(TaskTest):
    def test_fill(self):
        model = self.model("bert_pretraining")
        self.assertEqual(len(self.succeed("fill", model, "w7 [MASK] w9", "--top-k", 3).splitlines()), 3)
        [line] = self.lines("fill", model, "w7 [MASK] w9 [MASK]", "--json")
        self.assertEqual([len(mask) for mask in line["fillings"]], [5, 5])
        first = line["fillings"][0][0]
        self.assertEqual(first["sequence"], f"[CLS] w7 {first['token_str']} w9 [MASK] [SEP]")
        [line] = self.lines("fill", model, "w7 [MASK] w9", "--json", "--target", "w20", "--target", "w21")
        self.assertEqual({f["token_str"] for f in line["fillings"][0]}, {"w20", "w21"})

    def test_classify(self):
        [line] = self.lines("classify", self.model("bert_sequence_classification"), "w7 w8", "--json")
        self.assertAlmostEqual(sum(label["score"] for label in line["labels"]), 1, places=6)
        self.assertEqual(len(self.lines("classify", self.model("bert_sequence_multilabel"), "w7", "--json", "-k", 2)
                             [0]["labels"]), 2)
        [one] = self.lines("classify", self.model("bert_sequence_regression"), "w7", "--pair", "w9 w10", "--json")
        [other] = self.lines("classify", self.model("bert_sequence_regression"), "w7 w9 w10", "--json")
        self.assertNotAlmostEqual(one["labels"][0]["score"], other["labels"][0]["score"], places=4)

    def test_tag(self):
        model = self.model("bert_token_classification")
        self.change(model, id2label={"0": "O", "1": "B-X", "2": "I-X", "3": "B-Y", "4": "I-Y"})
        text = texts(1, 30, seed=4)[0]
        for aggregation in ["none", "simple", "first", "average", "max"]:
            [line] = self.lines("tag", model, text, "--json", "--aggregate", aggregation)
            for entity in line["entities"]:
                self.assertEqual(text[entity["start"]:entity["end"]], entity["word"])
                self.assertNotIn("O", entity.values())
        kept = self.lines("tag", model, text, "--json", "--aggregate", "none", "--ignore", "nothing")[0]["entities"]
        self.assertEqual([entity["word"] for entity in kept], text.split())

    def test_answer(self):
        model = self.model("bert_question_answering")
        context = "é " + texts(1, 60, seed=2)[0]
        [line] = self.lines("answer", model, "w7 w8", context, "--json", "--top-k", 3, "--stride", 5)
        self.assertEqual(len(line["answers"]), 3)
        for answer in line["answers"]:
            self.assertEqual(context[answer["start"]:answer["end"]], answer["answer"])
        self.assertGreater(line["null_score"], 0)
        [line] = self.lines("answer", model, "w7", "w8", "--json", "--top-k", 9, "--allow-null")
        self.assertIn("", [answer["answer"] for answer in line["answers"]])
        path = self.write("context.txt", context)
        self.assertIn("no answer", self.succeed("answer", model, "w7", "--context-file", path, "--stride", 5))

    def test_embed_and_similar(self):
        model = self.model("bert_pretraining")
        self.assertEqual(len(json.loads(self.succeed("embed", model, "w7 w8"))), 32)
        [line] = self.lines("similar", model, "w7 w8", "w9", "w7 w8", "--json")
        matrix = line["similarities"]
        self.assertAlmostEqual(matrix[0][2], 1, places=6)
        self.assertAlmostEqual(matrix[0][1], matrix[1][0], places=6)
        self.refuse("similar", model, "w7", says="two texts")
        path = self.write("lines.txt", "w9\n\nw7 w8\nw30 w31\n")
        hits = self.lines("similar", model, "--query", "w7 w8", "-i", path, "--top-k", 2, "--json")
        self.assertEqual(hits[0]["line"], 3)
        self.assertEqual(len(hits), 2)
        self.refuse("similar", model, "--query", "w7", says="--input")

    def test_score(self):
        model = self.model("gpt2")
        [line] = self.lines("score", model, "w7 w8 w9", "--json")
        self.assertEqual(line["pieces"], ["w7", "w8", "w9"])
        self.assertEqual(line["log_probabilities"][0], None)
        self.assertAlmostEqual(sum(line["log_probabilities"][1:]), line["log_probability"], places=5)
        long = " ".join(WORDS * 2)
        self.refuse("score", model, long, says=["positions", "--stride"])
        path = self.write("document.txt", long)
        self.assertIn("of which 191 scored", self.succeed("score", model, "--document", path, "--stride", 9))

    def test_translate_and_summarize(self):
        model = self.model("t5_v10")
        [line] = self.lines("translate", model, "w7 w8 w9", "--json", "--max-new-tokens", 8)
        self.assertLessEqual(len(line["translation_text"].split()), 8)
        self.assertEqual(self.succeed("translate", model, "w7 w8 w9", "--max-new-tokens", 8).strip(), line["translation_text"])
        [line] = self.lines("summarize", model, "w7 w8 w9", "--json", "--beams", 4, "--return-sequences", 3, "-n", 6)
        scores = [line["score"]] + [other["score"] for other in line["others"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        # What the configuration says of a task: its prefix and its lengths.
        self.change(model, task_specific_params={
            "summarization": {"prefix": "w20 w21 ", "max_length": 6}, "translation_en_to_de": {"prefix": "w30 ", "max_length": 5}})
        self.assertEqual(self.succeed("summarize", model, "w7 w8"),
                         self.succeed("translate", model, "w7 w8", "--prefix", "w20 w21 ", "-n", 5))
        self.assertEqual(self.succeed("translate", model, "w7 w8", "--from", "en", "--to", "de"),
                         self.succeed("translate", model, "w30 w7 w8", "-n", 4))
        self.refuse("translate", model, "w7", "--from", "en", "--to", "fr", says="en_to_de")

    def test_languages_are_tokens(self):
        model = self.model("mbart")
        plain = self.lines("translate", model, "w7 w8", "--json", "-n", 6)[0]
        german = self.lines("translate", model, "w7 w8", "--json", "-n", 6, "--from", "en", "--to", "de_DE")[0]
        self.assertNotEqual(plain["score"], german["score"])
        self.refuse("translate", model, "w7", "--to", "fr_XX", says=["--to", "fr_XX"])
        self.refuse("translate", self.model("t5_v10"), "w7", "--to", "fr", says="names no languages")

    def test_help_has_an_example(self):
        for verb in ["fill", "classify", "tag", "answer", "embed", "similar", "translate", "summarize", "score"]:
            self.assertIn(f"qkv {verb} models/", self.succeed(verb, "--help"))

    def test_options_from_a_file(self):
        path = self.write("run.toml", "top-k = 2\njson = true\n")
        [line] = self.lines("fill", self.model("bert_pretraining"), "w7 [MASK]", "--config", path)
        self.assertEqual(len(line["fillings"][0]), 2)

    def test_bf16(self):
        for precision in ["f32", "bf16"]:
            [line] = self.lines("classify", self.model("bert_sequence_classification"), "w7 w8", "--json", "--dtype", precision)
            self.assertAlmostEqual(sum(label["score"] for label in line["labels"]), 1, places=5)


class Files(TaskTest):
    def test_a_file_is_its_lines_done_singly(self):
        model = self.model("bert_sequence_classification")
        path = self.write("in.txt", "\n".join(texts(40)) + "\n")
        together = self.lines("classify", model, "-i", path, "--batch-tokens", 100)
        self.assertEqual([line["text"] for line in together], texts(40))
        for line in together[::7]:
            [alone] = self.lines("classify", model, line["text"], "--json")
            for a, b in zip(line["labels"], alone["labels"]):
                self.assertEqual(a["label"], b["label"])
                self.assertAlmostEqual(a["score"], b["score"], places=6)

    def test_a_file_of_translations_is_its_lines_done_singly(self):
        model = self.model("t5_v10")
        some = texts(12, longest=9)
        (self.folder / "some.txt").write_text("\n".join(some) + "\n")
        for beams in ["1", "3"]:
            lines = self.lines("translate", model, "--input", self.folder / "some.txt", "--beams", beams, "-n", 7, "--quiet")
            self.assertEqual([line["translation_text"] for line in lines],
                             [self.succeed("translate", model, text, "--beams", beams, "-n", 7).rstrip("\n") for text in some])

    def test_formats_give_the_same(self):
        model = self.model("bert_sequence_classification")
        rows = [(a, b) for a, b in zip(texts(12, 8), texts(12, 8, seed=2))]
        table = io.StringIO()
        csv.writer(table).writerows([("first, cell", "second"), *rows])
        inputs = {"in.jsonl": "\n".join(json.dumps({"text": a, "pair": b, "id": i}) for i, (a, b) in enumerate(rows)),
                  "in.csv": "\ufeff" + table.getvalue(),
                  "in.tsv": "first, cell\tsecond\n" + "\n".join("\t".join(row) for row in rows)}
        results = []
        for name, content in inputs.items():
            columns = [] if name == "in.jsonl" else ["--field", "text=first, cell", "--field", "pair=second"]
            lines = self.lines("classify", model, "-i", self.write(name, content), *columns)
            results.append([line["labels"] for line in lines])
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0], results[2])
        # Fields that are not read come along; --brief names the line instead.
        lines = self.lines("classify", model, "-i", self.folder / "in.jsonl")
        self.assertEqual([line["id"] for line in lines], list(range(12)))
        lines = self.lines("classify", model, "-i", self.folder / "in.csv", "--field", "text=second", "--brief")
        self.assertEqual(set(lines[0]), {"line", "labels"})
        self.assertEqual(lines[0]["line"], 2)

    def test_quoted_cells(self):
        content = 'text\n"w7, w8"\n"w7 ""w8"""\n"w7\nw8"\nw9\n'
        lines = self.lines("embed", self.model("bert_pretraining"), "-i", self.write("in.csv", content))
        self.assertEqual([line["text"] for line in lines], ["w7, w8", 'w7 "w8"', "w7\nw8", "w9"])
        lines = self.lines("embed", self.model("bert_pretraining"), "-i", self.folder / "in.csv", "--brief")
        self.assertEqual([line["line"] for line in lines], [2, 3, 4, 6])

    def test_standard_input(self):
        model = self.model("bert_pretraining")
        self.assertEqual(self.lines("embed", model, "-i", "-", stdin=b"w7 w8\r\n\nw9"),
                         self.lines("embed", model, "-i", "-", stdin=b'{"text": "w7 w8"}\n{"text": "w9"}\n'))

    def test_npy(self):
        model = self.model("bert_pretraining")
        path = self.write("in.txt", "\n".join(texts(50)))
        self.succeed("embed", model, "-i", path, "-o", self.folder / "out.npy")
        shape, numbers = npy(self.folder / "out.npy")
        self.assertEqual(shape, (50, 32))
        lines = self.lines("embed", model, "-i", path)
        expected = [x for line in lines for x in line["embedding"]]
        self.assertEqual(len(numbers), len(expected))
        for a, b in zip(numbers, expected):
            self.assertAlmostEqual(a, b, places=6)

    def test_pairs_are_compared(self):
        path = self.write("in.jsonl", '{"text": "w7 w8", "pair": "w7 w8"}\n{"text": "w7", "pair": "w9"}\n')
        lines = self.lines("similar", self.model("bert_pretraining"), "-i", path)
        self.assertAlmostEqual(lines[0]["similarity"], 1, places=6)
        self.assertLess(lines[1]["similarity"], 1)

    def test_progress(self):
        path = self.write("in.txt", "\n".join(texts(20)))
        done = self.run_qkv("embed", self.model("bert_pretraining"), "-i", path, "-o", self.folder / "out.jsonl")
        self.assertIn(b"20/20 inputs", done.stderr)
        done = self.run_qkv("embed", self.model("bert_pretraining"), "-i", path, "-q")
        self.assertEqual(done.stderr, b"")


class Resume(TaskTest):
    def setUp(self):
        super().setUp()
        self.directory = self.model("bert_pretraining")
        self.input = self.write("in.txt", "\n".join(texts(3000, 36)))
        self.arguments = ["embed", self.directory, "-i", self.input, "--threads", 1, "--batch-tokens", 200]

    def stopped(self, out, how):
        """A run that was stopped when it had saved something."""
        process = self.start_qkv(*self.arguments, "-o", out)
        state = Path(f"{out}.unfinished.json")
        limit = time.time() + 60
        while not state.exists() and process.poll() is None and time.time() < limit:
            time.sleep(0.002)
        process.send_signal(how)
        process.communicate()
        return process.returncode

    def test_a_resumed_run_equals_the_straight_one(self):
        for name in ["jsonl", "npy"]:
            straight = self.folder / f"straight.{name}"
            self.succeed(*self.arguments, "-o", straight)
            for how in [signal.SIGINT, signal.SIGKILL]:
                with self.subTest(f"{name} {how}"):
                    out = self.folder / f"{how}.{name}"
                    code = self.stopped(out, how)
                    if code == 0:
                        self.skipTest("it had finished")
                    self.assertEqual(code, 130 if how == signal.SIGINT else -signal.SIGKILL)
                    self.assertFalse(out.exists())
                    done = json.loads(Path(f"{out}.unfinished.json").read_text())["position"]["records"]
                    self.assertGreater(done, 0)
                    self.refuse(*self.arguments, "-o", out, says=["--resume", "unfinished"])
                    self.refuse(*self.arguments, "-o", out, "--resume", "--pooling", "cls", says=["other options", "pooling"])
                    self.succeed(*self.arguments, "-o", out, "--resume")
                    self.assertEqual(out.read_bytes(), straight.read_bytes())
                    self.assertEqual(sorted(p.name for p in self.folder.glob(f"{how}.{name}*")), [out.name])
                    # Once more does no harm.
                    self.assertIn(b"is finished", self.run_qkv(*self.arguments, "-o", out, "--resume").stderr)

    def test_with_less_input_than_was_done(self):
        out = self.folder / "out.jsonl"
        if self.stopped(out, signal.SIGKILL) == 0:
            self.skipTest("it had finished")
        self.input.write_text("w7\n")
        self.refuse(*self.arguments, "-o", out, "--resume", says="fewer inputs")

    def test_needs_an_output(self):
        self.refuse(*self.arguments, "--resume", says="--output")


class BadInput(TaskTest):
    def test_lines_are_named(self):
        model = self.model("bert_pretraining")
        for bad, says in [(b'{"text": 3}', "not a string"), (b'{"txt": "w7"}', '"txt"'), (b"[1]", "not a JSON object"),
                          (b'{"text": "w7"', "bad.jsonl:3"), (b'{"text": ""}', "empty"), (b'{"text": " "}', "tokens"),
                          (b'{"text": "\xff"}', "UTF-8"), (b"[" * 100000, "bad.jsonl:3"),
                          (json.dumps({"text": " ".join(WORDS)}).encode(), "40 positions")]:
            with self.subTest(bad[:30]):
                path = self.write("bad.jsonl", b'{"text": "w7"}\n\n' + bad + b'\n{"text": "w8"}\n')
                self.refuse("embed", model, "-i", path, "-q", says=["bad.jsonl:3", says, "--skip-bad"])
                done = self.run_qkv("embed", model, "-i", path, "--skip-bad", "-q")
                self.assertEqual(done.returncode, 0)
                self.assertEqual([json.loads(line)["text"] for line in done.stdout.splitlines()], ["w7", "w8"])
                self.assertIn(b"1 bad input skipped", done.stderr)

    def test_what_was_done_before_a_bad_line_is_kept(self):
        model, path = self.model("bert_pretraining"), self.write("in.jsonl", '{"text": "w7"}\n{"text": 1}\n{"text": "w8"}\n')
        out = self.folder / "out.jsonl"
        self.refuse("embed", model, "-i", path, "-o", out, "-q", says=["in.jsonl:2"])
        self.write("in.jsonl", '{"text": "w7"}\n{"text": "w6"}\n{"text": "w8"}\n')
        self.succeed("embed", model, "-i", path, "-o", out, "--resume")
        self.assertEqual([json.loads(line)["text"] for line in out.read_text().splitlines()], ["w7", "w6", "w8"])

    def test_tables(self):
        model = self.model("bert_pretraining")
        for content, says in [("", "empty"), ("text\n", "no inputs"), ("text,b\nw7\n", ["t.csv:2", "1 cells"]),
                              ("b\nw7\n", ["t.csv:2", "text"]), ('text\n"w7\n', ["t.csv:2", "quote"])]:
            with self.subTest(content):
                self.refuse("embed", model, "-i", self.write("t.csv", content), "-q", says=says)
        path = self.write("t.csv", "sentence\nw7\n")
        self.refuse("embed", model, "-i", path, "-q", "--field", "text=sentense", says=["did you mean", "sentence"])
        self.refuse("embed", model, "-i", path, "-q", "--field", "sentence", says="NAME=COLUMN")

    def test_files(self):
        model = self.model("bert_pretraining")
        self.refuse("embed", model, "-i", self.folder / "none.txt", says="none.txt")
        self.refuse("embed", model, "-i", self.folder, says="directory")
        self.refuse("embed", model, "-i", self.write("in.json", "[]"), says=".jsonl")
        self.refuse("embed", model, "-i", self.text, "-o", self.folder / "none" / "out.jsonl", "--truncate", says="none")
        self.refuse("embed", model, "w7", "-o", self.folder / "out.jsonl", says="--input")

    def test_nothing_given(self):
        self.refuse("embed", self.model("bert_pretraining"), says="--input")
        self.refuse("answer", self.model("bert_question_answering"), "w7", says="context")
        self.refuse("answer", self.model("bert_question_answering"), says="--input")
        path = self.write("in.jsonl", '{"question": "w7"}\n')
        self.refuse("answer", self.model("bert_question_answering"), "-i", path, "-q", says=["context", "in.jsonl:1"])

    def test_heads(self):
        for verb, name, says in [("fill", "gpt2", "causal language model"), ("classify", "bert_pretraining", "next sentence"),
                                 ("tag", "bert_question_answering", "question answering"),
                                 ("answer", "bert_token_classification", "token classification"),
                                 ("score", "bert_pretraining", "masked language model"),
                                 ("translate", "gpt2", "causal language model"),
                                 ("summarize", "bert_pretraining", "masked language model")]:
            with self.subTest(verb):
                given = ["w7", "w8"] if verb == "answer" else ["w7"]
                self.refuse(verb, self.model(name), *given, says=[says, name])
        self.refuse("embed", self.folder / "none", "w7", says="none")

    def test_too_long(self):
        long = " ".join(WORDS)
        for verb, name in [("classify", "bert_sequence_classification"), ("tag", "bert_token_classification"),
                           ("embed", "bert_pretraining"), ("score", "gpt2")]:
            with self.subTest(verb):
                self.refuse(verb, self.model(name), long, says=["positions", "--truncate"])
                self.succeed(verb, self.model(name), long, "--truncate")
        self.succeed("tag", self.model("bert_token_classification"), long, "--stride", 4)
        self.refuse("tag", self.model("bert_token_classification"), long, "--stride", 38, says="--stride")
        self.refuse("answer", self.model("bert_question_answering"), long, "w7", says=["question", "positions"])
        self.refuse("embed", self.model("bert_pretraining"), "w7", "--max-length", 2, says="--max-length")

    def test_masks_and_targets(self):
        model = self.model("bert_pretraining")
        self.refuse("fill", model, "w7 w8", says="[MASK]")
        self.refuse("fill", model, " ".join(WORDS) + " [MASK]", "--truncate", says="no mask")
        self.refuse("fill", model, "w7 [MASK]", "--target", "w7 w8", says="not one token")

    def test_tokenizers_that_do_not_fit(self):
        model = self.model("bert_pretraining")
        with open(model / "vocab.txt", "a") as file:
            file.write("more\n")
        self.refuse("embed", model, "w7", says=["102 tokens", "101"])
        (model / "vocab.txt").unlink()
        self.refuse("embed", model, "w7", says="no tokenizer")

    def test_labels(self):
        model = self.model("bert_sequence_classification")
        self.change(model, id2label={"0": "a", "1": "b", "3": "c"})
        self.refuse("classify", model, "w7", says=["class 2", "id2label"])
        self.change(model, id2label={"0": "a", "1": "b", "2": 5})
        self.refuse("classify", model, "w7", says=["class 2", "id2label"])

    def test_options(self):
        model = self.model("bert_pretraining")
        for option, value in [("--batch-tokens", "0"), ("--max-length", "-1"), ("--pooling", "middle"),
                              ("--normalise", "maybe"), ("--dtype", "f8"), ("--threads", "0"), ("--format", "pdf")]:
            with self.subTest(option):
                self.refuse("embed", model, "w7", option, value, says=option.lstrip("-"))


if __name__ == "__main__":
    unittest.main()
