/**
 * Words for people: instants, choices, and what the catalogues told.
 *
 * @typedef {{name: string, title?: string | null, description?: string | null, default: boolean, mandatory: boolean}} Toggle
 * @typedef {{name: string, title?: string | null, toggles: Toggle[]}} Channel
 * @typedef {{version: number, published_at: string, channels: Channel[]}} Catalogue
 */
import { make } from "./make.js";
import { read } from "./service.js";

export const SOURCES = ["dashboard", "api", "one_click", "link", "import", "admin", "system"];

/** @type {Promise<Catalogue[]> | null} */
let published = null;

/** Every catalogue that was ever published, oldest first. @returns {Promise<Catalogue[]>} */
export function catalogues() {
  published ??= read("v1/audit-log/catalogues").then(
    (answer) => answer.data,
    (error) => {
      published = null;
      throw error;
    },
  );
  return published;
}

/** `weekly_usage_digest` → `Weekly usage digest`. @param {string} name */
export const readable = (name) => (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ");

/** @param {Catalogue[]} all @param {number | undefined} version @param {string} channel @param {string} toggle @returns {Toggle | undefined} */
export function told(all, version, channel, toggle) {
  const catalogue = all.find((one) => one.version === version);
  return catalogue?.channels.find((one) => one.name === channel)?.toggles.find((one) => one.name === toggle);
}

/** To the second, in UTC; the exact instant on request. @param {string} at */
export const instant = (at) => make("time", { dateTime: at, title: at, className: "instant" }, toSecond(at));

/** @param {string} at */
export const toSecond = (at) => at.slice(0, 19).replace("T", " ");

/** @param {boolean | null | undefined} enabled */
export function state(enabled) {
  if (enabled === null || enabled === undefined) return make("span", { className: "state none" }, "default");
  return make("span", { className: `state ${enabled ? "on" : "off"}` }, enabled ? "on" : "off");
}

/** @param {{kind: string, label: string}} actor */
export const actorText = (actor) => (actor.kind === "platform" ? "support" : actor.label);

/** @param {string} text */
export const fault = (text) => make("p", { className: "fault notice-box", role: "alert" }, text);

/** @param {number} count @param {string} noun @param {string} [plural] */
export const counted = (count, noun, plural = `${noun}s`) => `${count.toLocaleString("en")} ${count === 1 ? noun : plural}`;
