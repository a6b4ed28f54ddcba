// Requests to the server that this page came from.
import {events} from "./stream.js";

export class ApiError extends Error {
  constructor(message, status = 0, code = "") {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const keyName = "qkv-api-key";
let key = sessionStorage.getItem(keyName) ?? localStorage.getItem(keyName) ?? "";
let askForKey = async () => null;
let asking = null;

// `ask(wrong)` resolves to {key, remember}, or null when the user gives none.
export function onKeyNeeded(ask) {
  askForKey = ask;
}

async function keyFromUser() {
  const given = await askForKey(key !== "");
  if (given === null) return false;
  key = given.key;
  sessionStorage.setItem(keyName, key);
  if (given.remember) localStorage.setItem(keyName, key);
  else localStorage.removeItem(keyName);
  return true;
}

async function errorOf(response) {
  const text = await response.text();
  try {
    const {error} = JSON.parse(text);
    return new ApiError(error.message, response.status, error.code ?? "");
  } catch {
    return new ApiError(`The server answered with status ${response.status}.`, response.status);
  }
}

async function send(method, path, body, options) {
  for (;;) {
    const used = key;
    const headers = {
      ...(used && {Authorization: `Bearer ${used}`}),
      ...(body !== undefined && {"Content-Type": "application/json"}),
    };
    let response;
    try {
      response = await fetch(path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        ...options,
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The server cannot be reached. Is qkv serve still running?");
    }
    if (response.ok) return response;
    if (response.status !== 401) throw await errorOf(response);
    // Requests that were under way while the user typed have their key now.
    if (used !== key) continue;
    asking ??= keyFromUser().finally(() => {
      asking = null;
    });
    if (!(await asking)) throw await errorOf(response);
  }
}

// The answer's JSON. Options are fetch's: signal, keepalive.
export async function request(method, path, body, options = {}) {
  return (await send(method, path, body, options)).json();
}

// The answer's events, one after the other.
export async function* requestStream(path, body, signal) {
  const response = await send("POST", path, {...body, stream: true, stream_options: {include_usage: true}}, {signal});
  try {
    for await (const event of events(response.body)) {
      if (event.error) throw new ApiError(event.error.message, 500, event.error.code ?? "");
      yield event;
    }
  } catch (error) {
    // Browsers have words of their own for a connection that breaks.
    if (error instanceof TypeError) throw new ApiError("The connection broke off. Is qkv serve still running?");
    throw error;
  }
}
