/**
 * Asks the service, with the session of the person who is signed in.
 *
 * @typedef {{name: string, title?: string | null, description?: string | null, default: boolean, mandatory: boolean}} Toggle
 * @typedef {{name: string, title?: string | null, toggles: Toggle[]}} Channel
 * @typedef {{version: number, published_at: string, channels: Channel[]}} Catalogue
 */
import { getToken, onSignedOut, refused, root } from "../../static/session.js";
import { readable } from "./make.js";

/** A refusal, in one sentence for people. */
export class Refusal extends Error {
  /** @param {number} status @param {string} sentence */
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** @type {Record<number, string>} */
const SENTENCES = {
  401: "The service does not accept your session. Sign out, and sign in again.",
  403: "Your session may not read the audit log. It needs a role with audit:read in an organization.",
  404: "There is nothing here.",
  429: "Too many requests. Try again in a moment.",
  503: "The service can't answer at the moment. Try again.",
};

/** It ends with the session: what one person has asked for is not asked for the next one. */
let session = new AbortController();
/** @type {Promise<Catalogue[]> | null} */
let published = null;

onSignedOut(() => {
  session.abort();
  session = new AbortController();
  published = null;
});

/**
 * @param {string} path @param {Record<string, string | number | null | undefined>} [parameters]
 * @param {{accept?: string, signal?: AbortSignal}} [how] @returns {Promise<Response>}
 */
export async function ask(path, parameters = {}, { accept = "application/json", signal: view } = {}) {
  const signal = view ? AbortSignal.any([view, session.signal]) : session.signal;
  const url = new URL(path, root);
  for (const [name, value] of Object.entries(parameters)) if (value) url.searchParams.set(name, String(value));
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(url, { headers: { Authorization: `Bearer ${await getToken()}`, Accept: accept }, signal, cache: "no-store" }).catch((error) => {
      if (signal.aborted) throw error;
      throw new Refusal(0, "The service can't be reached.");
    });
    if (answer.ok) return answer;
    signal.throwIfAborted();
    if (answer.status !== 401 || attempt > 0) throw await refusal(answer);
    refused();
    // In development mode that was the end of the session. With Clerk, the next token is a new one.
    signal.throwIfAborted();
  }
}

/** The answer's whole document. @param {string} path @param {Record<string, string | number | null | undefined>} [parameters] @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function read(path, parameters, signal) {
  return (await ask(path, parameters, { signal })).json();
}

/** @param {Response} answer */
async function refusal(answer) {
  const { error } = await answer.json().catch(() => ({ error: {} }));
  const faults = Object.entries(error.details ?? {}).map(([name, fault]) => `${name} ${fault}`);
  const sentence = faults.length ? `The service refused: ${faults.join("; ")}.` : SENTENCES[answer.status] ?? `The service refused: ${error.message ?? answer.status}.`;
  return new Refusal(answer.status, answer.status >= 500 && error.request_id ? `${sentence} Request ${error.request_id}.` : sentence);
}

/** Gives the person a file. @param {Blob} content @param {string} name */
export function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Every catalogue that was ever published, oldest first. @returns {Promise<Catalogue[]>} */
export function catalogues() {
  if (published) return published;
  const mine = read("v1/audit-log/catalogues").then((answer) => answer.data);
  mine.catch(() => {
    if (published === mine) published = null;
  });
  return (published = mine);
}

/** The newest title of each toggle that was ever published, by its path. @param {Catalogue[]} all @returns {Map<string, string>} */
export const titlesOf = (all) => new Map(all.flatMap((one) => one.channels.flatMap(({ name, toggles }) => toggles.map((toggle) => [`${name}.${toggle.name}`, toggle.title || readable(toggle.name)]))));

/** @param {Catalogue[]} all @param {number | undefined} version @param {string} channel @param {string} toggle @returns {Toggle | undefined} */
export function told(all, version, channel, toggle) {
  const catalogue = all.find((one) => one.version === version);
  return catalogue?.channels.find((one) => one.name === channel)?.toggles.find((one) => one.name === toggle);
}
