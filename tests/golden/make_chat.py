#!/usr/bin/env python3
"""Writes tests/golden/chat/cases.json: conversations rendered by transformers with the templates beside it.

    scripts/with-python tests/golden/make_chat.py

A case is {"template", "conversation", "options", and "text" or "refused"}; its conversation stands under
"conversations" once.
"""
import json
import pathlib

from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).resolve().parent / "chat"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

WEATHER = {"type": "function", "function": {"name": "weather", "description": "the weather of a place", "parameters": {
    "type": "object", "properties": {"place": {"type": "string", "description": "e.g. Köln"},
                                     "days": {"type": "array", "items": {"type": "integer"}}}, "required": ["place"]}}}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "tells the time", "parameters": {
    "type": "object", "properties": {}, "required": []}, "return": {"type": "string"}}}
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": {"place": "Köln", "days": [1, 2]}}}


def said(role, content, **more):
    return {"role": role, "content": content, **more}


CONVERSATIONS = {
    "one question": [said("user", "Hello, who are you?")],
    "system": [said("system", " Be brief. "), said("user", "  What is <b>2 + 2</b> & why?\n")],
    "turns": [said("system", "Be brief."), said("user", "Hi"), said("assistant", " Hello! "), said("user", "Bye\r\n\r\nnow"),
              said("assistant", "<think>\nThey leave.\n</think>\n\nGood bye.")],
    "no system": [said("user", "a"), said("assistant", "b"), said("user", "c")],
    "characters": [said("user", "naïve 東京 😀 \"quotes\" 'and' \\ back\tslash"), said("assistant", "Ünï"), said("user", "</s> <s>")],
    "empty": [said("user", "")],
    "thinking": [said("user", "think"), said("assistant", "so", reasoning_content="deep"), said("user", "more")],
    "call": [said("user", "The weather in Köln?"), said("assistant", None, tool_calls=[CALL]),
             said("tool", "{\"sun\": true}", tool_call_id="abcdefghi", name="weather"), said("assistant", "Sunny."),
             said("user", "Thanks")],
    "two results": [said("system", "s"), said("user", "q"), said("assistant", "", tool_calls=[CALL, CALL]),
                    said("tool", "1", tool_call_id="abcdefghi"), said("tool", "zwei", tool_call_id="abcdefghj")],
    "result object": [said("user", "q"), said("assistant", None, tool_calls=[CALL]),
                      said("tool", {"content": [1, 2.5, None], "ok": True}, tool_call_id="abcdefghi")],
    "parts": [said("system", [{"type": "text", "text": "See."}]),
              said("user", [{"type": "image"}, {"type": "text", "text": " What is this? "}])],
    "two users": [said("user", "a"), said("user", "b")],
    "assistant first": [said("assistant", "a"), said("user", "b")],
    "unknown role": [said("user", "a"), said("narrator", "b")],
    "none": [],
}
OPTIONS = [{"add_generation_prompt": True}, {"add_generation_prompt": False},
           {"add_generation_prompt": True, "tools": [WEATHER, CLOCK]},
           {"add_generation_prompt": True, "enable_thinking": False, "today": "1 Jan 2030"}]


def main():
    cases = []
    for path in sorted((HERE / "templates").glob("*.jinja")):
        for name, messages in CONVERSATIONS.items():
            for options in OPTIONS:
                case = {"template": path.name, "conversation": name, "options": options}
                settings = {"tools": None, "today": "26 Jul 2024", **TOKENS, **options}
                try:
                    texts, _ = render_jinja_template([messages], chat_template=path.read_text(), **settings)
                    case["text"] = texts[0]
                except Exception as error:  # whatever the template and Python make of it
                    case["refused"] = type(error).__name__
                cases.append(case)
    result = {"tokens": TOKENS, "conversations": CONVERSATIONS, "cases": cases}
    (HERE / "cases.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    refused = sum("refused" in case for case in cases)
    print(f"{len(cases)} cases, {refused} of them refused")


if __name__ == "__main__":
    main()
