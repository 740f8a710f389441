/** The page /preferences. */

import { getToken, onSignedOut, refused, signOut, whoIsSignedIn } from "../../static/session.js";
import "../../elements/static/notification-preferences.js";

const preferences = /** @type {import("../../elements/static/notification-preferences.js").NotificationPreferences} */ (
  document.querySelector("notification-preferences")
);
const person = /** @type {HTMLElement} */ (document.getElementById("person"));
const who = /** @type {HTMLElement} */ (document.getElementById("who"));

preferences.getToken = async () => {
  const token = await getToken();
  who.textContent = await whoIsSignedIn();
  person.hidden = false;
  return token;
};

/** Whether the session ends because the service has refused its token. What is on the page then stays until the person signs in again. */
let over = false;

preferences.addEventListener("preferences-refused", (event) => {
  if (!(event instanceof CustomEvent) || event.detail.reason !== "signedOut") return;
  over = true;
  refused();
  over = false;
});

onSignedOut(() => {
  person.hidden = true;
  if (!over) preferences.reload();
});

document.getElementById("sign-out")?.addEventListener("click", () => signOut());
