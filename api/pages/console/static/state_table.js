/** What a user gets at one instant or at two, toggle by toggle, with what decided it. */
import { address } from "./address.js";
import { actorText, counted, instant, make, readable, state, table, toSecond } from "./make.js";
import { told } from "./service.js";

/**
 * @typedef {{as_of: string, catalogue_version: number, version: number,
 *   explain: Record<string, Record<string, {enabled: boolean, decided_by: string, event: any}>>}} State
 */

/** @param {State} at @param {State | null} then @param {import("./service.js").Catalogue[]} all @returns {Node[]} */
export function stateTable(at, then, all) {
  const paths = [...new Set([at, then].flatMap((one) => (one ? Object.entries(one.explain).flatMap(([channel, toggles]) => Object.keys(toggles).map((toggle) => `${channel}\n${toggle}`)) : [])))];
  let differences = 0;
  const rows = paths.map((path) => {
    const [channel, toggle] = path.split("\n");
    const words = told(all, (then ?? at).catalogue_version, channel, toggle) ?? told(all, at.catalogue_version, channel, toggle);
    const name = make("div", {}, make("strong", {}, words?.title || readable(toggle)), make("small", {}, `${channel}.${toggle}`));
    const one = at.explain[channel]?.[toggle];
    if (!then) return [name, shown(one), decision(one, at, all, channel, toggle), wordsShown(one, at, all, channel, toggle)];
    const other = then.explain[channel]?.[toggle];
    const changed = one?.enabled !== other?.enabled;
    differences += Number(changed);
    return [name, make("div", {}, shown(one), decision(one, at, all, channel, toggle)), make("div", {}, shown(other), decision(other, then, all, channel, toggle)), changed ? make("strong", { className: "changed" }, "changed") : make("span", { className: "quiet" }, "same")];
  });
  const said = (/** @type {State} */ one) => `${toSecond(one.as_of)} UTC, catalogue ${one.catalogue_version}, ${counted(one.version, "event")}`;
  if (!then) {
    return [make("p", { className: "quiet" }, "At ", instant(at.as_of), ` UTC: catalogue ${at.catalogue_version}, ${counted(at.version, "event")} of this user.`), table("What this user gets", ["Toggle", "Sent", "Decided by", "What the user was told"], rows)];
  }
  return [make("p", { role: "status" }, `${counted(differences, "difference")} between ${said(at)} and ${said(then)}.`), table("The difference", ["Toggle", `At ${toSecond(at.as_of)}`, `At ${toSecond(then.as_of)}`, "Difference"], rows)];
}

/** @param {{enabled: boolean} | undefined} one */
const shown = (one) => (one ? state(one.enabled) : make("span", { className: "quiet" }, "not in the catalogue"));

/** @param {any} one @param {State} at @param {import("./service.js").Catalogue[]} all @param {string} channel @param {string} toggle */
function decision(one, at, all, channel, toggle) {
  if (!one) return null;
  if (one.decided_by === "default") return make("div", {}, "The default", make("small", {}, `of catalogue ${at.catalogue_version}: ${told(all, at.catalogue_version, channel, toggle)?.default ? "on" : "off"}`));
  const { event } = one;
  return make(
    "div",
    {},
    "A choice by ",
    make("strong", {}, actorText(event.actor)),
    make("small", {}, instant(event.occurred_at), ` UTC, ${event.source}`),
    make("small", {}, "event ", make("code", { title: `${event.id}, request ${event.request_id}` }, event.id.slice(-8)), ` · version ${event.version} · `, make("a", { href: address({ view: "log", channel, toggle, since: event.occurred_at, until: after(event.occurred_at) }) }, "in the log")),
  );
}

/** The words of the catalogue that the user was shown; for a default, of the one in force. @param {any} one @param {State} at @param {import("./service.js").Catalogue[]} all @param {string} channel @param {string} toggle */
function wordsShown(one, at, all, channel, toggle) {
  const version = one?.event?.catalogue_version ?? at.catalogue_version;
  const words = told(all, version, channel, toggle);
  if (!words) return make("span", { className: "quiet" }, `Catalogue ${version} isn't known`);
  return make("div", {}, words.title ? `“${words.title}”` : make("code", {}, `${channel}.${toggle}`), words.description && make("small", {}, words.description), make("small", {}, `catalogue ${version}, default ${words.default ? "on" : "off"}`));
}

/** The next second. @param {string} at */
const after = (at) => new Date(Math.floor(Date.parse(at) / 1000 + 1) * 1000).toISOString();
