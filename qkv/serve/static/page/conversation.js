// One conversation: its tree of messages, and the answer that is being written. Tells "change" when what is to be seen
// changes, and "stored" when its entry in the list does.
import {leafUnder, pathTo, siblings} from "./tree.js";
import {write} from "./writer.js";

const titleLength = 60;
// Browsers send no more than 64 KiB when a page closes; a letter may have three bytes.
const longestAtClose = 16_000;

export class Conversation extends EventTarget {
  id = null; // not stored yet
  title = "";
  settings = {};
  messages = [];
  leaf = null;
  error = null; // why the last answer failed
  pending = null; // the message that is being written
  #storing = false; // a message of the user's is on its way
  #store;
  #models;
  #abort = null;
  #kept = null; // the pending message on its way to the store

  // `models` finds the model of settings: (settings) => model.
  constructor(store, models, stored) {
    super();
    this.#store = store;
    this.#models = models;
    Object.assign(this, stored);
  }

  get path() {
    return pathTo(this.messages, this.leaf);
  }
  get model() {
    return this.#models(this.settings);
  }
  // Nothing else may be said meanwhile.
  get busy() {
    return this.#storing || this.pending !== null;
  }
  branches(message) {
    return siblings(this.messages, message);
  }

  async send(text) {
    await this.#say(text);
    await this.#answer();
  }

  // Another answer to the same question, beside this one.
  async regenerate(message) {
    this.leaf = message.parent;
    await this.#answer();
  }

  // The answer that failed, again.
  retry() {
    return this.#answer();
  }

  // The same where the context is full, in one of the ways that writer.js has. It holds from here on.
  async goOn(overflow) {
    await Promise.all([this.set({...this.settings, overflow}), this.#answer()]);
  }

  // The user's message, said otherwise, beside the old one.
  async edit(message, text) {
    await this.#say(text, message.parent ?? null);
    await this.#answer();
  }

  async choose(message) {
    this.leaf = leafUnder(this.messages, message.id);
    this.error = null;
    this.#changed();
    await this.#store.change(this.id, {leaf: this.leaf});
  }

  stop() {
    this.#abort?.abort();
  }

  async rename(title) {
    this.title = title;
    if (this.id !== null) await this.#store.change(this.id, {title});
    this.#stored();
  }

  async set(settings) {
    this.settings = settings;
    if (this.id !== null) await this.#store.change(this.id, {settings});
  }

  // What is being written when the page closes: it would be lost otherwise. It ends there, should the page live on.
  keepUnfinished() {
    if (!this.pending?.content || this.#kept) return;
    const extra = {...this.pending.extra, finish: "stopped", tokens: []};
    this.#kept = this.#add({...this.pending, extra}, {keepalive: this.pending.content.length < longestAtClose});
    this.stop();
  }

  // Under `parent`, or at the end.
  async #say(text, parent) {
    this.#storing = true;
    this.#changed();
    try {
      if (this.id === null) await this.#create(text);
      await this.#keepUnstored();
      this.error = null;
      this.#append(await this.#add({parent: parent === undefined ? this.leaf : parent, role: "user", content: text}));
    } finally {
      this.#storing = false;
      this.#changed();
    }
    this.#stored();
  }

  async #create(text) {
    const {id, title} = await this.#store.create({
      title: text.trim().replace(/\s+/g, " ").slice(0, titleLength),
      settings: this.settings,
    });
    Object.assign(this, {id, title});
    this.#stored();
  }

  #add({parent, role, content, extra}, options) {
    return this.#store.add(this.id, {parent, role, content, ...(extra && {extra})}, options);
  }

  #append(message) {
    this.messages.push(message);
    this.leaf = message.id;
    this.#changed();
  }

  async #answer() {
    const path = this.path,
      model = this.model;
    const message = {
      id: "pending",
      parent: this.leaf,
      role: "assistant",
      content: "",
      extra: {model: model.id, tokens: []},
    };
    this.error = null;
    this.pending = message;
    this.#abort = new AbortController();
    this.#append(message);
    try {
      for await (const {text, tokens, finish, usage} of write(model, path, this.settings, this.#abort.signal)) {
        message.content += text;
        message.extra.tokens.push(...tokens);
        if (finish) message.extra.finish = finish;
        if (usage) message.extra.usage = usage;
        this.#changed();
      }
    } catch (error) {
      message.extra.finish = "stopped";
      if (error.name !== "AbortError") this.error = error;
    }
    await this.#finish(message);
  }

  // What was written stays, even where it broke off; an answer that never began does not.
  async #finish(message) {
    if (message.content === "" && message.extra.finish === "stopped") {
      this.messages.splice(this.messages.indexOf(message), 1);
      this.leaf = message.parent;
    } else {
      try {
        await this.#keep(message);
      } catch (error) {
        this.error = error;
      }
    }
    this.pending = this.#abort = null;
    this.#changed();
    this.#stored();
  }

  async #keep(message) {
    this.#kept ??= this.#add(message);
    try {
      message.id = (await this.#kept).id;
    } finally {
      this.#kept = null;
    }
    if (this.leaf === "pending") this.leaf = message.id;
  }

  // An answer that could not be stored, for the disk was full or the server away, gets another try.
  async #keepUnstored() {
    const message = this.messages.find(({id}) => id === "pending");
    if (message) await this.#keep(message);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
  #stored() {
    this.dispatchEvent(new Event("stored"));
  }
}
