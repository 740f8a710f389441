/** Every text of the element. A page replaces any of them through the property `texts`. */

import { Refusal } from "./service.js";

/** @typedef {typeof ENGLISH} Texts */

export const ENGLISH = {
  /** The language of these texts (BCP 47). Dates are written in it, too. */
  lang: "en",
  loading: "Loading your preferences…",
  on: "On",
  off: "Off",
  alwaysOn: "Always on",
  locked: "Locked: it is always sent.",
  saving: "Saving…",
  saved: "Saved",
  again: "Try again",
  signInAgain: "Sign in again",
  becameOn: "{title} is on. Saved.",
  becameOff: "{title} is off. Saved.",
  elsewhereOn: "{title} was switched on somewhere else.",
  elsewhereOff: "{title} was switched off somewhere else.",
  notRead: "Your preferences could not be loaded.",
  signedOut: "You are no longer signed in, so this was not saved.",
  notSignedIn: "You are not signed in.",
  unreachable: "There is no connection, so this may not be saved. The switch shows what was last known.",
  moved: "This was changed in several places at once. Please look again.",
  gone: "This setting can't be changed any more.",
  limited: "Too many changes at once. Try again in {seconds} seconds.",
  busy: "The service is busy, so this may not be saved. The switch shows what was last known.",
  refused: "This could not be saved.",
  connected: "The connection is back. These are your preferences now.",
  whyOn: "Why is this on?",
  whyOff: "Why is this off?",
  byDefaultOn: "You have not chosen. It is on unless you switch it off.",
  byDefaultOff: "You have not chosen. It is off unless you switch it on.",
  byYouOn: "You switched it on {where} on {when}.",
  byYouOff: "You switched it off {where} on {when}.",
  bySupportOn: "Support switched it on for you {where} on {when}.",
  bySupportOff: "Support switched it off for you {where} on {when}.",
  otherwiseOn: "It was switched on {where} on {when}.",
  otherwiseOff: "It was switched off {where} on {when}.",
  history: "Your changes",
  noHistory: "You have not changed anything yet.",
  more: "Show earlier changes",
  sources: {
    dashboard: "in the dashboard",
    api: "through the API",
    one_click: "with one click in an e-mail",
    link: "through the link in an e-mail",
    import: "in an import",
    admin: "through an administrator",
    system: "automatically",
  },
  /**
   * Titles and descriptions in place of the catalogue's: by channel (`email`) and by toggle (`email.product_updates`).
   * @type {Record<string, { title?: string, description?: string }>}
   */
  words: {},
};

/**
 * @param {Partial<Texts>} given
 * @returns {Texts}
 */
export function completed(given) {
  return { ...ENGLISH, ...given, sources: { ...ENGLISH.sources, ...given.sources } };
}

/**
 * Why something did not succeed.
 * @param {unknown} error
 * @param {Texts} texts
 */
export function because(error, texts) {
  return error instanceof Refusal ? filled(texts[error.reason], { seconds: error.seconds || 60 }) : texts.refused;
}

/**
 * Puts values into the `{name}` places of a text.
 * @param {string} text
 * @param {Record<string, string | number>} values
 */
export function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
}
