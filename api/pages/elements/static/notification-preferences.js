/**
 * `<notification-preferences>`: a person sees and changes which notifications they get.
 *
 *     import "https://…/elements/notification-preferences.js";
 *     document.querySelector("notification-preferences").getToken = () => session.getToken();
 *
 * Properties: `getToken` (required), `texts`. Attributes: `service` (the service's address; by default the one that this file came
 * from), `history`, `heading-level`. Events: `preferences-read`, `preferences-changed`, `preferences-refused`. See docs/people.md.
 */

import { Announcer } from "./announcer.js";
import { Choices, pathOf } from "./choices.js";
import { make } from "./dom.js";
import { look } from "./look.js";
import { OwnChanges } from "./own_changes.js";
import { Refusal, Service } from "./service.js";
import { completed, filled } from "./texts.js";
import { ToggleRow } from "./toggle_row.js";

/** @typedef {import("./texts.js").Texts} Texts */

const NAME = "notification-preferences";
const ROOT = new URL("../", import.meta.url);
const FIRST_RETRY = 2000; // milliseconds until the element asks again after the service could not be reached
const LAST_RETRY = 60_000;

export class NotificationPreferences extends HTMLElement {
  static observedAttributes = ["service", "history", "heading-level"];

  /** @type {import("./service.js").GetToken | null} */
  #getToken = null;
  #texts = completed({});
  /** @type {Choices | null} */
  #choices = null;
  /** @type {OwnChanges | null} */
  #changes = null;
  /** @type {Map<string, ToggleRow>} */
  #rows = new Map();
  /** @type {unknown} the catalogue that is shown */
  #drawn = null;
  /** @type {AbortController | null} */
  #connection = null;
  /** @type {BroadcastChannel | null} */
  #tabs = null;
  #says = new Announcer(() => this.reload());
  #unreachable = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = [look()];
    this.body = make("div", { part: "body", "aria-busy": "true" });
    const { notice, announced, alarmed } = this.#says;
    this.container = make("div", { part: "container" }, notice, this.body, announced, alarmed);
    shadow.append(this.container);
  }

  /** Gives a token of the person who is signed in. The element calls it before each request. */
  get getToken() {
    return this.#getToken;
  }

  set getToken(getToken) {
    this.#getToken = getToken;
    this.reload();
  }

  /** Texts in place of the English ones; those that are missing stay English. */
  get texts() {
    return this.#texts;
  }

  /** @param {Partial<Texts>} texts */
  set texts(texts) {
    this.#texts = completed(texts);
    this.#drawn = null;
    if (this.#choices?.catalogue) this.#draw();
  }

  connectedCallback() {
    // A framework may have set the property before this class was there.
    for (const name of /** @type {const} */ (["getToken", "texts"])) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      Reflect.deleteProperty(this, name);
      Object.assign(this, { [name]: value });
    }
    const { signal } = (this.#connection = new AbortController());
    this.#tabs = new BroadcastChannel(NAME);
    this.#tabs.addEventListener("message", () => this.refresh(), { signal });
    addEventListener("focus", () => this.refresh(), { signal });
    addEventListener("online", () => this.refresh(), { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.refresh(), { signal });
    this.reload();
  }

  disconnectedCallback() {
    this.#connection?.abort();
    this.#tabs?.close();
    clearTimeout(this.#retry);
    this.#connection = this.#tabs = this.#choices = null;
  }

  attributeChangedCallback() {
    if (this.#choices !== null) this.reload();
  }

  /** Shows the preferences of the person whom `getToken` names now, and forgets those of anyone else. */
  reload() {
    if (!this.isConnected || this.#getToken === null) return Promise.resolve();
    const service = new Service(new URL(this.getAttribute("service") ?? ROOT, document.baseURI), this.#getToken);
    const root = service.root.href;
    if (!root.endsWith("/")) service.root = new URL(`${root}/`);
    this.#choices = new Choices(service, {
      saved: (path, enabled) => this.#saved(path, enabled),
      refused: (path, wanted, refusal) => this.#refused(path, wanted, refusal),
      shown: (elsewhere) => this.#shown(elsewhere),
    });
    this.#drawn = null;
    this.#rows = new Map();
    this.container.lang = this.#texts.lang;
    this.#says.tell("");
    this.body.setAttribute("aria-busy", "true");
    this.body.replaceChildren(make("p", { class: "loading", part: "loading" }, this.#texts.loading));
    return this.refresh();
  }

  /** Asks the service whether anything has changed in another tab or in another place. */
  async refresh() {
    const choices = this.#choices;
    if (choices === null) return;
    clearTimeout(this.#retry);
    try {
      await choices.read();
      if (this.#unreachable > 0) this.#reachable();
    } catch (error) {
      if (choices === this.#choices) this.#notRead(error);
    }
  }

  /** @param {string[]} elsewhere */
  #shown(elsewhere) {
    this.#draw();
    this.#says.announce(elsewhere.map((path) => this.#rows.get(path)?.sentence(this.#on(path) ? "elsewhereOn" : "elsewhereOff") ?? "").join(" "));
    if (elsewhere.length > 0) this.#changes?.renew();
  }

  /** @param {string} path */
  #on(path) {
    return this.#choices?.enabled(path) ?? true;
  }

  /** Shows the present state. Rows that are there stay, so that the focus stays. */
  #draw() {
    const catalogue = this.#choices?.catalogue ?? null;
    if (catalogue === null) return;
    if (this.#drawn !== catalogue) {
      performance.mark(`${NAME}:answered`);
      const focused = this.shadowRoot?.activeElement?.id;
      this.#rows = new Map();
      const sections = catalogue.channels.map((channel) => this.#section(channel));
      this.container.lang = this.#texts.lang;
      this.body.replaceChildren(...sections);
      this.body.removeAttribute("aria-busy");
      this.#drawn = catalogue;
      this.#drawChanges();
      if (focused) this.shadowRoot?.getElementById(focused)?.focus();
      this.dispatchEvent(new CustomEvent("preferences-read", { bubbles: true, composed: true }));
      requestAnimationFrame(() => requestAnimationFrame(() => performance.mark(`${NAME}:painted`)));
    }
    for (const row of this.#rows.values()) row.show(this.#on(row.path), this.#choices?.waiting(row.path) ?? false);
  }

  #drawChanges() {
    this.#changes = null;
    if (!this.hasAttribute("history") || this.#choices === null) return;
    const failed = (/** @type {unknown} */ error) => this.#says.alarm(this.#because(error));
    this.#changes = new OwnChanges(this.#choices.service, this.#texts, this.#rows, (path) => this.#on(path), failed);
    this.body.append(this.#changes.section);
  }

  /** @param {import("./service.js").Channel} channel */
  #section(channel) {
    const words = this.#texts.words[channel.name] ?? {};
    const description = words.description ?? channel.description;
    const level = /^[1-6]$/.exec(this.getAttribute("heading-level") ?? "")?.[0] ?? "2";
    const heading = /** @type {"h2"} */ (`h${level}`);
    const list = make("ul", { class: "toggles", part: "toggles", role: "list" });
    for (const toggle of channel.toggles) {
      const path = pathOf(channel.name, toggle.name);
      const row = new ToggleRow(path, toggle, this.#texts, () => this.#pressed(row));
      this.#rows.set(path, row);
      list.append(row.row);
    }
    return make("section", { part: "channel", "aria-labelledby": `channel-${channel.name}` },
      make(heading, { class: "channel", part: "channel-title", id: `channel-${channel.name}` }, words.title ?? channel.title),
      description ? make("p", { class: "description", part: "channel-description" }, description) : "",
      list,
    );
  }

  /** @param {ToggleRow} row */
  #pressed(row) {
    if (row.mandatory) return this.#says.announce(this.#texts.locked);
    row.tell("");
    this.#choices?.choose(row.path, !this.#on(row.path));
    this.#draw();
  }

  /**
   * @param {string} path
   * @param {boolean} enabled
   */
  #saved(path, enabled) {
    this.#draw();
    const row = this.#rows.get(path);
    if (row && !this.#choices?.waiting(path)) {
      row.saved();
      this.#says.announce(row.sentence(enabled ? "becameOn" : "becameOff"));
    }
    this.#changes?.renew();
    this.#tabs?.postMessage("changed");
    const [channel, toggle] = path.split(".");
    this.dispatchEvent(new CustomEvent("preferences-changed", { bubbles: true, composed: true, detail: { channel, toggle, enabled } }));
  }

  /**
   * @param {string} path
   * @param {boolean} _wanted
   * @param {Refusal} refusal
   */
  #refused(path, _wanted, refusal) {
    this.#draw();
    const sentence = this.#because(refusal);
    this.#rows.get(path)?.tell(sentence);
    this.#says.alarm(sentence);
    this.#report(refusal);
    if (refusal.reason === "unreachable") this.#later();
    if (refusal.reason === "signedOut") this.#says.tell(this.#texts.notSignedIn, this.#texts.signInAgain);
    if (refusal.reason === "gone") this.refresh();
  }

  /** @param {unknown} error */
  #notRead(error) {
    const refusal = error instanceof Refusal ? error : null;
    this.#report(refusal);
    if (refusal?.reason === "unreachable" || refusal?.reason === "busy") this.#later(refusal.seconds);
    // What is shown stays, unless nobody is signed in.
    if (refusal?.reason === "signedOut") this.#says.tell(this.#texts.notSignedIn, this.#texts.signInAgain);
    else if (this.#drawn === null) this.#says.tell(refusal || !(error instanceof Error) ? this.#texts.notRead : error.message, this.#texts.again);
    if (this.#drawn === null) this.body.replaceChildren();
    this.body.removeAttribute("aria-busy");
  }

  #later(seconds = 0) {
    this.#unreachable++;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.refresh(), Math.max(seconds * 1000, Math.min(FIRST_RETRY * 2 ** (this.#unreachable - 1), LAST_RETRY)));
  }

  #reachable() {
    this.#unreachable = 0;
    this.#says.tell("");
    for (const row of this.#rows.values()) row.tell("");
    this.#says.announce(this.#texts.connected);
  }

  /** @param {Refusal | null} refusal */
  #report(refusal) {
    const detail = { reason: refusal?.reason ?? "unknown" };
    this.dispatchEvent(new CustomEvent("preferences-refused", { bubbles: true, composed: true, detail }));
  }

  /** @param {unknown} error */
  #because(error) {
    if (!(error instanceof Refusal)) return this.#texts.refused;
    return filled(this.#texts[error.reason], { seconds: error.seconds || 60 });
  }
}

if (!customElements.get(NAME)) customElements.define(NAME, NotificationPreferences);
