/** The form of development mode: it signs in as any user of any organization. */

/** @typedef {{ token: string, expires_at: string, user: string, organization: string }} Made */

const DEFAULTS = { user: "user_demo", organization: "org_demo" };

/**
 * Shows the form in `<main>` until a person has signed in with it.
 * @param {URL} address where tokens are made
 * @param {string} auditRole the role that may read the audit log, or an empty text
 * @param {{ again: boolean, auditor: boolean }} asked `again`: a session on this page has ended before, so the focus moves to the
 * form. `auditor`: that role is chosen at first
 * @returns {Promise<Made>}
 */
export function showForm(address, auditRole, { again, auditor }) {
  const main = document.querySelector("main") ?? document.body;
  const { section, form, fault, submit } = build(auditRole, auditor);
  main.dataset.signedOut = "";
  main.append(section);
  if (again) form.querySelector("input")?.focus();
  return new Promise((signedIn) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      fault.textContent = "";
      submit.disabled = true;
      try {
        const made = await ask(address, new FormData(form));
        section.remove();
        delete main.dataset.signedOut;
        // The button that had the focus is gone. It goes on from the beginning of the page.
        main.tabIndex = -1;
        main.focus();
        signedIn(made);
      } catch (error) {
        fault.textContent = error instanceof Error ? error.message : String(error);
        submit.disabled = false;
        submit.focus();
      }
    });
  });
}

/**
 * @param {URL} address
 * @param {FormData} data
 * @returns {Promise<Made>}
 */
async function ask(address, data) {
  const [user, organization, role] = ["user", "organization", "role"].map((name) => String(data.get(name) ?? "").trim());
  /** @type {Response} */
  let response;
  try {
    response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user, organization, role: organization ? role : "" }),
    });
  } catch {
    throw new Error("The service can't be reached.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(Object.values(answer.error.details ?? {})[0] ?? `The service refused: ${answer.error.message}.`);
  return { ...answer.data, user, organization };
}

/** @param {string} auditRole @param {boolean} auditor */
function build(auditRole, auditor) {
  const fault = element("p", { className: "fault", role: "alert" });
  const submit = element("button", { type: "submit", textContent: "Sign in" });
  const roles = [role("", "Member", "Reads and changes their own preferences.", !auditor)];
  if (auditRole) roles.push(role(auditRole, "Compliance", `Has the role ${auditRole}, which may read the audit log (audit:read).`, auditor));
  const form = element(
    "form",
    {},
    field("user", "User", "Begins with user_.", { required: true, pattern: "user_.+" }),
    field("organization", "Organization", "Empty: no active organization.", {}),
    element("fieldset", {}, element("legend", { textContent: "Role" }), ...roles),
    fault,
    submit,
  );
  const section = element(
    "section",
    { className: "sign-in card" },
    element("h2", { textContent: "Sign in" }),
    element("p", { className: "quiet", textContent: "Development mode: be any user. There is no password." }),
    form,
  );
  return { section, form, fault, submit };
}

/**
 * @param {"user" | "organization"} name
 * @param {string} label
 * @param {string} hint
 * @param {Partial<HTMLInputElement>} more
 */
function field(name, label, hint, more) {
  const described = `${name}-hint`;
  const input = element("input", { name, id: `sign-in-${name}`, value: DEFAULTS[name], autocomplete: "off", spellcheck: false, ...more });
  input.setAttribute("aria-describedby", described);
  return element(
    "div",
    { className: "field" },
    element("label", { htmlFor: input.id, textContent: label }),
    element("small", { id: described, textContent: hint }),
    input,
  );
}

/**
 * @param {string} value
 * @param {string} label
 * @param {string} hint
 * @param {boolean} checked
 */
function role(value, label, hint, checked) {
  const text = element("span", {}, label, element("small", { textContent: hint }));
  return element("label", { className: "choice" }, element("input", { type: "radio", name: "role", value, checked }), text);
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Partial<HTMLElementTagNameMap[Name]>} properties
 * @param {(Node | string)[]} content
 * @returns {HTMLElementTagNameMap[Name]}
 */
function element(name, properties, ...content) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...content);
  return made;
}
