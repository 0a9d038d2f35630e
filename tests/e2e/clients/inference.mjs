// `@huggingface/inference`, with the server as its endpoint.
import { InferenceClient } from "@huggingface/inference";
import { asked, clip, notes, tell } from "./asked.mjs";

async function classify(data, model = "demo", token = asked.token) {
  const client = new InferenceClient(token, { endpointUrl: `${asked.url}/predictions/${model}` });
  return (await client.audioClassification({ data })).map(({ label, score }) => [label, score]);
}

await tell({
  clip: () => classify(clip),
  "no audio": () => classify(notes),
  "no model": () => classify(clip, "nobody"),
  "no token": () => classify(clip, "demo", ""),
});
