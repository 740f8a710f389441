/** The occasions to ask whether anything has changed: another tab says so, or the page is looked at again or connected again. */

const CHANNEL = "notification-preferences";

export class Occasions {
  /** @type {AbortController | null} */
  #connection = null;
  /** @type {BroadcastChannel | null} */
  #tabs = null;

  /** @param {() => void} ask what is done on each occasion */
  constructor(ask) {
    this.ask = ask;
  }

  begin() {
    const { signal } = (this.#connection = new AbortController());
    this.#tabs = new BroadcastChannel(CHANNEL);
    this.#tabs.addEventListener("message", () => this.ask(), { signal });
    addEventListener("focus", () => this.ask(), { signal });
    addEventListener("online", () => this.ask(), { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.ask(), { signal });
  }

  end() {
    this.#connection?.abort();
    this.#tabs?.close();
    this.#connection = this.#tabs = null;
  }

  /** Tells the other tabs that something has changed. */
  tell() {
    this.#tabs?.postMessage("changed");
  }
}
