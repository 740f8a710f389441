/**
 * The session of the person who uses a page. `<meta name="sign-in">` says how a person signs in: with a form in development mode,
 * or with Clerk. The token stays in this tab. No page of this service has a cookie of its own.
 */

import { renew, signInWithClerk } from "./clerk.js";
import { showForm } from "./sign_in_form.js";

/**
 * @typedef {{ token: () => Promise<string | null>, end: () => Promise<void> | void, who: string }} Session
 * A person who is signed in. `token` answers null when the session is over. `who` names the person to themselves.
 */

const KEY = "preferences.development-session";
const LEAST_SECONDS_LEFT = 5;

/** @type {(() => void)[]} */
const listeners = [];
/** @type {Promise<Session> | null} */
let session = null;
let askedBefore = false;
/** Whether the session has given a token. Until then, a token that the service refuses is one of an earlier session. */
let begun = false;

/** The service's root, with the prefix that a proxy serves it under. */
export const root = new URL(meta().dataset.root || "./", document.baseURI);

/** The role that the sign-in form offers for reading the audit log; empty if no role may. */
export const auditRole = meta().dataset.auditRole || "";

/**
 * A token that is valid now. Without a session, the page first asks the person to sign in.
 * @returns {Promise<string>}
 */
export async function getToken() {
  for (;;) {
    session ??= signIn();
    const current = session;
    const token = await current.then(
      (signedIn) => signedIn.token(),
      (error) => {
        session = null;
        throw error;
      },
    );
    if (session === current) begun = token !== null;
    if (token !== null) return token;
    if (session === current) ended();
  }
}

/** The name of the signed-in person, as the page shows it. Empty before the sign-in. */
export async function whoIsSignedIn() {
  return session === null ? "" : (await session).who;
}

/** Ends the session. The page then shows nothing of the person. */
export async function signOut() {
  // First the session, then the page: what the page shows next must find no session.
  if (session !== null) await (await session).end();
  ended();
}

/**
 * Call it when the service has refused a token. The session of development mode is forgotten, so the next `getToken` asks the person to sign
 * in. A session with Clerk stays, because signing in would find the same one again: its next token is a new one.
 */
export function refused() {
  if (meta().content === "clerk") {
    renew();
    return;
  }
  if (!begun) return;
  sessionStorage.removeItem(KEY);
  ended();
}

/**
 * Calls the listener each time a session ends. Listeners are called in the order in which they came.
 * @param {() => void} listener
 */
export function onSignedOut(listener) {
  listeners.push(listener);
}

function ended() {
  session = null;
  begun = false;
  for (const listener of listeners) listener();
}

/** @returns {Promise<Session>} */
async function signIn() {
  const { content: way, dataset } = meta();
  if (way === "clerk") return signInWithClerk(dataset.key || "", dataset.frontEnd || "");
  if (way !== "development") throw new Error("This service has no way to sign people in on its pages: CLERK_PUBLISHABLE_KEY isn't set.");
  const kept = readKept();
  if (kept !== null) return developmentSession(kept);
  const asked = showForm(new URL("development/session", root), auditRole, { again: askedBefore, auditor: Boolean(dataset.auditor) });
  askedBefore = true;
  return developmentSession(keep(await asked));
}

/**
 * @param {import("./sign_in_form.js").Made} made
 * @returns {Session}
 */
function developmentSession(made) {
  return {
    who: made.organization ? `${made.user} in ${made.organization}` : made.user,
    token: async () => (valid(made) ? made.token : null),
    end: () => sessionStorage.removeItem(KEY),
  };
}

/** @returns {import("./sign_in_form.js").Made | null} */
function readKept() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) || "null");
    return kept !== null && valid(kept) ? kept : null;
  } catch {
    return null;
  }
}

/** @param {import("./sign_in_form.js").Made} made */
function keep(made) {
  sessionStorage.setItem(KEY, JSON.stringify(made));
  return made;
}

/** @param {import("./sign_in_form.js").Made} made */
function valid(made) {
  return Date.parse(made.expires_at) - Date.now() > LEAST_SECONDS_LEFT * 1000;
}

function meta() {
  const found = document.querySelector('meta[name="sign-in"]');
  if (!(found instanceof HTMLMetaElement)) throw new Error('The page has no <meta name="sign-in">.');
  return found;
}
