// What asked.py is to the scripts in Python.
import { readFileSync } from "node:fs";

export const asked = JSON.parse(readFileSync(0, "utf-8"));
export const clip = new Blob([readFileSync(asked.clip)]);
export const notes = new Blob([readFileSync(asked.notes)]);
export const headers = { Authorization: `Bearer ${asked.token}` };

// Prints what each case resolves to, or which error it throws
export async function tell(cases) {
  const told = {};
  for (const [name, run] of Object.entries(cases)) {
    try {
      told[name] = await run();
    } catch (error) {
      told[name] = { raised: error.constructor.name, said: error.message, response: error.httpResponse?.body };
    }
  }
  console.log(JSON.stringify(told));
}
