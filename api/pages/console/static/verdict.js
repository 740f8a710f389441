/**
 * What a verified bundle proves, in the lines of `preferences audit verify-bundle`.
 *
 * @import { StoredEvent } from "./stored_event.js"
 * @import { Opened } from "./verify.js"
 * @typedef {object} Consent
 * @property {string} at
 * @property {string} path
 * @property {boolean} enabled
 * @property {string} user
 * @property {string | undefined} session
 * @property {string | undefined} impersonator
 * @property {boolean} impersonated
 * @property {string} source
 * @property {string} requestId
 * @property {number} catalogueVersion
 * @property {boolean | undefined} default
 * @property {string | undefined} replacedAt
 */
import { TOGGLED, toTheSecond } from "./stored_event.js";

export const COLUMNS = ["when (UTC)", "toggle", "choice", "since then", "who", "session", "source", "told", "request"];

/** `head` and `foot` stand around the table of `rows`. @param {Opened} opened */
export function verdict({ bundle, checkpoint, events, catalogues }) {
  const where = bundle.organization === null ? "without an organization" : `of ${bundle.organization}`;
  const last = events.length;
  return {
    head: [
      `${bundle.user} ${where}: ${counted(last)}, all in the log of ${checkpoint.origin}`,
      `as signed on ${toTheSecond(checkpoint.time)} UTC over ${counted(checkpoint.size)}, up to position ${checkpoint.position}`,
    ],
    rows: consents(events, catalogues).map((consent) => row(consent, last)),
    foot: [
      `No event of this user up to version ${last} was left out: their versions have no gap.`,
      "Later changes are not excluded, not even up to the day of the signature: whoever passed the file on can have left the last events out.",
    ],
  };
}

/** @param {number | bigint} count */
const counted = (count) => `${count} ${String(count) === "1" ? "event" : "events"}`;

/** The choices of one stream, oldest first. @param {StoredEvent[]} events @param {StoredEvent[]} catalogues @returns {Consent[]} */
function consents(events, catalogues) {
  const defaults = new Map(catalogues.map((one) => [one.catalogue_version, defaultsOf(one)]));
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
      default: defaults.get(event.catalogue_version)?.get(path),
      replacedAt: replaced.get(path),
    });
    replaced.set(path, event.at);
  }
  return found.reverse();
}

/** @param {StoredEvent} catalogue */
function defaultsOf(catalogue) {
  return new Map(catalogue.channels.flatMap((channel) => channel.toggles.map((toggle) => [`${channel.name}.${toggle.name}`, toggle.default])));
}

/**
 * The consent in the words of `verify-bundle`. `last` is the version up to which there is proof.
 *
 * @param {Consent} consent @param {number} last
 */
function row(consent, last) {
  const { impersonated, impersonator, user, replacedAt, enabled } = consent;
  return [
    toTheSecond(consent.at),
    consent.path,
    word(enabled),
    replacedAt === undefined ? `not changed up to version ${last}` : `${enabled ? "withdrawn" : "changed"} ${toTheSecond(replacedAt)}`,
    impersonated ? `${impersonator || "support"} for ${user}` : user,
    consent.session || "-",
    consent.source,
    `catalogue ${consent.catalogueVersion}, default ${word(consent.default)}`,
    consent.requestId,
  ];
}

/** @param {boolean | undefined} enabled */
const word = (enabled) => (enabled === undefined ? "unknown" : enabled ? "on" : "off");
