/** Evidence: the last checkpoint, a user's bundle, and its verification in this page. */
import { address, go } from "./address.js";
import { instant, make, table } from "./make.js";
import { Refusal, ask, read, save } from "./service.js";
import { COLUMNS, verdict, verifyBundle } from "./verify.js";

/** @type {import("./console.js").View} */
export async function evidenceView(place, query, signal) {
  const last = await read("v1/audit-log/checkpoint", {}, signal).catch((error) => {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  });
  place.append(
    make("div", { className: "head" }, make("h2", {}, "Evidence"), make("p", { className: "quiet" }, "The service signs the log. A bundle proves to its reader what one user chose, and what the user was told.")),
    make("div", { className: "columns" }, checkpoint(last?.data), download(query)),
    verification(),
  );
}

/** @param {any} data */
function checkpoint(data) {
  if (!data) return make("section", { className: "card" }, make("h3", {}, "Last checkpoint"), make("p", {}, "Nothing is signed yet, or this service has no key to check it with."));
  return make(
    "section",
    { className: "card" },
    make("h3", {}, "Last checkpoint"),
    make(
      "dl",
      {},
      ...pair("Log", data.origin),
      ...pair("Signed", instant(data.signed_at), " UTC"),
      ...pair("Events", data.size.toLocaleString("en")),
      ...pair("Up to position", data.position.toLocaleString("en")),
      ...pair("Root", make("code", { className: "long" }, data.root)),
      ...pair("Public key", ...data.public_keys.map((/** @type {string} */ key) => make("code", { className: "long" }, key))),
    ),
    make("p", { className: "quiet" }, "Keep a copy of the checkpoint where the operator can't write. Compare the public key with the one that you got in another way."),
    make("button", { type: "button", className: "plain", id: "save-checkpoint", onclick: () => save(new Blob([data.note]), `checkpoint-${data.size}.txt`) }, "Save the checkpoint"),
  );
}

/** @param {string} name @param {import("./make.js").Content[]} value */
const pair = (name, ...value) => [make("dt", {}, name), make("dd", {}, ...value)];

/** @param {Record<string, string>} query */
function download(query) {
  const user = make("input", { id: "bundle-user", name: "user", value: query.user ?? "", required: true, autocomplete: "off", spellcheck: false });
  const said = make("p", { role: "status", className: "quiet" });
  const form = make(
    "form",
    { className: "card" },
    make("h3", {}, "A user's bundle"),
    make("div", { className: "field" }, make("label", { htmlFor: user.id }, "User"), user),
    make("p", { className: "quiet" }, "The file holds the key that opens who acted, also after an erasure: treat it as personal data. The download is recorded."),
    make("button", { type: "submit", id: "download" }, "Download the bundle"),
    said,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const id = user.value.trim();
    go({ view: "evidence", user: id }, { replace: true, quietly: true });
    said.textContent = "Making the bundle…";
    try {
      const answer = await ask(`v1/users/${encodeURIComponent(id)}/evidence`);
      save(await answer.blob(), `evidence-${id.replace(/[^\w.-]/g, "_")}.json`);
      // The field may name another user by now.
      said.textContent = `The bundle of ${id} is saved. The download is recorded.`;
    } catch (error) {
      const nothing = error instanceof Refusal && error.status === 404;
      said.textContent = nothing ? `No event of ${id} is signed yet: there is nothing to prove.` : `The bundle of ${id} is not saved. ${error instanceof Error ? error.message : error}`;
    }
  });
  return form;
}

function verification() {
  const bundle = make("input", { type: "file", id: "bundle-file", accept: ".json,application/json" });
  const keyFile = make("input", { type: "file", id: "key-file" });
  const key = make("textarea", { id: "public-key", rows: 2, spellcheck: false, autocomplete: "off", placeholder: "name+hash+key" });
  const result = make("div", { className: "verdict", role: "status", "aria-live": "polite" });
  /** @type {{data: Uint8Array<ArrayBuffer> | null, name: string}} */
  const held = { data: null, name: "" };

  let begun = 0;
  const check = async () => {
    const mine = ++begun;
    if (!held.data || !key.value.trim()) {
      result.replaceChildren(make("p", { className: "quiet" }, held.data ? `${held.name} is here. The public key is missing.` : "The bundle is missing."));
      return;
    }
    result.replaceChildren(make("p", { className: "quiet" }, "Verifying…"));
    const found = await shown(held.data, key.value.trim(), held.name);
    // A verdict on files that were replaced meanwhile is not shown.
    if (mine === begun) result.replaceChildren(found);
  };
  let reading = Promise.resolve();
  /** Files are read one after another, so that those that came last count. @param {() => Promise<void>} read */
  const queue = (read) => {
    reading = reading.then(read).catch((error) => result.replaceChildren(make("p", { className: "fault" }, error.message)));
  };
  /** @param {Iterable<File>} files */
  const take = (files) => {
    const given = [...files];
    queue(() => keep(given));
  };
  /** @param {File | undefined} file */
  const keepKey = async (file) => {
    if (file) key.value = (await file.text()).trim();
    void check();
  };
  /** @param {File[]} files */
  const keep = async (files) => {
    for (const file of files) {
      const data = new Uint8Array(await file.arrayBuffer());
      // A key is one short line. All else is meant as the bundle, damaged or not.
      if (data.length < 400 && /^[^\s+]+\+[0-9a-f]{8}\+\S+\s*$/.test(new TextDecoder().decode(data))) key.value = new TextDecoder().decode(data).trim();
      else Object.assign(held, { data, name: file.name });
    }
    void check();
  };
  bundle.addEventListener("change", () => take(bundle.files ?? []));
  keyFile.addEventListener("change", () => {
    const file = keyFile.files?.[0];
    queue(() => keepKey(file));
  });
  key.addEventListener("change", check);
  const zone = make(
    "section",
    { className: "card drop", "aria-labelledby": "verify-title" },
    make("h3", { id: "verify-title" }, "Verify a bundle"),
    make("p", {}, "Drop the bundle and the file with the public key here, or choose them. This page checks signature, inclusion, order and catalogue itself. Nothing is sent."),
    make(
      "div",
      { className: "columns" },
      make("div", { className: "field" }, make("label", { htmlFor: bundle.id }, "Bundle"), bundle),
      make("div", { className: "field" }, make("label", { htmlFor: keyFile.id }, "Public key, from a file"), keyFile),
    ),
    make("div", { className: "field" }, make("label", { htmlFor: key.id }, "Public key"), make("small", {}, "As preferences audit public-key prints it. Take one that you got in another way than from this service."), key),
    make("button", { type: "button", id: "verify", onclick: check }, "Verify"),
    result,
  );
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take(event.dataTransfer?.files ?? []);
  });
  return zone;
}

/** @param {Uint8Array<ArrayBuffer>} data @param {string} key @param {string} name */
async function shown(data, key, name) {
  if (!crypto.subtle) return make("p", { className: "fault" }, "This page can verify only over https, or on this machine: elsewhere a browser gives it no cryptography.");
  try {
    const opened = await verifyBundle(data, key);
    const { head, rows, foot } = verdict(opened);
    const { user, organization } = opened.bundle;
    return make(
      "div",
      { className: "verified" },
      make("p", { className: "good" }, make("strong", {}, "Verified. "), head[0]),
      make("p", {}, head[1]),
      table(`The choices of ${user}`, COLUMNS, rows.map((cells) => [...cells]), { className: "dense" }),
      ...foot.map((line) => make("p", { className: "quiet" }, line)),
      organization !== null && make("p", {}, make("a", { href: address({ view: "user", user }) }, "What this user gets now, by this service")),
    );
  } catch (error) {
    return make("p", { className: "fault" }, make("strong", {}, "Refused. "), `${name}: ${error instanceof Error ? error.message : error}`);
  }
}
