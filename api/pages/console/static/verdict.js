/**
 * What a verified bundle proves, in the lines of `preferences audit verify-bundle`.
 *
 * @import { StoredEvent } from "./stored_event.js"
 * @import { Opened } from "./verify.js"
 */
import { TOGGLED, toTheSecond } from "./stored_event.js";

/** Sources of changes that the bearer of an unsubscribe link made. */
const BY_LINK = new Set(["one_click", "link"]);

export const COLUMNS = ["when (UTC)", "toggle", "choice", "since then", "who", "session", "source", "told", "request"];

/** `head` and `foot` stand around the table of `rows`. @param {Opened} opened */
export function verdict({ bundle, checkpoint, events, catalogues }) {
  const where = bundle.organization === null ? "without an organization" : `of ${bundle.organization}`;
  const last = events.length;
  const found = consents(events, catalogues);
  return {
    head: [
      `${bundle.user} ${where}: ${counted(last)}, all in the log of ${checkpoint.origin}`,
      `as signed on ${toTheSecond(checkpoint.time)} UTC over ${counted(checkpoint.size)}, up to position ${checkpoint.position}`,
    ],
    rows: found.map((consent) => row(consent, last)),
    foot: [
      ...new Set(found.map(toldIn)),
      `No event of this user up to version ${last} was left out: their versions have no gap.`,
      "Later changes are not excluded, not even up to the day of the signature: whoever passed the file on can have left the last events out.",
    ],
  };
}

/** @param {number | bigint} count */
const counted = (count) => `${count} ${String(count) === "1" ? "event" : "events"}`;

/** The choices of one stream, oldest first. @param {StoredEvent[]} events @param {StoredEvent[]} catalogues */
function consents(events, catalogues) {
  const published = new Map(catalogues.map((one) => [one.catalogue_version, togglesOf(one)]));
  /** @type {Map<string, string>} */
  const replaced = new Map();
  const found = [];
  for (const event of events.filter((one) => one.topic === TOGGLED).reverse()) {
    const path = `${event.channel}.${event.toggle}`;
    found.push({
      at: event.at,
      path,
      enabled: event.enabled,
      user: event.actor?.user ?? "",
      session: event.actor?.session,
      impersonator: event.actor?.impersonator,
      impersonated: event.impersonated || event.actor?.impersonator !== undefined,
      source: event.source,
      requestId: event.request_id,
      catalogueVersion: event.catalogue_version,
      told: published.get(event.catalogue_version)?.get(path),
      replacedAt: replaced.get(path),
    });
    replaced.set(path, event.at);
  }
  return found.reverse();
}

/** @param {StoredEvent} catalogue */
function togglesOf(catalogue) {
  return new Map(catalogue.channels.flatMap((channel) => channel.toggles.map((toggle) => [`${channel.name}.${toggle.name}`, toggle])));
}

/** What the catalogue told about the toggle. @param {ReturnType<typeof consents>[number]} consent */
function toldIn({ catalogueVersion, path, told }) {
  const said = told?.title !== undefined ? `"${told.title}" (${told.description})` : told ? "published without words" : "not in the log";
  return `Catalogue ${catalogueVersion}, ${path}: ${said}`;
}

/**
 * The consent in the words of `verify-bundle`. `last` is the version up to which there is proof.
 *
 * @param {ReturnType<typeof consents>[number]} consent @param {number} last
 */
function row(consent, last) {
  const { impersonated, impersonator, user, replacedAt, enabled } = consent;
  return [
    toTheSecond(consent.at),
    consent.path,
    word(enabled),
    replacedAt === undefined ? `not changed up to version ${last}` : `${enabled ? "withdrawn" : "changed"} ${toTheSecond(replacedAt)}`,
    impersonated ? `${impersonator || "support"} for ${user}` : BY_LINK.has(consent.source) ? `unsubscribe link of ${user}` : user,
    consent.session || "-",
    consent.source,
    `catalogue ${consent.catalogueVersion}, default ${word(consent.told?.default)}`,
    consent.requestId,
  ];
}

/** @param {boolean | undefined} enabled */
const word = (enabled) => (enabled === undefined ? "unknown" : enabled ? "on" : "off");
