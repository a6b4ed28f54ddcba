#!/usr/bin/env python3
"""Live comparison of qkv's templates with Python's jinja2 as transformers sets it up.

    python tests/parity/template_parity.py --qkv build/qkv [--seed 1] [--expressions 20000]

The templates of tests/golden/chat render random conversations (turns, tools, calls, results, parts), and random
expressions of filters, tests, methods, slices and operators are printed. Where Python raises, qkv must refuse, and the
other way round, but for what the engine does not offer by design (UNKNOWN). Prints "N passed, N failed"; exits 1 on
failure.
"""
import argparse
import copy
import json
import pathlib
import random
import subprocess
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXTS = ["", " ", "a", "Hello, World", "  two  words\n", "it's (a) TEST", "naïve ÜBER straße", "東京 😀", "x,y,,z", "line\nbreak\r\nthere\n",
         "<|im_end|>", "{\"k\": 1}", "12", "-3.5", "ab" * 20, "</think>answer", "tab\there", "%d%%", "&<>\"'"]
VARIABLES = {"s": "  Some Text, with words  ", "e": "", "n": 7, "f": 2.5, "l": [3, 1, 2], "w": ["b", "A", "c", "a"],
             "d": {"b": 1, "a": [1, None, "x"], "items": "own"}, "t": True, "z": None,
             "m": [{"role": "user", "n": 2}, {"role": "tool", "n": 1}, {"role": "user", "n": None}]}
# Out of scope: integers beyond 64 bits, keys of dicts that are no strings, and a list's items as keys of a set.
UNKNOWN = ("too large", "keys of dicts are strings", "many arguments", "is not printed", "a format of kind")


class Expressions:
    def __init__(self, rng):
        self.rng = rng

    def any(self, depth=0):
        kinds = [self.text, self.number, self.list, self.truth] if depth < 4 else [self.leaf]
        return self.rng.choice(kinds)(depth + 1)

    def leaf(self, _=0):
        return self.rng.choice(["s", "e", "n", "f", "l", "w", "d", "t", "z", "m", "undefined_name", "0", "-1", "2", "1.5", "'x'", "[]",
                                "'a b'", "none", "true", repr(self.rng.choice(TEXTS))])

    def text(self, depth=0):
        r = self.rng
        if depth > 4 or r.random() < 0.25:
            return r.choice(["s", "e", repr(r.choice(TEXTS))])
        inner = self.text(depth + 1) if r.random() < 0.85 else self.any(depth + 1)
        return r.choice([
            lambda: f"({inner} | {r.choice(['trim', 'upper', 'lower', 'title', 'capitalize', 'string', 'indent', 'tojson', 'indent(2, true)'])})",
            lambda: f"({inner}).{r.choice(['strip()', 'lstrip()', 'rstrip()', 'upper()', 'title()', 'capitalize()', 'lower()'])}",
            lambda: f"({inner}).strip({r.choice(TEXTS)!r})",
            lambda: f"({inner}).replace({r.choice(TEXTS)!r}, {r.choice(['', 'X', '__'])!r})",
            lambda: f"({inner} | replace({r.choice(['a', 'o', ' ', ''])!r}, 'Z'))",
            lambda: f"(e ~ {inner})[{r.choice(['', '1', '-2', '5', '-9'])}:{r.choice(['', '3', '-1', '99'])}{r.choice(['', ':2', ':-1'])}]",
            lambda: f"({inner} ~ {self.any(depth + 1)})",
            lambda: f"({inner} + {self.text(depth + 1)})",
            lambda: f"({inner} * {r.choice(['0', '2', '3', '-1'])})",
            lambda: f"({self.list(depth + 1)} | join({r.choice(['', ', ', '-'])!r}))",
            lambda: f"({inner} if {self.truth(depth + 1)} else {self.text(depth + 1)})",
            lambda: f"({self.any(depth + 1)} | tojson{r.choice(['', '(indent=2)', '(sort_keys=true)', '(ensure_ascii=true)'])})",
            lambda: f"({self.any(depth + 1)} | default({self.text(depth + 1)}{r.choice(['', ', true'])}))",
            lambda: f"('%s and %5d|%-4s|%.2f' | format({inner}, {self.number(depth + 1)}, 'q', {self.number(depth + 1)}))",
            lambda: f"({inner}).split({r.choice(['', chr(39) + ',' + chr(39), chr(39) + ' ' + chr(39) + ', 1'])})[{r.choice(['0', '-1'])}]",
            lambda: f"({inner}).removeprefix({r.choice(TEXTS[1:4])!r})",
            lambda: f"'{{}}-{{}}'.format({inner}, {self.number(depth + 1)})",
        ])()

    def number(self, depth=0):
        r = self.rng
        if depth > 4 or r.random() < 0.3:
            return r.choice(["n", "f", "0", "1", "2", "13", "2.5", "0.1", "t"])
        return r.choice([
            lambda: f"({self.number(depth + 1)} {r.choice(['+', '-', '*', '/', '//', '%'])} {self.number(depth + 1)})",
            lambda: f"(-{self.number(depth + 1)})",
            lambda: f"({r.choice(['2', '3', '0.5'])} ** {r.choice(['0', '2', '3', '-1'])})",
            lambda: f"({self.any(depth + 1)} | {r.choice(['length', 'int', 'float', 'count', 'abs', 'wordcount', 'int(3)'])})",
            lambda: f"({self.number(depth + 1)} | round{r.choice(['', '(1)', '(2)', '(0, chr)', '(1, chr)'])})".replace("chr", "'" + r.choice(["ceil", "floor", "common"]) + "'"),
            lambda: f"({self.list(depth + 1)} | {r.choice(['sum', 'first', 'last', 'max', 'min'])})",
            lambda: f"({self.text(depth + 1)}).{r.choice(['count', 'find', 'rfind'])}({r.choice(TEXTS)!r})",
        ])()

    def list(self, depth=0):
        r = self.rng
        if depth > 4 or r.random() < 0.25:
            return r.choice(["l", "w", "[1, 2, 3]", "['a', 'B']", "[]", "range(4)|list", "(1, 'x')", "d.keys()|list", "d['a']"])
        inner = self.list(depth + 1)
        return r.choice([
            lambda: f"({inner})[{r.choice(['', '1', '-2'])}:{r.choice(['', '2', '-1'])}]",
            lambda: f"({inner} | {r.choice(['reverse', 'unique', 'list', 'sort', 'sort(reverse=true)', 'map(chr)', 'batch(2)'])} | list)".replace("chr", "'" + r.choice(["upper", "string", "length", "trim"]) + "'"),
            lambda: f"({inner} | {r.choice(['select', 'reject'])}({r.choice(['', chr(39) + 'string' + chr(39), chr(39) + 'number' + chr(39), chr(39) + 'gt' + chr(39) + ', 1'])}) | list)",
            lambda: f"(m | {r.choice(['selectattr', 'rejectattr'])}('role', {r.choice(['chr, 1', 'eq', 'in'])}) | list)".replace("chr, 1", "'equalto', 'user'").replace("eq)", "'ne', 'tool')").replace("in)", "'in', ['tool', 'x'])"),
            lambda: f"(m | map(attribute={r.choice(['role', 'n', 'none'])!r}) | list)",
            lambda: f"({self.text(depth + 1)}).{r.choice(['split', 'rsplit'])}({r.choice(['', 'none, 1', chr(39) + 'a' + chr(39), chr(39) + ' ' + chr(39) + ', 1'])})",
            lambda: f"({self.text(depth + 1)}).splitlines({r.choice(['', 'true'])})",
            lambda: f"({self.text(depth + 1)} | list)",
            lambda: f"({inner} + {self.list(depth + 1)})",
            lambda: f"[{self.any(depth + 1)}, {self.any(depth + 1)}]",
            lambda: f"(d | {r.choice(['dictsort', 'items', 'list'])} | list)",
        ])()

    def truth(self, depth=0):
        r = self.rng
        if depth > 4 or r.random() < 0.2:
            return r.choice(["t", "z", "true", "false", "n > 3", "e"])
        inner = self.any(depth + 1)
        return r.choice([
            lambda: f"({inner} is {r.choice(['', 'not '])}{r.choice(['defined', 'undefined', 'none', 'string', 'number', 'integer', 'float', 'boolean', 'mapping', 'sequence', 'iterable', 'true', 'false', 'odd', 'even', 'lower', 'upper', 'divisibleby 2', 'eq 1', 'in [1, 2]', 'callable'])})",
            lambda: f"({inner} {r.choice(['==', '!=', '<', '>', '<=', '>='])} {self.any(depth + 1)})",
            lambda: f"({inner} {r.choice(['in', 'not in'])} {self.any(depth + 1)})",
            lambda: f"({inner} {r.choice(['and', 'or'])} {self.any(depth + 1)})",
            lambda: f"(not {inner})",
            lambda: f"({self.text(depth + 1)}).{r.choice(['startswith', 'endswith'])}({r.choice(TEXTS)!r})",
            lambda: f"({self.text(depth + 1)}).{r.choice(['isdigit', 'isalpha', 'isalnum', 'isspace', 'isupper', 'islower'])}()",
            lambda: f"({self.number(depth + 1)} < {self.number(depth + 1)} < {self.number(depth + 1)})",
        ])()


def conversation(rng):
    tool = {"type": "function", "function": {"name": "f", "description": rng.choice(TEXTS), "parameters": {
        "type": "object", "properties": {"a": {"type": rng.choice(["string", "array", "object", "number"]), "items": {"type": "integer"},
                                               "description": rng.choice(TEXTS)}}, "required": rng.choice([[], ["a"]])}}}
    messages = []
    for _ in range(rng.randint(0, 6)):
        role = rng.choice(["user", "assistant", "user", "assistant", "system", "tool", "other"])
        message = {"role": role, "content": rng.choice(TEXTS)}
        if rng.random() < 0.1:
            message["content"] = rng.choice([None, [{"type": "text", "text": rng.choice(TEXTS)}, {"type": "image"}], {"content": 1.5}, 3])
        if role == "assistant" and rng.random() < 0.3:
            message["tool_calls"] = [{"id": "123456789", "type": "function", "function": {
                "name": "f", "arguments": rng.choice([{"a": rng.choice(TEXTS), "b": [1, 2.5, None, True]}, "{}"])}}] * rng.randint(1, 2)
        if role == "tool" and rng.random() < 0.7:
            message["tool_call_id"] = "123456789"
        if rng.random() < 0.1:
            message["reasoning_content"] = rng.choice(TEXTS)
        messages.append(message)
    if rng.random() < 0.6:  # take turns, so that strict templates have something to do
        messages = [m for m in messages if m["role"] in ("user", "assistant")]
        for i, message in enumerate(messages):
            message["role"] = "assistant" if i % 2 else "user"
    variables = {"tools": rng.choice([None, None, [tool], [tool, tool]]), "add_generation_prompt": rng.random() < 0.5,
                 "bos_token": "<s>", "eos_token": "</s>", "today": "1 Jan 2030", "documents": None}
    return messages, variables


def ask(program, lines):
    done = subprocess.run([program], input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True, text=True, check=False)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    if len(results) != len(lines):
        sys.exit(f"{len(results)} results for {len(lines)} templates: {done.stderr}")
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qkv", default=str(ROOT / "build/qkv"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--expressions", type=int, default=20000)
    parser.add_argument("--conversations", type=int, default=300, help="for each template")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    program = str(pathlib.Path(options.qkv).resolve().parent / "tests/render_templates")
    lines, wanted = [], []

    def want(source, render):
        try:
            wanted.append((source, render()))
        except Exception as error:  # whatever Python makes of it
            wanted.append((source, error))

    for path in sorted((ROOT / "tests/golden/chat/templates").glob("*.jinja")):
        source = path.read_text()
        for _ in range(options.conversations):
            messages, variables = conversation(rng)
            want(path.name + " " + json.dumps(messages), lambda: render_jinja_template([messages], chat_template=source, **variables)[0][0])
            aliased = [{"thinking": m["reasoning_content"], **m} if "reasoning_content" in m else m for m in messages]
            lines.append({"template": source, "variables": {"messages": aliased, **variables}})
    conversations = len(lines)
    expressions = Expressions(rng)
    for _ in range(options.expressions):
        source = "{{ " + expressions.any() + " }}"
        want(source, lambda: _compile_jinja_template.__wrapped__(source).render(**copy.deepcopy(VARIABLES)))  # indent changes lists
        lines.append({"template": source, "variables": VARIABLES})
    failed = skipped = raised = 0
    for number, ((source, theirs), ours) in enumerate(zip(wanted, ask(program, lines))):
        error = ours.get("error", "")
        if any(part in error for part in UNKNOWN) or "unhashable" in str(theirs) or (isinstance(theirs, str) and ("<generator" in theirs or "<built-in" in theirs or "dict_" in theirs)):
            skipped += 1
            continue
        refused = not isinstance(theirs, str)
        raised += refused
        if refused == bool(error) and (refused or ours["text"] == theirs):
            continue
        failed += 1
        if failed <= 25:
            print(f"differs ({'conversation' if number < conversations else 'expression'}): {source}\n  qkv    {ours}\n  jinja2 {theirs!r}")
    print(f"{conversations} conversations, {options.expressions} expressions; {raised} refused by both, {skipped} left out")
    print(f"{0 if failed else 1} passed, {1 if failed else 0} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
