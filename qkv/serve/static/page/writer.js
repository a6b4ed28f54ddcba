// Lets a model write: one stream of text and tokens, whether it chats or only goes on with a text.
import {requestStream} from "./api.js";

const alternatives = 8; // told for each token
const least = Math.log(0.001); // alternatives that are less likely are not kept

// How a conversation may go on that has filled the model's context. Only who chats can sum up.
const ways = [
  {
    name: "slide",
    label: "forget oldest",
    act: "Go on without the oldest",
    title: "The model forgets the oldest half of what was said",
  },
  {
    name: "summarise",
    label: "sum up oldest",
    act: "Go on with a summary",
    title: "The model sums up the older messages, and reads the summary in their place",
  },
];
export const waysOn = (model) => (model?.chat ? ways : ways.slice(0, 1));

// What the settings say of writing; what is not set is left to the server.
function writing(model, settings) {
  const fields = {};
  for (const name of [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
  ])
    if (settings[name] !== undefined) fields[name] = settings[name];
  if (settings.overflow && waysOn(model).some(({name}) => name === settings.overflow)) fields.overflow = settings.overflow;
  const stops = (settings.stop ?? "").split("\n").filter((stop) => stop !== "");
  if (stops.length > 0) fields.stop = stops.map((stop) => stop.replaceAll("\\n", "\n"));
  return fields;
}

// The fields of a request that say what the answer is an answer to. A model without a chat template goes on with what has
// been said so far.
export function promptOf(model, path, settings) {
  const system = settings.system?.trim() ? [{role: "system", content: settings.system}] : [];
  if (model.chat) return {messages: [...system, ...path.map(({role, content}) => ({role, content}))]};
  return {prompt: [...system, ...path].map(({content}) => content).join("")};
}

// Yields {text, tokens, finish, usage}, each where an event has it. Tokens are {id, text, score, top: [{text, score}]}
// with natural logarithms of probabilities.
export async function* write(model, path, settings, signal) {
  const body = {model: model.id, ...promptOf(model, path, settings), ...writing(model, settings)};
  if (model.chat)
    Object.assign(body, {logprobs: true, top_logprobs: alternatives, max_completion_tokens: settings.max_tokens});
  else Object.assign(body, {logprobs: 5, max_tokens: settings.max_tokens ?? 256});
  for await (const event of requestStream(model.chat ? "/v1/chat/completions" : "/v1/completions", body, signal)) {
    const choice = event.choices[0];
    yield {
      text: choice?.delta?.content ?? choice?.text ?? "",
      tokens: tokensOf(choice?.logprobs),
      finish: choice?.finish_reason,
      usage: event.usage,
    };
  }
}

function tokensOf(logprobs) {
  if (!logprobs) return [];
  if (logprobs.content)
    return logprobs.content.map((token) => ({
      id: token.id,
      text: token.token,
      score: rounded(token.logprob),
      top: likely(token.top_logprobs.map((other) => ({text: other.token, score: other.logprob}))),
    }));
  return logprobs.tokens.map((text, i) => ({
    id: logprobs.ids?.[i],
    text,
    score: rounded(logprobs.token_logprobs[i]),
    top: likely(Object.entries(logprobs.top_logprobs?.[i] ?? {}).map(([other, score]) => ({text: other, score}))),
  }));
}

const rounded = (score) => Math.round(score * 1e4) / 1e4;

const likely = (others) =>
  others
    .filter(({score}) => score > least)
    .map(({text, score}) => ({text, score: rounded(score)}))
    .sort((a, b) => b.score - a.score);
