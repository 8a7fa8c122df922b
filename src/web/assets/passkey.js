// Asks the browser for a passkey and sends what it says. Nothing is decided here: the form brings the answer to the
// server, and what is told lies in the page.
"use strict";

const form = document.querySelector("form[data-passkey]");

function bytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (symbol) => symbol.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function say(what) {
  for (const told of document.querySelectorAll("[data-when]")) {
    told.hidden = told.dataset.when !== what;
  }
}

// Web Authentication, section 5.1: what goes in and out as bytes goes through the form as base64url.
async function answer(kind, options) {
  options.challenge = bytes(options.challenge);
  for (const known of [options.excludeCredentials, options.allowCredentials]) {
    for (const one of known || []) one.id = bytes(one.id);
  }
  if (kind === "create") {
    options.user.id = bytes(options.user.id);
    const made = await navigator.credentials.create({ publicKey: options });
    const { attestationObject, clientDataJSON } = made.response;
    const response = { attestationObject: text(attestationObject), clientDataJSON: text(clientDataJSON) };
    return { id: made.id, rawId: text(made.rawId), type: made.type, response };
  }
  const given = await navigator.credentials.get({ publicKey: options });
  const { authenticatorData, clientDataJSON, signature, userHandle } = given.response;
  const response = {
    authenticatorData: text(authenticatorData),
    clientDataJSON: text(clientDataJSON),
    signature: text(signature),
    userHandle: userHandle ? text(userHandle) : null,
  };
  return { id: given.id, rawId: text(given.rawId), type: given.type, response };
}

async function run() {
  const button = form.querySelector("button");
  button.disabled = true;
  say("waiting");
  try {
    const said = await answer(form.dataset.passkey, JSON.parse(form.dataset.options));
    form.elements.answer.value = JSON.stringify(said);
    form.submit();
  } catch (error) {
    button.disabled = false;
    say(error.name === "InvalidStateError" ? "known" : "cancelled");
  }
}

if (form && window.PublicKeyCredential && navigator.credentials) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  if (form.dataset.now) run();
} else if (form) {
  say("unable");
}
