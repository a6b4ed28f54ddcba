#!/usr/bin/env python3
"""OpenAI's own Python client against `qkv serve`, with transformers as the judge of what is answered.

A golden Llama must write the tokens that transformers' greedy search writes, with log probabilities to 1e-4, whole and as
a stream, for one client and for many at a time; chats must start from transformers' prompt, and answers keep to their form; a BERT must give the mean of transformers' hidden states as embeddings;
what tokens attend to must be transformers' attentions; mistakes must come as the client's own exceptions. Prints "N passed, N failed"; exits 1 on failure.
"""
import argparse
import asyncio
import json
import os
import pathlib
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import openai  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from models_parity import ROOT, Tally  # noqa: E402
from served import KEY, Server, offered_models  # noqa: E402

TOLERANCE = 1e-4


def text_of(ids):
    return " ".join(f"w{i}" if i > 0 else "<unk>" for i in ids)


def going_on(ids):
    return "".join(f" w{i}" if i > 0 else " <unk>" for i in ids)


class Judge:
    """transformers' model of the same directory."""

    def __init__(self, folder):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def scores(self, ids):
        with torch.no_grad():
            return torch.log_softmax(self.model(torch.tensor([ids])).logits[0].double(), -1)

    def greedy(self, ids, count):
        said, probabilities = [], []
        for _ in range(count):
            scores = self.scores(ids + said)[-1]
            said.append(int(scores.argmax()))
            probabilities.append(float(scores[said[-1]]))
        return said, probabilities


def completions(tally, client, judge):
    for ids in ([5, 6, 7], [9], list(range(20, 40))):
        expected, probabilities = judge.greedy(ids, 12)
        settings = dict(model="tiny", max_tokens=12, temperature=0, logprobs=2, extra_body={"ignore_eos": True})
        answer = client.completions.create(prompt=text_of(ids), **settings).choices[0]
        tally.add(f"completion of {len(ids)}", answer.text == going_on(expected) and answer.finish_reason == "length")
        tally.add("log probabilities", all(abs(a - b) < TOLERANCE for a, b in
                                            zip(answer.logprobs.token_logprobs, probabilities)))
        same = client.completions.create(prompt=ids, **settings).choices[0]
        tally.add("ids as a prompt", same.text == answer.text)
        streamed, tokens, usage = "", [], None
        for event in client.completions.create(prompt=text_of(ids), stream=True, stream_options={"include_usage": True},
                                               **settings):
            for choice in event.choices:
                streamed += choice.text
                tokens += choice.logprobs.tokens if choice.logprobs else []
            usage = event.usage or usage
        tally.add("stream", streamed == answer.text and len(tokens) == 12 and usage.completion_tokens == 12)
        echo = client.completions.create(model="tiny", prompt=ids, max_tokens=0, echo=True, logprobs=0).choices[0]
        scores = judge.scores(ids)
        wanted = [None] + [float(scores[i, ids[i + 1]]) for i in range(len(ids) - 1)]
        tally.add("scored prompt", len(echo.logprobs.token_logprobs) == len(ids) and all(
            a is None if b is None else abs(a - b) < TOLERANCE for a, b in zip(echo.logprobs.token_logprobs, wanted)))
    several = client.completions.create(model="tiny", prompt=["w5", "w6"], n=3, seed=1, max_tokens=4)
    tally.add("several", [c.index for c in several.choices] == list(range(6)))


def chats(tally, client, folder):
    judge, tokenizer = Judge(folder), transformers.AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {
        "type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}}}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    said = tokenizer.decode(judge.greedy(prompt, 10)[0], clean_up_tokenization_spaces=False)
    settings = dict(model="chatty", messages=messages, temperature=0, max_completion_tokens=10, extra_body={"ignore_eos": True})
    answer = client.chat.completions.create(logprobs=True, top_logprobs=3, **settings)
    tally.add("chat", answer.choices[0].message.content == said and answer.usage.prompt_tokens == len(prompt),
              f"{answer.choices[0].message.content!r} for {said!r}")
    tally.add("chat's log probabilities", "".join(t.token for t in answer.choices[0].logprobs.content) == said)
    streamed = "".join(e.choices[0].delta.content or "" for e in client.chat.completions.create(stream=True, **settings))
    tally.add("chat as a stream", streamed == said)
    no_spaces = {"1": -100}
    schema = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}, "n": {"type": "boolean"}},
              "required": ["colour", "n"], "additionalProperties": False}
    for seed in range(5):
        formed = client.chat.completions.create(
            model="chatty", messages=messages, seed=seed, temperature=2, logit_bias=no_spaces,
            response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": True}})
        value = json.loads(formed.choices[0].message.content)
        tally.add("an answer in its form", value["colour"] in ("red", "blue") and isinstance(value["n"], bool))
        called = client.chat.completions.create(model="chatty", messages=messages, tools=tools, tool_choice="required", seed=seed,
                                                logit_bias=no_spaces, temperature=2).choices[0]
        call = called.message.tool_calls[0].function
        tally.add("a call", called.finish_reason == "tool_calls" and call.name == "f" and
                  isinstance(json.loads(call.arguments)["on"], bool))


async def many(tally, url, judge):
    client = openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0)
    prompts = [[5 + i % 7, 6 + i % 11, 8] for i in range(48)]

    async def one(ids):
        said = ""
        async for event in await client.completions.create(model="tiny", prompt=ids, max_tokens=10, temperature=0,
                                                            stream=True, extra_body={"ignore_eos": True}):
            said += "".join(choice.text for choice in event.choices)
        return said

    for ids, said in zip(prompts, await asyncio.gather(*map(one, prompts))):
        expected = going_on(judge.greedy(ids, 10)[0])
        tally.add("many at a time", said == expected, f"{ids}: {said!r} for {expected!r}")
    await client.close()


def embeddings(tally, client, folder):
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32)
    for ids in ([5, 6, 7], [9, 10], list(range(20, 40))):
        with torch.no_grad():
            expected = model(torch.tensor([ids])).last_hidden_state[0].mean(0)
        # The client asks for base64 unless told otherwise.
        for format in ({}, {"encoding_format": "float"}):
            answer = client.embeddings.create(model="bert", input=text_of(ids), **format)
            tally.add("embedding", torch.allclose(torch.tensor(answer.data[0].embedding), expected, atol=1e-5))


def attentions(tally, client, folder, name, auto):
    """Of a causal model each row alone; of one that sees both ways, all keys."""
    model = auto.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    ids = [5, 6, 7, 8, 9, 5, 6]
    with torch.no_grad():
        expected = model(torch.tensor([ids]), output_attentions=True).attentions
    for position in (0, 3, 6):
        answer = client.with_options(base_url=str(client.base_url).removesuffix("v1/")).post("/attention", cast_to=object, body={"model": name, "tokens": ids, "position": position})
        seen = len(answer["tokens"])
        tally.add(f"attention of {name}", seen == (position + 1 if model.config.model_type == "llama" else len(ids)) and all(
            torch.allclose(torch.tensor(layer["heads"]), expected[layer["layer"]][0, :, position, :seen], atol=1e-5)
            for layer in answer["layers"]) and len(answer["layers"]) == len(expected))


def mistakes(tally, client, url):
    def raises(name, error, call, code=None):
        try:
            call()
        except error as caught:
            tally.add(name, code is None or caught.code == code)
        else:
            tally.add(name, False)

    raises("no such model", openai.NotFoundError, lambda: client.completions.create(model="x", prompt="w5"), "model_not_found")
    raises("no such field", openai.BadRequestError,
           lambda: client.completions.create(model="tiny", prompt="w5", extra_body={"surprise": 1}), "unknown_parameter")
    raises("too long", openai.BadRequestError, lambda: client.completions.create(model="tiny", prompt=[5] * 500),
           "context_length_exceeded")
    raises("wrong key", openai.AuthenticationError,
           lambda: openai.OpenAI(base_url=url, api_key="no", max_retries=0).models.list(), "invalid_api_key")
    raises("no chat", openai.BadRequestError,
           lambda: client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "w5"}]), "no_chat_template")
    stream = client.completions.create(model="tiny", prompt="w5", max_tokens=50, stream=True)
    next(iter(stream))
    stream.close()
    tally.add("after a stream left alone", client.completions.create(model="tiny", prompt="w5", max_tokens=1).usage.completion_tokens == 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qkv", default=str(ROOT / "build" / "qkv"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        tiny, bert, chatty = offered_models(folder)
        with Server(options.qkv, tiny, bert, chatty) as server:
            client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0, timeout=60)
            judge = Judge(tiny)
            tally.add("models", [m.id for m in client.models.list()] == ["tiny", "bert", "chatty"])
            tally.add("a model", client.models.retrieve("tiny").owned_by == "qkv")
            completions(tally, client, judge)
            asyncio.run(many(tally, server.url, judge))
            chats(tally, client, chatty)
            embeddings(tally, client, bert)
            attentions(tally, client, tiny, "tiny", transformers.AutoModelForCausalLM)
            attentions(tally, client, bert, "bert", transformers.AutoModelForMaskedLM)
            mistakes(tally, client, server.url)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
