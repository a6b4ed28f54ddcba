// What OpenAI's JavaScript client gets from a server: node client.js URL KEY. The server offers the models "tiny" (words),
// "bert" (vectors) and "chatty" (conversations), as serve_parity.py makes them. The last line is "N passed, N failed".
import OpenAI from "openai";

const [url, key] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 60_000 });
let passed = 0, failed = 0;

function check(name, right, detail = "") {
  if (right) {
    ++passed;
    return;
  }
  ++failed;
  console.log(`${name}: differs ${detail}`);
}

async function models() {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  check("models", names.join() === "tiny,bert,chatty", names.join());
  check("a model", (await client.models.retrieve("tiny")).owned_by === "qkv");
}

async function completions() {
  const settings = { model: "tiny", prompt: "w5 w6 w7", max_tokens: 12, temperature: 0, ignore_eos: true };
  const whole = await client.completions.create(settings);
  let text = "", usage = null;
  const stream = await client.completions.create({ ...settings, stream: true, stream_options: { include_usage: true } });
  for await (const event of stream) {
    for (const choice of event.choices) text += choice.text;
    usage = event.usage ?? usage;
  }
  check("completion", whole.choices[0].finish_reason === "length" && whole.usage.completion_tokens === 12);
  check("completion as a stream", text === whole.choices[0].text && usage.completion_tokens === 12, text);
}

async function chats() {
  const settings = {
    model: "chatty", temperature: 0, max_completion_tokens: 10, ignore_eos: true,
    messages: [{ role: "system", content: "be" }, { role: "user", content: [{ type: "text", text: "hi" }] }],
  };
  const whole = await client.chat.completions.create({ ...settings, logprobs: true, top_logprobs: 2 });
  const said = whole.choices[0].message.content;
  const tokens = whole.choices[0].logprobs.content;
  check("chat", said.length > 0 && whole.usage.completion_tokens === 10);
  check("log probabilities", tokens.map((token) => token.token).join("") === said && tokens[0].top_logprobs.length === 2);
  let text = "", pieces = 0;
  for await (const event of await client.chat.completions.create({ ...settings, stream: true })) {
    text += event.choices[0].delta.content ?? "";
    ++pieces;
  }
  check("chat as a stream", text === said && pieces > 2, text);
  // The client puts a stream's pieces together itself.
  const runner = client.chat.completions.stream(settings);
  check("a stream put together", (await runner.finalChatCompletion()).choices[0].message.content === said);
}

const tools = [{
  type: "function",
  function: {
    name: "light", parameters: { type: "object", properties: { on: { type: "boolean" } }, required: ["on"] },
  },
}];

async function calls() {
  const settings = {
    model: "chatty", messages: [{ role: "user", content: "light" }], tools, tool_choice: "required", seed: 3, temperature: 2,
    logit_bias: { 1: -100 },
  };
  const called = (await client.chat.completions.create(settings)).choices[0];
  const call = called.message.tool_calls[0];
  check("a call", called.finish_reason === "tool_calls" && call.function.name === "light");
  check("a call's arguments", typeof JSON.parse(call.function.arguments).on === "boolean", call.function.arguments);
  const streamed = (await client.chat.completions.stream(settings).finalChatCompletion()).choices[0].message.tool_calls[0];
  check("a call as a stream", streamed.function.arguments === call.function.arguments, streamed.function.arguments);
  // Calls and what they gave are sent back.
  const next = await client.chat.completions.create({
    model: "chatty", max_completion_tokens: 4, tools,
    messages: [...settings.messages, called.message, { role: "tool", tool_call_id: call.id, content: "done" }],
  });
  check("an answer to what a call gave", next.choices.length === 1);
  const schema = {
    type: "object", properties: { colour: { enum: ["red", "blue"] } }, required: ["colour"], additionalProperties: false,
  };
  const parsed = await client.chat.completions.parse({
    model: "chatty", messages: settings.messages, seed: 1, logit_bias: { 1: -100 },
    response_format: { type: "json_schema", json_schema: { name: "paint", strict: true, schema } },
  });
  check("an answer in its form", ["red", "blue"].includes(JSON.parse(parsed.choices[0].message.content).colour));
}

async function embeddings() {
  const input = ["w5 w6 w7", "w9"];
  // The client asks for base64 unless told otherwise.
  const plain = await client.embeddings.create({ model: "bert", input });
  const floats = await client.embeddings.create({ model: "bert", input, encoding_format: "float" });
  check("embeddings", plain.data.length === 2 && plain.data.every((one, i) =>
    one.embedding.length > 1 && one.embedding.every((x, j) => Math.abs(x - floats.data[i].embedding[j]) < 1e-6)));
}

async function mistakes() {
  const fails = async (name, kind, code, call) => {
    try {
      await call();
      check(name, false, "no error");
    } catch (error) {
      check(name, error instanceof kind && error.code === code, `${error}`);
    }
  };
  await fails("no such model", OpenAI.NotFoundError, "model_not_found",
    () => client.completions.create({ model: "x", prompt: "w5" }));
  await fails("no such field", OpenAI.BadRequestError, "unknown_parameter",
    () => client.completions.create({ model: "tiny", prompt: "w5", surprise: 1 }));
  await fails("too long", OpenAI.BadRequestError, "context_length_exceeded",
    () => client.completions.create({ model: "tiny", prompt: Array(500).fill(5) }));
  await fails("wrong key", OpenAI.AuthenticationError, "invalid_api_key",
    () => new OpenAI({ baseURL: url, apiKey: "no", maxRetries: 0 }).models.list());
  await fails("no chat", OpenAI.BadRequestError, "no_chat_template",
    () => client.chat.completions.create({ model: "tiny", messages: [{ role: "user", content: "w5" }] }));
  const left = await client.completions.create({ model: "tiny", prompt: "w5", max_tokens: 50, ignore_eos: true, stream: true });
  for await (const event of left) {
    if (event.choices.length > 0) break;
  }
  left.controller.abort();
  const after = await client.completions.create({ model: "tiny", prompt: "w5", max_tokens: 1 });
  check("after a stream left alone", after.usage.completion_tokens === 1);
}

for (const part of [models, completions, chats, calls, embeddings, mistakes]) {
  try {
    await part();
  } catch (error) {
    check(part.name, false, error.stack);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
