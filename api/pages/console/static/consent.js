/**
 * A record of consent: who chose what, when and how, what the user was told, and whether it was changed since (`projections/consent.py`).
 *
 * @import { StoredEvent } from "./stored_event.js"
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
import { toTheSecond } from "./instant.js";
import { TOGGLED } from "./stored_event.js";

/** The choices of one stream, oldest first. @param {StoredEvent[]} events @param {StoredEvent[]} catalogues @returns {Consent[]} */
export function consents(events, catalogues) {
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
export function row(consent, last) {
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
