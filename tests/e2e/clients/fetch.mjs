// node's own fetch: the bytes, a form, and JSON.
import { asked, clip, headers, notes, tell } from "./asked.mjs";

async function send(body, model = "demo", more = headers) {
  const answer = await fetch(`${asked.url}/predictions/${model}`, { method: "POST", body, headers: more });
  const said = await answer.json();
  return answer.ok ? said.map(({ label, score }) => [label, score]) : { status: answer.status, ...said };
}

async function form() {
  const parts = new FormData();
  parts.append("file", clip, "clip.flac");
  return send(parts);
}

async function json() {
  const inputs = Buffer.from(await clip.arrayBuffer()).toString("base64");
  return send(JSON.stringify({ inputs }), "demo", { ...headers, "Content-Type": "application/json" });
}

async function streamed() {
  const more = { method: "POST", body: clip.stream(), duplex: "half", headers };
  const answer = await fetch(`${asked.url}/predictions/demo`, more);
  return (await answer.json()).map(({ label, score }) => [label, score]);
}

await tell({
  clip: () => send(clip),
  form,
  json,
  streamed,
  "no audio": () => send(notes),
  "no model": () => send(clip, "nobody"),
  "no token": () => send(clip, "demo", {}),
});
