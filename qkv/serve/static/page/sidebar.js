// The list of conversations: search, rename, delete, export and import.
import {byId, el, icon, iconButton, settled} from "./dom.js";
import {confirmed} from "./dialogs.js";

const day = 86400;

function whenOf(seconds) {
  const today = new Date().setHours(0, 0, 0, 0) / 1000;
  if (seconds >= today) return "Today";
  if (seconds >= today - day) return "Yesterday";
  if (seconds >= today - 7 * day) return "Last 7 days";
  return "Earlier";
}

export class Sidebar {
  #store;
  #actions;
  #shown = null;
  #busy = () => false;
  #latest = 0;

  // Actions: open(id), fresh(), renamed(id, title), removed(id), removedAll(), failed(error).
  constructor(store, actions, busy) {
    this.#store = store;
    this.#actions = actions;
    this.#busy = busy;
    byId("new").append(icon("plus"), "New conversation");
    byId("new").onclick = () => actions.fresh();
    byId("search").oninput = settled(() => this.#try(() => {}), 200);
    byId("not-kept").hidden = store.kept;
  }

  show(id) {
    this.#shown = id;
    return this.refresh();
  }

  // Beside other work, which says itself that the server is away.
  async refresh() {
    try {
      await this.#read();
    } catch {
      // The list stays as it was.
    }
  }

  async #read() {
    const turn = ++this.#latest;
    const search = byId("search").value.trim();
    const list = await this.#store.list(search);
    // A later search may have been answered sooner; and a name that is being typed stays.
    if (turn !== this.#latest || byId("conversations").querySelector("form")) return;
    const had = document.activeElement?.closest?.("#conversations [data-id]")?.dataset.id;
    const items = [];
    let last = "";
    for (const conversation of list) {
      const when = whenOf(conversation.updated);
      if (when !== last) items.push(el("li", {class: "when"}, when));
      last = when;
      items.push(this.#entry(conversation));
    }
    if (list.length === 0) items.push(el("li", {class: "when"}, search ? "Nothing found" : "No conversations yet"));
    byId("conversations").replaceChildren(...items);
    if (had) byId("conversations").querySelector(`[data-id="${had}"] button`)?.focus();
  }

  #entry(conversation) {
    const {id} = conversation,
      title = conversation.title || "Untitled";
    const shown = id === this.#shown;
    const entry = el(
      "li",
      {class: shown ? "entry shown" : "entry", "data-id": id},
      el(
        "button",
        {type: "button", title, "aria-current": shown ? "true" : null, onclick: () => this.#actions.open(id)},
        title,
      ),
      this.#busy(id) ? el("span", {class: "busy", title: "An answer is being written"}) : null,
      el(
        "span",
        {class: "tools"},
        iconButton("edit", `Rename ${title}`, () => this.#rename(entry, conversation)),
        iconButton("trash", `Delete ${title}`, () => this.#remove(id, title)),
      ),
    );
    return entry;
  }

  #rename(entry, {id, title}) {
    const input = el("input", {"aria-label": "Title", maxlength: 200});
    input.value = title;
    let done = false;
    const finish = async (keep) => {
      if (done) return;
      done = true;
      const wanted = input.value.trim();
      form.remove();
      try {
        if (keep && wanted && wanted !== title) await this.#actions.renamed(id, wanted);
      } catch (error) {
        this.#actions.failed(error);
      }
      await this.refresh();
      byId("conversations").querySelector(`[data-id="${id}"] button`)?.focus();
    };
    const form = el(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          finish(true);
        },
      },
      input,
    );
    input.onblur = () => finish(true);
    input.onkeydown = (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      finish(false);
    };
    entry.replaceChildren(form);
    input.select();
  }

  async #remove(id, title) {
    if (!(await confirmed(`Delete “${title}”?`, "Delete"))) return;
    await this.#try(() => this.#actions.removed(id));
  }

  async removeAll() {
    if (!(await confirmed("Delete all conversations?", "Delete all"))) return;
    await this.#try(() => this.#actions.removedAll());
  }

  async exportAll() {
    await this.#try(async () => {
      const content = JSON.stringify(await this.#store.exportAll(), null, 1);
      const link = el("a", {
        href: URL.createObjectURL(new Blob([content], {type: "application/json"})),
        download: "qkv-conversations.json",
      });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    });
  }

  importAll() {
    const input = el("input", {
      type: "file",
      accept: ".json,application/json",
      id: "import",
      class: "hidden-from-sight",
    });
    input.onchange = () =>
      this.#try(async () => {
        const text = await input.files[0].text();
        input.remove();
        let content;
        try {
          content = JSON.parse(text);
        } catch {
          throw new Error("This file is no JSON: give one that “Export” made.");
        }
        await this.#store.importAll(content);
      });
    document.body.append(input);
    input.click();
  }

  async #try(work) {
    try {
      await work();
      await this.#read();
    } catch (error) {
      this.#actions.failed(error);
      await this.refresh();
    }
  }
}
