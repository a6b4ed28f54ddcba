// Where conversations are kept: by the server, or in this page alone where the server keeps none.
import {ApiError, request} from "./api.js";

const format = "qkv conversations 1";

function check(document) {
  if (document?.format !== format || !Array.isArray(document.conversations))
    throw new ApiError("This is no export of conversations.");
}

class ServerStore {
  kept = true;
  async list(search = "") {
    return (await request("GET", `/conversations?search=${encodeURIComponent(search)}`)).conversations;
  }
  create(fields) {
    return request("POST", "/conversations", fields);
  }
  read(id) {
    return request("GET", `/conversations/${id}`);
  }
  change(id, fields) {
    return request("PATCH", `/conversations/${id}`, fields);
  }
  remove(id) {
    return request("DELETE", `/conversations/${id}`);
  }
  removeAll() {
    return request("DELETE", "/conversations");
  }
  add(id, message, options) {
    return request("POST", `/conversations/${id}/messages`, message, options);
  }
  exportAll() {
    return request("GET", "/conversations/export");
  }
  // One at a time: a request has a bound, all conversations together have none.
  async importAll(document) {
    check(document);
    for (const conversation of document.conversations)
      await request("POST", "/conversations/import", {format, conversations: [conversation]});
  }
}

const now = () => Math.floor(Date.now() / 1000);

class MemoryStore {
  kept = false;
  #conversations = []; // the latest last
  #next = 1;

  #find(id) {
    const found = this.#conversations.find((conversation) => conversation.id === id);
    if (!found) throw new ApiError("There is no such conversation.", 404);
    return found;
  }
  async list(search = "") {
    const wanted = search.toLowerCase();
    const holds = (text) => text.toLowerCase().includes(wanted);
    return this.#conversations
      .filter((c) => wanted === "" || holds(c.title) || c.messages.some((message) => holds(message.content)))
      .sort((a, b) => b.updated - a.updated || Number(b.id) - Number(a.id));
  }
  async create({title = "", settings = {}}) {
    const conversation = {
      id: String(this.#next++),
      title,
      settings,
      leaf: null,
      created: now(),
      updated: now(),
      messages: [],
    };
    this.#conversations.push(conversation);
    return conversation;
  }
  async read(id) {
    return structuredClone(this.#find(id));
  }
  async change(id, fields) {
    return Object.assign(this.#find(id), fields);
  }
  async remove(id) {
    this.#conversations = this.#conversations.filter((conversation) => conversation.id !== id);
  }
  async removeAll() {
    this.#conversations = [];
  }
  async add(id, message) {
    const conversation = this.#find(id);
    const stored = {...message, id: this.#next++, created: now()};
    conversation.messages.push(stored);
    conversation.leaf = stored.id;
    conversation.updated = now();
    return stored;
  }
  async exportAll() {
    return structuredClone({format, conversations: this.#conversations});
  }
  async importAll(document) {
    check(document);
    for (const {title, settings, messages, leaf} of document.conversations) {
      const {id} = await this.create({title: String(title ?? ""), settings: settings ?? {}});
      const renamed = new Map([[null, null]]);
      for (const {role, content, parent, extra, id: old} of messages ?? []) {
        if (!renamed.has(parent ?? null)) throw new ApiError("A message's parent does not stand before it.");
        const stored = await this.add(id, {
          role: String(role),
          content: String(content),
          parent: renamed.get(parent ?? null),
          extra: extra ?? {},
        });
        renamed.set(old, stored.id);
      }
      if (renamed.has(leaf)) await this.change(id, {leaf: renamed.get(leaf)});
    }
  }
}

export async function openStore() {
  const store = new ServerStore();
  try {
    await store.list();
    return store;
  } catch (error) {
    if (error.status !== 404) throw error;
    return new MemoryStore();
  }
}
