// A browser without scripts: it keeps cookies, follows redirects within the server, and fills in the server's own forms.
import assert from "node:assert/strict";

export class Browser {
  cookies = new Map();

  async fetch(url, options = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(url, { ...options, redirect: "manual", headers: { ...options.headers, cookie } });
    for (const set of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
      this.cookies.set(name, value);
    }
    return answer;
  }

  /** Goes to `url`; logs in and decides where it is asked to. The URL at the client that it ends at. */
  async authorize(url, { username, password, decision = "allow" }) {
    let [at, answer] = [new URL(url), await this.fetch(url)];
    for (let step = 0; step < 12; step += 1) {
      if (answer.status === 303) {
        const to = new URL(answer.headers.get("location"), at);
        if (to.origin !== at.origin) return to;
        [at, answer] = [to, await this.fetch(to)];
        continue;
      }
      const page = await answer.text();
      const form = /<form id="(login|consent)" method="post" action="([a-z]+)">/.exec(page);
      assert.ok(form, `${answer.status} ${page}`);
      const body = new URLSearchParams();
      for (const [, name, value] of page.matchAll(/type="hidden" name="([a-z]+)" value="([^"]*)"/g)) body.append(name, value);
      if (form[1] === "login") body.append("username", username), body.append("password", password);
      else body.append("decision", decision);
      at = new URL(form[2], at);
      answer = await this.fetch(at, { method: "POST", body, headers: { origin: at.origin } });
    }
    throw new Error("no end");
  }
}
