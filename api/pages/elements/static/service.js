/** The service's answers, as the element needs them. */

/**
 * @typedef {{ name: string, title: string, description: string, default: boolean, mandatory: boolean }} Toggle
 * @typedef {{ name: string, title: string, description: string, toggles: Toggle[] }} Channel
 * @typedef {{ version: number, channels: Channel[] }} Catalogue
 * @typedef {Record<string, Record<string, boolean>>} Preferences
 * @typedef {{
 *   id: string, occurred_at: string, channel: string, toggle: string, enabled: boolean, previous: boolean | null,
 *   actor: { kind: "customer" | "platform", label: string }, source: string,
 * }} Entry
 * @typedef {"signedOut" | "unreachable" | "moved" | "gone" | "limited" | "busy" | "refused"} Reason
 * @typedef {() => Promise<string> | string} GetToken
 */

/** @type {Record<number, Reason>} */
const REASONS = { 401: "signedOut", 412: "moved", 422: "gone", 429: "limited" };

/** A request that did not succeed. `seconds` is how long to wait before the next attempt, if the service says so. */
export class Refusal extends Error {
  /**
   * @param {Reason} reason
   * @param {number} [seconds]
   */
  constructor(reason, seconds = 0) {
    super(reason);
    this.reason = reason;
    this.seconds = seconds;
    /** Whether it is over after a while. A change may have been recorded all the same: the answer is lost, or the service could not tell. */
    this.passes = reason === "unreachable" || reason === "busy";
  }
}

/** `getToken` names another person, or another organization, than before. Nothing was sent. */
export class OtherPerson extends Error {}

/** Every request carries the token in a header. There are no cookies, so no other page can use the person's session. */
export class Service {
  /** The person of the first token. Every later token must name the same one. */
  #person = "";

  /**
   * @param {URL} root the service's address, with the prefix that a proxy adds
   * @param {GetToken} getToken
   */
  constructor(root, getToken) {
    this.root = root;
    this.getToken = getToken;
  }

  /** @returns {Promise<{ data: Catalogue, tag: string | null } | null>} null if it is still the one that `tag` names */
  catalogue(tag = "") {
    return this.#read("v1/notifications/catalogue", tag);
  }

  /** @returns {Promise<{ data: Preferences, tag: string | null } | null>} null if it is still the state that `tag` names */
  preferences(tag = "") {
    return this.#read("v1/me/notifications", tag);
  }

  /**
   * Changes one toggle of the state that `tag` names, and of no other.
   * @param {string} channel
   * @param {string} toggle
   * @param {boolean} enabled
   * @param {string} tag
   * @returns {Promise<{ data: Preferences, tag: string | null }>}
   */
  async change(channel, toggle, enabled, tag) {
    const body = JSON.stringify({ [channel]: { [toggle]: enabled } });
    const headers = { "Content-Type": "application/json", ...(tag && { "If-Match": tag }) };
    return this.#answer(await this.#ask("v1/me/notifications", { method: "PATCH", headers, body }));
  }

  /**
   * The person's own changes, newest first.
   * @param {string | null} cursor
   * @param {number} limit
   * @returns {Promise<{ entries: Entry[], next: string | null }>}
   */
  async history(cursor, limit) {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor && { cursor }) });
    const { data, meta } = await (await this.#ask(`v1/me/notifications/history?${query}`)).json();
    return { entries: data, next: meta.next_cursor };
  }

  /**
   * @param {string} path
   * @param {string} tag
   */
  async #read(path, tag) {
    const response = await this.#ask(path, tag ? { headers: { "If-None-Match": tag } } : {});
    return response.status === 304 ? null : this.#answer(response);
  }

  /** @param {Response} response */
  async #answer(response) {
    return { data: (await response.json()).data, tag: response.headers.get("ETag") };
  }

  /** A token of the same person as all before it. Throws `OtherPerson`. */
  async token() {
    const token = await this.getToken();
    const person = personIn(token);
    this.#person ||= person;
    if (person && person !== this.#person) throw new OtherPerson();
    return token;
  }

  /** Whether its tokens name the person whom those of the other one name. */
  isFor(/** @type {Service} */ other) {
    return this.#person === other.#person;
  }

  /**
   * @param {string} path
   * @param {{ method?: string, headers?: Record<string, string>, body?: string }} [options]
   */
  async #ask(path, options = {}) {
    const headers = { ...options.headers, Authorization: `Bearer ${await this.token()}` };
    /** @type {Response} */
    let response;
    try {
      response = await fetch(new URL(path, this.root), { ...options, headers, cache: "no-store", credentials: "omit" });
    } catch {
      throw new Refusal("unreachable");
    }
    if (response.ok || response.status === 304) return response;
    const reason = REASONS[response.status] ?? (response.status >= 500 ? "busy" : "refused");
    throw new Refusal(reason, Number(response.headers.get("Retry-After")) || 0);
  }
}

/**
 * The user and the organization that a session token names, as one text. Empty if it isn't a JWT: then the service decides alone.
 * @param {string} token
 */
function personIn(token) {
  try {
    const { sub, org_id, o } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return JSON.stringify([sub, o?.id ?? org_id]);
  } catch {
    return "";
  }
}
