// The examples of the guide, as it shows them.
import { readFile } from "node:fs/promises";

const GUIDE = new URL("../../../../docs/guides/discovery.md", import.meta.url);

/** Every block of code with its language and the heading that it stands under. */
export async function blocks() {
  const text = await readFile(GUIDE, "utf8");
  const found = [];
  let heading = "";
  for (const [, title, language, code] of text.matchAll(/^## (.+)$|^```(\w+)\n([^]*?)^```$/gm)) {
    if (title === undefined) found.push({ heading, language, text: code });
    else heading = title;
  }
  return found;
}
