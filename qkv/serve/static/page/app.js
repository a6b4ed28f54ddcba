// Puts the page together.
import {onKeyNeeded, request} from "./api.js";
import {Composer} from "./composer.js";
import {Conversation} from "./conversation.js";
import {askForKey, showHelp} from "./dialogs.js";
import {announce, byId, el, icon, iconButton} from "./dom.js";
import {inspect} from "./inside.js";
import {closePanel, openPanel, panelIsOpen} from "./panel.js";
import {recall, remember} from "./remembered.js";
import {settingsForm} from "./settings.js";
import {listen, shortcuts} from "./shortcuts.js";
import {Sidebar} from "./sidebar.js";
import {openStore} from "./store.js";
import {offeredTasks, showTasks} from "./tasks.js";
import {themeButton} from "./theme.js";
import {Thread} from "./thread.js";

const narrow = matchMedia("(max-width: 760px)");

class App {
  #models;
  #writers;
  #store;
  #shown;
  #open = new Map(); // conversations that were opened, by id: answers go on while others are looked at
  #sidebar;
  #thread;
  #composer;
  #buttons = {};

  async start() {
    document.body.classList.toggle("no-sidebar", narrow.matches || recall("sidebar", true) === false);
    this.#models = (await request("GET", "/v1/models")).data;
    for (const model of this.#models) model.chat = model.tasks.includes("chat");
    this.#writers = this.#models.filter(({tasks}) => tasks.includes("write"));
    this.#store = await openStore();
    this.#makeBar();
    this.#shown = this.#fresh();
    this.#sidebar = new Sidebar(
      this.#store,
      {
        open: (id) => this.open(id),
        fresh: () => this.fresh(),
        failed: (error) => this.fail(error),
        renamed: (id, title) => this.#rename(id, title),
        removed: (id) => this.#remove(id),
        removedAll: () => this.#removeAll(),
      },
      (id) => this.#open.get(id)?.pending,
    );
    this.#thread = new Thread({
      edit: (message, text) => this.#act(() => this.#shown.edit(message, text)),
      regenerate: (message) => this.#act(() => this.#shown.regenerate(message)),
      retry: () => this.#act(() => this.#shown.retry()),
      goOn: (overflow) => this.#goOn(overflow),
      choose: (message) => this.#act(() => this.#shown.choose(message)),
      inspect: (message, index) => this.#inspect(message, index),
      drawn: () => this.#composer?.update(),
    });
    this.#composer = new Composer({
      send: (text) => this.#send(text),
      stop: () => this.#shown.stop(),
      editLast: () => this.#thread.editLast(),
      conversation: () => this.#shown,
    });
    this.#makeFoot();
    this.#makeTabs();
    listen({
      escape: () => this.#escape(),
      fresh: () => this.fresh(),
      settings: () => this.#settings(),
      inside: () => this.#inside(),
      sidebar: () => this.#toggleSidebar(),
      help: () => showHelp(shortcuts),
      search: () => {
        this.#toggleSidebar(true);
        byId("search").select();
      },
    });
    addEventListener("pagehide", () => {
      for (const conversation of this.#open.values()) conversation.keepUnfinished();
    });
    addEventListener("hashchange", () => this.#fromAddress());
    byId("question").disabled = false;
    const named = location.hash.slice(1);
    if (named === "") this.#show(this.#shown);
    else await this.open(named);
    if (!narrow.matches) byId("question").focus();
  }

  // The address names the conversation, so that reloading and going back work.
  async #fromAddress() {
    const id = location.hash.slice(1);
    if (id === (this.#shown.id ?? "")) return;
    if (id === "") this.fresh();
    else await this.open(id);
  }

  #fresh() {
    // Who says nothing of it gets what the checkpoint says, or else something tamer than the server's default.
    const settings = recall("settings", this.#writers[0]?.sampling?.temperature === undefined ? {temperature: 0.7} : {});
    return this.#watch(new Conversation(this.#store, (chosen) => this.#modelOf(chosen), {settings}));
  }

  #watch(conversation) {
    conversation.addEventListener("stored", () => {
      if (conversation.id !== null) this.#open.set(conversation.id, conversation);
      if (conversation === this.#shown) this.#address();
      this.#sidebar.show(this.#shown.id);
    });
    return conversation;
  }

  #modelOf({model}) {
    return this.#writers.find(({id}) => id === model) ?? this.#writers[0];
  }

  #address() {
    const hash = this.#shown.id ? `#${this.#shown.id}` : "";
    if (location.hash !== hash) history.pushState(null, "", hash || location.pathname);
    document.title = this.#shown.title ? `${this.#shown.title} · qkv` : "qkv";
  }

  #show(conversation) {
    this.#shown = conversation;
    this.#address();
    closePanel();
    byId("model").value = this.#modelOf(conversation.settings)?.id ?? "";
    this.#welcome();
    this.#thread.show(conversation);
    this.#composer.update();
    this.#sidebar.show(conversation.id);
    if (narrow.matches) this.#toggleSidebar(false);
  }

  #welcome() {
    const model = this.#modelOf(this.#shown.settings);
    byId("welcome").replaceChildren(
      el("h1", {}, model ? "What shall we talk about?" : "No model here writes text"),
      el(
        "p",
        {},
        model
          ? model.chat
            ? `${model.id} runs on this machine; nothing you write leaves it.`
            : `${model.id} has no chat template: it goes on with what you write.`
          : "See the tab “Tasks”.",
      ),
    );
  }

  async open(id) {
    try {
      const open = this.#open.get(id);
      if (open?.busy) this.#show(open);
      else {
        const stored = await this.#store.read(id);
        const read = this.#watch(new Conversation(this.#store, (chosen) => this.#modelOf(chosen), stored));
        this.#open.set(id, read);
        this.#show(read);
      }
    } catch (error) {
      if (error.status === 404) this.#show(this.#fresh());
      this.fail(error.status === 404 ? new Error("There is no such conversation any more.") : error);
    }
  }

  fresh() {
    if (this.#shown.id !== null || this.#shown.path.length > 0 || this.#shown.busy) this.#show(this.#fresh());
    if (narrow.matches) this.#toggleSidebar(false);
    this.#select("chat");
    byId("question").focus();
  }

  async #send(text) {
    const said = this.#shown.messages.length;
    this.#thread.toEnd();
    await this.#act(() => this.#shown.send(text));
    if (this.#shown.messages.length === said) this.#composer.giveBack(text);
  }

  async #act(work) {
    const conversation = this.#shown;
    try {
      const done = work();
      this.#sidebar.refresh();
      await done;
    } catch (error) {
      conversation.error = error;
      if (conversation === this.#shown) this.#thread.redraw();
    }
  }

  async #goOn(overflow) {
    const work = this.#act(() => this.#shown.goOn(overflow));
    this.#drawSettings();
    await work;
  }

  // What went wrong apart from an answer.
  fail(error) {
    for (const told of byId("dock").querySelectorAll(".problem"))
      if (told.textContent === error.message) told.remove();
    const note = el(
      "div",
      {class: "problem", role: "alert"},
      el("span", {}, error.message),
      iconButton("close", "Dismiss", () => note.remove()),
    );
    byId("dock").prepend(note);
    announce(error.message);
    setTimeout(() => note.remove(), 12000);
  }

  async #rename(id, title) {
    const open = this.#open.get(id) ?? (this.#shown.id === id ? this.#shown : null);
    if (open) await open.rename(title);
    else await this.#store.change(id, {title});
    this.#address();
  }

  async #remove(id) {
    this.#open.get(id)?.stop();
    const removed = await this.#store.remove(id);
    this.#open.delete(id);
    if (this.#shown.id === id) this.#show(this.#fresh());
    this.#tellErased(removed);
  }

  async #removeAll() {
    for (const conversation of this.#open.values()) conversation.stop();
    const removed = await this.#store.removeAll();
    this.#open.clear();
    this.#show(this.#fresh());
    this.#tellErased(removed);
  }

  #tellErased(removed) {
    if (removed?.erased === false)
      this.fail(
        new Error("Deleted. But another program is reading the database, so what was there leaves the disk later."),
      );
  }

  #inspect(message, index) {
    const conversation = this.#shown;
    const path = conversation.path;
    const model = this.#writers.find(({id}) => id === message.extra.model) ?? conversation.model;
    const view = this.#thread.viewOf(message);
    inspect({
      model,
      settings: conversation.settings,
      path: path.slice(0, path.indexOf(message)),
      message,
      index,
      closed: () => view.choose(null),
    });
    view.choose(index);
  }

  #makeBar() {
    const bar = byId("bar");
    bar.prepend(
      iconButton("menu", "Show or hide the conversations", () => this.#toggleSidebar(), {id: "toggle-sidebar"}),
    );
    this.#buttons.inside = iconButton("tokens", "Show answers as tokens", () => this.#inside(), {
      id: "inside",
      "aria-pressed": "false",
    });
    this.#buttons.settings = iconButton("sliders", "Settings of this conversation", () => this.#settings(), {
      id: "settings",
      "aria-expanded": "false",
    });
    bar.append(this.#buttons.inside, this.#buttons.settings);
    const select = byId("model");
    select.append(...this.#writers.map(({id}) => el("option", {}, id)));
    select.onchange = () => {
      this.#set({...this.#shown.settings, model: select.value});
      this.#welcome();
      this.#drawSettings();
    };
    byId("shade").onclick = () => this.#toggleSidebar(false);
  }

  #makeFoot() {
    const item = (id, shape, label, work) =>
      el(
        "button",
        {
          type: "button",
          id,
          onclick: () => {
            menu.hidePopover();
            work();
          },
        },
        icon(shape),
        label,
      );
    const menu = el(
      "div",
      {id: "all-conversations", class: "menu", popover: "auto", "aria-label": "All conversations"},
      item("export", "save", "Export all", () => this.#sidebar.exportAll()),
      item("import-button", "load", "Import", () => this.#sidebar.importAll()),
      item("delete-all", "trash", "Delete all", () => this.#sidebar.removeAll()),
    );
    document.querySelector(".sidebar-foot").append(
      iconButton("more", "Export, import, delete all", null, {id: "more", popovertarget: "all-conversations"}),
      menu,
      el("span", {class: "space"}),
      iconButton("help", "Keyboard", () => showHelp(shortcuts), {id: "help"}),
      themeButton(),
    );
  }

  #makeTabs() {
    const tasks = offeredTasks(this.#models);
    byId("tabs").hidden = tasks.length === 0;
    document.querySelector(".model").hidden = this.#writers.length === 0;
    showTasks(this.#models);
    const tabs = [byId("chat-tab"), byId("tasks-tab")];
    for (const tab of tabs) {
      tab.onclick = () => this.#select(tab.getAttribute("aria-controls"));
      tab.onkeydown = ({key}) => {
        if (key !== "ArrowLeft" && key !== "ArrowRight") return;
        const other = tabs[1 - tabs.indexOf(tab)];
        this.#select(other.getAttribute("aria-controls"));
        other.focus();
      };
    }
    if (this.#writers.length === 0 && tasks.length > 0) this.#select("tasks");
  }

  #select(name) {
    for (const id of ["chat", "tasks"]) {
      byId(id).hidden = id !== name;
      byId(`${id}-tab`).setAttribute("aria-selected", String(id === name));
      byId(`${id}-tab`).tabIndex = id === name ? 0 : -1;
    }
    const chat = name === "chat";
    document.querySelector(".model").hidden = !chat || this.#writers.length === 0;
    this.#buttons.inside.hidden = this.#buttons.settings.hidden = !chat;
    if (!chat) closePanel();
  }

  #toggleSidebar(shown = document.body.classList.contains("no-sidebar")) {
    document.body.classList.toggle("no-sidebar", !shown);
    byId("shade").hidden = !(shown && narrow.matches);
    if (!narrow.matches) remember("sidebar", shown);
  }

  #inside() {
    const on = this.#buttons.inside.getAttribute("aria-pressed") !== "true";
    this.#buttons.inside.setAttribute("aria-pressed", String(on));
    if (!on) closePanel();
    this.#thread.setInside(on);
  }

  #settings() {
    const button = this.#buttons.settings;
    if (button.getAttribute("aria-expanded") === "true") {
      closePanel();
      return;
    }
    openPanel("Settings", this.#settingsForm(), () => button.setAttribute("aria-expanded", "false"));
    button.setAttribute("aria-expanded", "true");
    byId("panel").querySelector("textarea").focus();
  }

  #settingsForm() {
    const {settings, model} = this.#shown;
    return settingsForm(settings, model, (changed) => this.#set(changed));
  }

  // After a change elsewhere.
  #drawSettings() {
    if (this.#buttons.settings.getAttribute("aria-expanded") === "true")
      byId("panel").querySelector(".panel-form").replaceWith(this.#settingsForm());
  }

  async #set(settings) {
    remember("settings", settings);
    await this.#act(() => this.#shown.set(settings));
    this.#composer.update();
  }

  #escape() {
    if (this.#shown.pending) this.#shown.stop();
    else if (panelIsOpen()) closePanel();
    else if (narrow.matches) this.#toggleSidebar(false);
  }
}

onKeyNeeded(askForKey);
new App().start().catch((error) => {
  byId("welcome").replaceChildren(
    el("h1", {}, "This page cannot work yet"),
    el("p", {class: "problem", role: "alert"}, error.message),
    el("p", {}, el("button", {type: "button", class: "button", onclick: () => location.reload()}, "Try again")),
  );
});
