// Signs in the browser what the command line signs in a terminal: the same statements, byte for byte.
// The private key is read here into a key that cannot be read out again; it is never sent anywhere.

const bytes = new TextEncoder();
const byId = (id) => document.getElementById(id);

class Told extends Error {}

// RFC 8785 for flat objects of texts and whole numbers: JSON as ECMAScript writes it, names in order.
const canonical = (statement) => JSON.stringify(statement, Object.keys(statement).sort());

const base64url = (raw) =>
  btoa(String.fromCharCode(...new Uint8Array(raw))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function digest(domain, text) {
  const hash = await crypto.subtle.digest("SHA-256", bytes.encode(`${domain}\0${text}`));
  return "sha256:" + Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function sign(key, domain, statement) {
  return base64url(await crypto.subtle.sign("Ed25519", key.private, bytes.encode(`${domain}\0${canonical(statement)}`)));
}

async function signedOperation(key, op, args) {
  const nonce = base64url(crypto.getRandomValues(new Uint8Array(24)));
  const args_digest = await digest("bailiwick-operation-arguments-v1", canonical(args));
  const unsigned = { op, args_digest, person: key.person, at: Date.now(), nonce };
  const signature = await sign(key, "bailiwick-operation-v1", { v: 1, ...unsigned });
  return { args, signed: { ...unsigned, kid: key.kid, signature } };
}

async function keyFrom(file) {
  let held;
  try {
    held = JSON.parse(await file.text());
  } catch {
    held = null;
  }
  const fields = ["person", "kid", "public_key", "private_key"];
  if (held?.v !== 1 || !fields.every((name) => typeof held[name] === "string")) {
    throw new Told("This is no personal key file, or it is damaged; choose the one that `bailiwick key new` made.");
  }
  const jwk = { kty: "OKP", crv: "Ed25519", x: held.public_key, d: held.private_key };
  let made;
  try {
    made = await crypto.subtle.importKey("jwk", jwk, "Ed25519", false, ["sign"]);
  } catch (error) {
    if (error.name === "NotSupportedError") {
      throw new Told("This browser cannot sign with Ed25519; use a newer one, or a terminal.");
    }
    throw new Told("The key in this file cannot be used; restore the file, or enrol a new key.");
  }
  return { person: held.person, kid: held.kid, private: made };
}

// Between pages the key waits in this browser's database, as an object that cannot be exported.
function store(mode, work) {
  return new Promise((done, failed) => {
    const opening = indexedDB.open("bailiwick", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
    opening.onerror = () => failed(opening.error);
    opening.onsuccess = () => {
      const transaction = opening.result.transaction("keys", mode);
      const asked = work(transaction.objectStore("keys"));
      transaction.oncomplete = () => { opening.result.close(); done(asked.result); };
      transaction.onabort = transaction.onerror = () => failed(transaction.error);
    };
  });
}
const kept = () => store("readonly", (keys) => keys.get("mine")).catch(() => undefined);
const keep = (key) => store("readwrite", (keys) => keys.put(key, "mine")).catch(() => undefined);
const forget = () => store("readwrite", (keys) => keys.delete("mine")).catch(() => undefined);

async function post(place, body) {
  const headers = { "content-type": "application/json" };
  if (document.body.dataset.csrf) headers["x-bailiwick-csrf"] = document.body.dataset.csrf;
  let answer;
  try {
    answer = await fetch(place, { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin" });
  } catch {
    throw new Told("The server does not answer; nothing was signed off. Try again.");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Told(told.error ?? `The server refused (${answer.status}); load the page anew.`);
  return told;
}

function tell(place, text, kind = "") {
  place.textContent = text;
  place.className = `told ${kind}`;
}

async function trying(place, work) {
  try {
    await work();
  } catch (error) {
    tell(place, error instanceof Told ? error.message : `It did not work: ${error.message}`, "wrong");
  }
}

const insecure = "This page was not opened over TLS or on this machine, so the browser lends it no keys; use a terminal.";

async function signInPage(box) {
  const told = byId("told");
  if (!globalThis.crypto?.subtle) return tell(told, insecure, "wrong");
  const enter = (key) => trying(told, async () => {
    tell(told, "Signing in …");
    const args = { challenge: box.dataset.challenge, origin: location.origin, server: box.dataset.server };
    await post("/approvals/sign-in", await signedOperation(key, "page.sign_in", args));
    await keep(key);
    location.reload();
  });
  const before = await kept();
  if (before) {
    byId("again").textContent = `Sign in as ${before.person}`;
    byId("choose").textContent = "Choose another key file";
    for (const id of ["again", "forget"]) byId(id).hidden = false;
    byId("again").addEventListener("click", () => enter(before));
    byId("forget").addEventListener("click", () => forget().then(() => location.reload()));
  }
  byId("key-file").addEventListener("change", (event) =>
    trying(told, async () => enter(await keyFrom(event.target.files[0]))));
}

async function judgeOne(key, sheet, verdict) {
  const { request, call } = sheet.dataset;
  // Over the call that stands on this page, and not over a digest that somebody says is its.
  const request_digest = await digest("bailiwick-call-v1", call);
  if (request_digest !== sheet.dataset.digest) {
    throw new Told("The digest is not that of the call that is shown; nothing was signed. Tell an admin.");
  }
  const at = Date.now();
  const statement = { v: 1, request_digest, verdict, reviewer: key.person, at };
  const signature = await sign(key, "bailiwick-verdict-v1", statement);
  const args = { request, verdict, at, kid: key.kid, signature };
  return post("/approvals/verdicts", await signedOperation(key, "approval.judge", args));
}

async function judgePage(form) {
  const { person, kid } = document.body.dataset;
  const told = byId("told");
  const buttons = [...form.querySelectorAll("button")];
  const ready = (is) => buttons.forEach((button) => { button.disabled = !is; });
  const mine = (key) => key?.person === person && key.kid === kid;
  if (!globalThis.crypto?.subtle) { ready(false); form.hidden = false; return tell(told, insecure, "wrong"); }
  let key = await kept();
  const look = () => { byId("key-asked").hidden = mine(key); ready(mine(key)); };
  look();
  byId("key-file").addEventListener("change", (event) => trying(told, async () => {
    key = await keyFrom(event.target.files[0]);
    if (!mine(key)) throw new Told(`You are signed in as ${person} with another key than this one.`);
    tell(told, "");
    look();
  }));
  const judge = async (verdict) => {
    ready(false);
    tell(told, "");
    let left = 0;
    for (const sheet of document.querySelectorAll(".sheet[data-judgeable]")) {
      const here = sheet.querySelector(":scope > .told");
      await trying(here, async () => {
        const { told: words, result } = await judgeOne(key, sheet, verdict);
        tell(here, `${words[0].toUpperCase()}${words.slice(1)}.`, "done");
        sheet.querySelector(".state").textContent = result.state;
        sheet.querySelector(".state").className = `state ${result.state}`;
        delete sheet.dataset.judgeable;
      });
      if ("judgeable" in sheet.dataset) left += 1;
    }
    if (left) {
      ready(true);
    } else {
      const more = document.createElement("a");
      more.href = "/approvals";
      more.textContent = "What else waits";
      form.querySelector(".buttons").replaceChildren(more);
    }
    document.querySelector(".sheet > .told:not(:empty)")?.scrollIntoView({ block: "center" });
  };
  for (const button of buttons) button.addEventListener("click", () => judge(button.dataset.verdict));
  form.hidden = false;
}

for (const one of document.querySelectorAll(".without-script")) one.hidden = true;
const leave = byId("sign-out");
if (leave) {
  leave.hidden = false;
  leave.addEventListener("click", async () => {
    await forget();
    await post("/approvals/sign-out", {}).catch(() => undefined);
    location.assign("/approvals");
  });
}
if (byId("sign-in")) await signInPage(byId("sign-in"));
if (byId("verdict")) await judgePage(byId("verdict"));
// Last: what is shown can be used.
for (const one of document.querySelectorAll(".with-script")) one.hidden = false;
