/**
 * `<notification-preferences>`: a person sees and changes which notifications they get. docs/people.md says how to use it.
 */

import { Announcer } from "./announcer.js";
import { Choices, pathOf } from "./choices.js";
import { make, upgrade } from "./dom.js";
import { look } from "./look.js";
import { Occasions } from "./occasions.js";
import { OwnChanges } from "./own_changes.js";
import { Retry } from "./retry.js";
import { OtherPerson, Refusal, Service } from "./service.js";
import { because, completed } from "./texts.js";
import { section, ToggleRow } from "./toggle_row.js";

/** @typedef {import("./texts.js").Texts} Texts */

const NAME = "notification-preferences";
const ROOT = new URL("../", import.meta.url);

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
  #says = new Announcer(() => this.reload());
  #retry = new Retry(() => this.refresh());
  #occasions = new Occasions(() => this.refresh());

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
    // A framework may set a new function each time that it renders, mostly for the same person.
    const shown = this.#getToken !== null && this.#drawn !== null && this.#says.notice.hidden;
    this.#getToken = getToken;
    void (shown && getToken !== null ? this.#reloadForAnother() : this.reload());
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
    upgrade(this, ["getToken", "texts"]);
    this.#occasions.begin();
    this.reload();
  }

  disconnectedCallback() {
    this.#occasions.end();
    this.#retry.stop();
    this.#choices = null;
  }

  attributeChangedCallback() {
    if (this.#choices !== null) this.reload();
  }

  /** Shows the preferences of the person whom `getToken` names now, and forgets those of anyone else. */
  reload() {
    if (!this.isConnected || this.#getToken === null) return Promise.resolve();
    const address = new URL(this.getAttribute("service") ?? ROOT, document.baseURI).href;
    const getToken = () => /** @type {import("./service.js").GetToken} */ (this.#getToken)();
    const service = new Service(new URL(address.endsWith("/") ? address : `${address}/`), getToken);
    // The changes of a person who was shown before may still be under way. What becomes of them is not shown.
    const ifShown = (/** @type {() => unknown} */ tell) => void (choices === this.#choices && tell());
    /** @type {Choices} */
    const choices = (this.#choices = new Choices(service, {
      saved: (path, enabled) => this.#saved(choices, path, enabled),
      refused: (path, refusal) => ifShown(() => this.#refused(path, refusal)),
      shown: (elsewhere, own) => ifShown(() => this.#shown(elsewhere, own)),
      replaced: () => ifShown(() => this.reload()),
    }));
    this.#drawn = this.#changes = null;
    this.#rows = new Map();
    this.container.lang = this.#texts.lang;
    this.#says.forget();
    this.body.setAttribute("aria-busy", "true");
    this.body.replaceChildren(make("p", { class: "loading", part: "loading" }, this.#texts.loading));
    return this.refresh();
  }

  /** Asks the service whether anything has changed in another tab or in another place. `own`: a toggle that this tab has changed itself. */
  async refresh(own = "") {
    const choices = this.#choices;
    if (choices === null) return;
    this.#retry.stop();
    try {
      await choices.read(own);
      if (choices === this.#choices) this.#answered(this.#retry.answered());
    } catch (error) {
      if (choices === this.#choices) this.#notRead(error);
    }
  }

  /** Loads anew unless `getToken` still names the person who is shown. */
  async #reloadForAnother() {
    const choices = this.#choices;
    const token = await choices?.service.token().catch(() => null);
    if (!token && choices === this.#choices) this.reload();
  }

  #shown(/** @type {string[]} */ elsewhere, own = "") {
    this.#draw();
    const sentence = (/** @type {string} */ path) => this.#rows.get(path)?.sentence(`${path === own ? "became" : "elsewhere"}${this.#on(path) ? "On" : "Off"}`);
    this.#says.announce(elsewhere.map(sentence).join(" "));
    if (elsewhere.length > 0) this.#changes?.renew();
  }

  #on(/** @type {string} */ path) {
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
    const failed = (/** @type {unknown} */ error) => {
      if (changes === this.#changes) error instanceof OtherPerson ? this.reload() : this.#says.alarm(because(error, this.#texts));
    };
    const changes = (this.#changes = new OwnChanges(this.#choices.service, this.#texts, this.#rows, (path) => this.#on(path), failed));
    this.body.append(changes.section);
  }

  /** @param {import("./service.js").Channel} channel */
  #section(channel) {
    const rows = channel.toggles.map((toggle) => {
      const row = new ToggleRow(pathOf(channel.name, toggle.name), toggle, this.#texts, () => this.#pressed(row));
      this.#rows.set(row.path, row);
      return row.row;
    });
    return section(channel, this.#texts, this.getAttribute("heading-level"), rows);
  }

  #pressed(/** @type {ToggleRow} */ row) {
    if (row.mandatory) return this.#says.announce(this.#texts.locked);
    row.tell("");
    this.#choices?.choose(row.path, !this.#on(row.path));
    this.#draw();
  }

  /** @param {Choices} choices @param {string} path @param {boolean} enabled */
  #saved(choices, path, enabled) {
    if (choices === this.#choices) this.#confirm(path, enabled);
    // It was chosen before a reload. The switches of the same person get the state after it. Those of another person stay as they are.
    else if (this.#choices?.service.isFor(choices.service)) this.refresh(path);
    this.#occasions.tell();
    const [channel, toggle] = path.split(".");
    this.dispatchEvent(new CustomEvent("preferences-changed", { bubbles: true, composed: true, detail: { channel, toggle, enabled } }));
  }

  #confirm(/** @type {string} */ path, /** @type {boolean} */ enabled) {
    this.#draw();
    this.#answered();
    const row = this.#rows.get(path);
    if (row && !this.#choices?.waiting(path)) {
      row.saved();
      this.#says.announce(row.sentence(enabled ? "becameOn" : "becameOff"));
    }
    this.#changes?.renew();
  }

  /** @param {string} path @param {Refusal} refusal */
  #refused(path, refusal) {
    this.#draw();
    const sentence = because(refusal, this.#texts);
    this.#rows.get(path)?.tell(sentence);
    this.#report(refusal);
    if (refusal.passes) this.#retry.later(refusal.seconds);
    if (refusal.reason === "signedOut") this.#says.tell(this.#texts.notSignedIn, this.#texts.signInAgain);
    this.#says.alarm(sentence);
    if (refusal.reason === "gone") this.refresh();
  }

  #notRead(/** @type {unknown} */ error) {
    if (error instanceof OtherPerson) return this.reload();
    const refusal = error instanceof Refusal ? error : null;
    this.#report(refusal);
    if (refusal?.passes) this.#retry.later(refusal.seconds);
    // What is shown stays. Without a session the person is asked to sign in.
    if (refusal?.reason === "signedOut") this.#says.tell(this.#texts.notSignedIn, this.#texts.signInAgain);
    else if (this.#drawn === null) this.#says.tell(refusal || !(error instanceof Error) ? this.#texts.notRead : error.message, this.#texts.again);
    if (this.#drawn === null) this.body.replaceChildren();
    this.body.removeAttribute("aria-busy");
  }

  /** The service has answered this person, so what was said of the session or the connection is over. `again`: it could not be reached before. */
  #answered(again = false) {
    if (!again && this.#says.notice.hidden) return;
    this.#says.tell("");
    for (const row of this.#rows.values()) row.tell("");
    if (again) this.#says.announce(this.#texts.connected);
  }

  #report(/** @type {Refusal | null} */ refusal) {
    this.dispatchEvent(new CustomEvent("preferences-refused", { bubbles: true, composed: true, detail: { reason: refusal?.reason ?? "unknown" } }));
  }
}

if (!customElements.get(NAME)) customElements.define(NAME, NotificationPreferences);
