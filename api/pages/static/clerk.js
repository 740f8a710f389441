/** Signing in with Clerk. The script comes from the instance's own front-end, and from nowhere else. */

/**
 * @typedef {{ getToken: (options: { skipCache: boolean }) => Promise<string | null> }} ClerkSession
 * @typedef {{
 *   load: () => Promise<void>,
 *   session?: ClerkSession | null,
 *   user?: { id: string, fullName?: string | null, primaryEmailAddress?: { emailAddress: string } | null } | null,
 *   organization?: { name: string } | null,
 *   redirectToSignIn: (options: { signInForceRedirectUrl: string, signUpForceRedirectUrl: string }) => Promise<unknown>,
 *   signOut: () => Promise<void>,
 * }} Clerk
 */

const SCRIPT = "npm/@clerk/clerk-js@5/dist/clerk.headless.browser.js";

let refused = false;
/** @type {Promise<string | null> | null} the new token, while it is on its way */
let renewed = null;

/** Makes the next token a new one, and not the one that Clerk has kept. */
export function renew() {
  refused = true;
}

/**
 * A token of the session. One that was asked for before `renew` was called doesn't count as the new one.
 * @param {Clerk} clerk
 */
function tokenOf(clerk) {
  const get = async (/** @type {boolean} */ skipCache) => (await clerk.session?.getToken({ skipCache })) ?? null;
  if (refused) {
    refused = false;
    const mine = get(true)
      .catch((error) => {
        refused = true;
        throw error;
      })
      .finally(() => {
        if (renewed === mine) renewed = null;
      });
    renewed = mine;
  }
  // Requests that are made together wait for the same new token.
  return renewed ?? get(false);
}

/**
 * @param {string} key the publishable key
 * @param {string} frontEnd the origin of the instance's front-end
 * @returns {Promise<import("./session.js").Session>}
 */
export async function signInWithClerk(key, frontEnd) {
  const clerk = await load(key, frontEnd);
  if (!clerk.session) {
    await clerk.redirectToSignIn({ signInForceRedirectUrl: location.href, signUpForceRedirectUrl: location.href });
    return new Promise(() => {}); // The browser is leaving this page.
  }
  const { user, organization } = clerk;
  const name = user?.fullName || user?.primaryEmailAddress?.emailAddress || user?.id || "";
  return {
    who: organization ? `${name} in ${organization.name}` : name,
    // Clerk renews the token. It answers null once the session is over.
    token: () => tokenOf(clerk),
    end: () => clerk.signOut(),
  };
}

/**
 * @param {string} key
 * @param {string} frontEnd
 * @returns {Promise<Clerk>}
 */
async function load(key, frontEnd) {
  await new Promise((loaded, failed) => {
    const script = document.createElement("script");
    script.async = true;
    script.crossOrigin = "anonymous";
    script.dataset.clerkPublishableKey = key;
    script.onload = loaded;
    script.onerror = () => failed(new Error("Clerk can't be reached, so you can't sign in. Try again in a moment."));
    script.src = `${frontEnd}/${SCRIPT}`;
    document.head.append(script);
  });
  const clerk = /** @type {{ Clerk?: Clerk }} */ (window).Clerk;
  if (!clerk) throw new Error("Clerk's script has not started.");
  await clerk.load();
  return clerk;
}
