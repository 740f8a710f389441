/** "Why is this on?" and the person's own changes, from the history that the service keeps. */

import { pathOf } from "./choices.js";
import { make } from "./dom.js";
import { filled } from "./texts.js";

/**
 * @typedef {import("./service.js").Entry} Entry
 * @typedef {import("./texts.js").Texts} Texts
 * @typedef {import("./toggle_row.js").ToggleRow} ToggleRow
 */

const OWN_SOURCES = ["dashboard", "api"];
const PAGE = 10;
const LARGEST_PAGE = 200;

export class OwnChanges {
  /** @type {Entry[]} */
  #entries = [];
  /** @type {string | null} */
  #next = null;
  #loaded = false;
  #shown = PAGE;
  /** Ends when all that was begun has ended. Each reading waits for the one before it, because all of them add to the same entries. */
  #turn = Promise.resolve();

  /**
   * @param {import("./service.js").Service} service
   * @param {Texts} texts
   * @param {Map<string, ToggleRow>} rows
   * @param {(path: string) => boolean} enabled
   * @param {(error: unknown) => void} failed
   */
  constructor(service, texts, rows, enabled, failed) {
    this.service = service;
    this.texts = texts;
    this.rows = rows;
    this.enabled = enabled;
    this.failed = failed;
    this.date = new Intl.DateTimeFormat(texts.lang, { dateStyle: "long", timeStyle: "short" });
    this.list = make("ol", { class: "changes", part: "changes", role: "list" });
    this.more = make("button", { type: "button", class: "link", part: "more", hidden: "" }, texts.more);
    this.more.addEventListener("click", () => this.#showMore());
    this.section = make("details", { class: "history", part: "history" }, make("summary", {}, texts.history), this.list, this.more);
    this.section.addEventListener("toggle", () => this.section.open && this.#try(() => this.#showList()));
    for (const row of rows.values()) if (!row.mandatory) row.more.replaceChildren(this.#why(row));
  }

  /** Forgets what was read, because a choice was made since. What is open is read again. */
  renew() {
    this.#loaded = false;
    for (const row of this.rows.values()) {
      const why = row.more.querySelector("details");
      if (why) this.#question(row, why);
    }
    if (this.section.open) this.#try(() => this.#showList());
  }

  /** @param {ToggleRow} row */
  #why(row) {
    const why = make("details", { class: "why", part: "why" }, make("summary", {}), make("p", {}));
    why.addEventListener("toggle", () => why.open && this.#try(() => this.#answer(row, why)));
    this.#question(row, why);
    return why;
  }

  /**
   * @param {ToggleRow} row
   * @param {HTMLDetailsElement} why
   */
  #question(row, why) {
    const summary = /** @type {HTMLElement} */ (why.querySelector("summary"));
    summary.textContent = this.enabled(row.path) ? this.texts.whyOn : this.texts.whyOff;
    summary.setAttribute("aria-label", `${summary.textContent} ${row.title}`);
    if (why.open) this.#try(() => this.#answer(row, why));
  }

  /**
   * @param {ToggleRow} row
   * @param {HTMLDetailsElement} why
   */
  async #answer(row, why) {
    await this.#load();
    const of = () => this.#entries.find((entry) => pathOf(entry.channel, entry.toggle) === row.path);
    while (!of() && this.#next !== null) await this.#loadMore(LARGEST_PAGE);
    const entry = of();
    const byDefault = this.enabled(row.path) ? this.texts.byDefaultOn : this.texts.byDefaultOff;
    /** @type {HTMLElement} */ (why.querySelector("p")).textContent = entry ? this.#sentence(entry) : byDefault;
  }

  async #showList() {
    await this.#load();
    const items = this.#entries.slice(0, this.#shown).map((entry) => {
      const title = this.rows.get(pathOf(entry.channel, entry.toggle))?.title ?? pathOf(entry.channel, entry.toggle);
      return make("li", {}, make("b", {}, title), make("span", {}, this.#sentence(entry)));
    });
    this.list.replaceChildren(...(items.length ? items : [make("li", {}, this.texts.noHistory)]));
    this.more.hidden = this.#entries.length <= this.#shown && this.#next === null;
  }

  #showMore() {
    this.#try(async () => {
      const first = this.#shown;
      if (this.#entries.length < first + PAGE && this.#next !== null) await this.#loadMore(PAGE);
      this.#shown += PAGE;
      await this.#showList();
      // The button may be gone now; the focus goes on with the list.
      const item = this.list.children[first];
      if (this.more.hidden && item instanceof HTMLElement) {
        item.tabIndex = -1;
        item.focus();
      }
    });
  }

  async #load() {
    if (this.#loaded) return;
    [this.#entries, this.#next, this.#loaded] = [[], null, true];
    await this.#loadMore(Math.max(PAGE, this.#shown));
  }

  /** @param {number} limit */
  async #loadMore(limit) {
    const { entries, next } = await this.service.history(this.#next, Math.min(limit, LARGEST_PAGE));
    this.#entries.push(...entries);
    this.#next = next;
  }

  /** @param {Entry} entry */
  #sentence({ actor, enabled, source, occurred_at }) {
    const { texts } = this;
    // With a link in an e-mail, an import or the like, nothing proves that it was the person who is reading this.
    const who = actor.kind === "platform" ? "bySupport" : OWN_SOURCES.includes(source) ? "byYou" : "otherwise";
    const where = /** @type {Record<string, string>} */ (texts.sources)[source] ?? source;
    return filled(texts[`${who}${enabled ? "On" : "Off"}`], { where, when: this.date.format(new Date(occurred_at)) });
  }

  /** @param {() => Promise<void>} read */
  #try(read) {
    this.#turn = this.#turn.then(read).catch((error) => {
      this.#loaded = false;
      this.failed(error);
    });
  }
}
