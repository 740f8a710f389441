/** The state of one person's preferences on this page: what the service has recorded, and what the person has changed since. */

import { OtherPerson, Refusal } from "./service.js";

/**
 * @typedef {import("./service.js").Catalogue} Catalogue
 * @typedef {import("./service.js").Preferences} Preferences
 * @typedef {{
 *   saved: (path: string, enabled: boolean) => void,
 *   refused: (path: string, refusal: Refusal) => void,
 *   shown: (elsewhere: string[], own?: string) => void,
 *   replaced: () => void,
 * }} Listener
 * `saved`: the service has recorded a choice. `refused`: it has not, and the toggle is back at what is recorded. `shown`: something
 * that the person sees may have changed; `elsewhere` lists the toggles that were changed in another place, but for `own`. `replaced`: another person is
 * signed in now, so what was not sent yet is dropped.
 */

const MOST_ATTEMPTS = 5;

/**
 * @param {string} channel
 * @param {string} toggle
 */
export const pathOf = (channel, toggle) => `${channel}.${toggle}`;

export class Choices {
  /** @type {Catalogue | null} */
  catalogue = null;
  /** @type {Preferences} */
  #recorded = {};
  #catalogueTag = "";
  #tag = "";
  /** How many answers of the service were taken over. */
  #taken = 0;
  /** @type {Map<string, boolean>} What the person wants, while it isn't recorded yet. */
  #wanted = new Map();
  /** @type {Promise<void> | null} */
  #saving = null;

  /**
   * @param {import("./service.js").Service} service
   * @param {Listener} listener
   */
  constructor(service, listener) {
    this.service = service;
    this.listener = listener;
  }

  /** @param {string} path */
  enabled(path) {
    return this.#wanted.get(path) ?? this.#recordedAt(path) ?? true;
  }

  /** @param {string} path */
  waiting(path) {
    return this.#wanted.has(path);
  }

  /** Reads what the service has. `own` is a toggle that was changed on this page. Throws `Refusal` and `OtherPerson`. */
  async read(own = "") {
    for (;;) {
      const taken = this.#taken;
      // Both are taken over together: what is taken over is shown.
      const [catalogue, fresh] = await Promise.all([this.service.catalogue(this.#catalogueTag), this.service.preferences(this.#tag)]);
      // A change that is being saved brings the state after it.
      const preferences = this.#saving === null ? fresh : null;
      if (catalogue === null && preferences === null) return;
      // Another answer has come in between, and this one may be older than that. So it asks again.
      if (taken !== this.#taken) continue;
      const before = this.#recorded;
      if (catalogue !== null) {
        this.#taken++;
        this.catalogue = catalogue.data;
        this.#catalogueTag = catalogue.tag ?? "";
      }
      if (preferences !== null) this.#take(preferences);
      return this.listener.shown(preferences === null ? [] : this.#differing(before), own);
    }
  }

  /**
   * The person has set a toggle. It is saved at once, after those that are being saved.
   * @param {string} path
   * @param {boolean} enabled
   */
  choose(path, enabled) {
    this.#wanted.set(path, enabled);
    this.#saving ??= this.#saveAll().finally(() => (this.#saving = null));
    return this.#saving;
  }

  async #saveAll() {
    for (let first; (first = this.#wanted.entries().next().value); ) {
      const [path, enabled] = first;
      try {
        await this.#save(path, enabled);
        // The person may have set it back while it was being saved.
        if (this.#wanted.get(path) === enabled) this.#wanted.delete(path);
        this.listener.saved(path, enabled);
      } catch (error) {
        if (error instanceof OtherPerson) {
          this.#wanted.clear();
          return this.listener.replaced();
        }
        this.#wanted.delete(path);
        this.listener.refused(path, error instanceof Refusal ? error : new Refusal("refused"));
      }
    }
  }

  /**
   * Saves one choice. If the preferences have moved on meanwhile, it takes the fresh state and tries again, as long as the toggle is
   * still there and still not as the person wants it.
   * @param {string} path
   * @param {boolean} enabled
   */
  async #save(path, enabled) {
    const [channel = "", toggle = ""] = path.split(".");
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#take(await this.service.change(channel, toggle, enabled, this.#tag));
      } catch (error) {
        if (!(error instanceof Refusal) || error.reason !== "moved" || attempt === MOST_ATTEMPTS) throw error;
      }
      const before = this.#recorded;
      const fresh = await this.service.preferences();
      if (fresh !== null) this.#take(fresh);
      this.listener.shown(this.#differing(before).filter((other) => other !== path));
      const now = this.#recordedAt(path);
      if (now === undefined) throw new Refusal("gone");
      if (now === enabled) return;
    }
  }

  /** @param {{ data: Preferences, tag: string | null }} answer */
  #take({ data, tag }) {
    this.#taken++;
    this.#recorded = data;
    this.#tag = tag ?? "";
  }

  /** @param {string} path */
  #recordedAt(path, preferences = this.#recorded) {
    const [channel = "", toggle = ""] = path.split(".");
    return preferences[channel]?.[toggle];
  }

  /** @param {Preferences} before */
  #differing(before) {
    const paths = Object.entries(before).flatMap(([channel, toggles]) => Object.keys(toggles).map((toggle) => pathOf(channel, toggle)));
    return paths.filter((path) => !this.waiting(path) && this.#recordedAt(path) !== this.#recordedAt(path, before));
  }
}
