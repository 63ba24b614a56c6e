// Asks the browser for a passkey and sends what it says with the form. Every other page works without a script.
"use strict";

const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function make({ party, partyName, challenge, user, userName }) {
  const made = await navigator.credentials.create({
    publicKey: {
      rp: { id: party, name: partyName },
      user: { id: decode(user), name: userName, displayName: userName },
      challenge: decode(challenge),
      pubKeyCredParams: [-7, -8].map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      attestation: "none",
    },
  });
  return { client_data: made.response.clientDataJSON, attestation: made.response.attestationObject };
}

async function use({ party, challenge }) {
  const used = await navigator.credentials.get({
    publicKey: { rpId: party, challenge: decode(challenge), userVerification: "required" },
  });
  return {
    credential: used.rawId,
    client_data: used.response.clientDataJSON,
    authenticator_data: used.response.authenticatorData,
    signature: used.response.signature,
    user: used.response.userHandle,
  };
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const said = form.dataset.passkey === "make" ? await make(form.dataset) : await use(form.dataset);
      for (const [name, value] of Object.entries(said)) form.elements.namedItem(name).value = encode(value);
      form.submit();
    } catch {
      form.querySelector("[role=alert]").hidden = false;
    }
  });
}
