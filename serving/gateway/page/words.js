// What is said: titles of errors by their code, numbers and times.

const WAITS_FOR_MORE = new Set(["overloaded", "rate_limited", "unavailable", "timeout", "deadline_exceeded", "worker_died", "out_of_memory", "network"]);
const TITLES = {
  unsupported_media: "This file is not a recording that the server can read",
  corrupt_audio: "The recording is damaged",
  truncated_audio: "The recording is incomplete",
  empty_audio: "The recording is empty",
  audio_too_short: "The recording is too short",
  audio_too_long: "The recording is too long",
  request_too_large: "The recording is too large",
  audio_too_costly: "The recording takes too much work to decode",
  non_finite_audio: "The recording holds values that are no sound",
  unsupported_layout: "The recording has an unusual sampling rate or number of channels",
  malformed_request: "The server does not understand this request",
  unauthorized: "The token is not accepted",
  model_not_found: "This model is no longer served",
  overloaded: "The server is busy",
  rate_limited: "You have used up your share",
  unavailable: "The server is not ready",
  upload_timeout: "The upload took too long",
  timeout: "The answer took too long",
  deadline_exceeded: "The answer took too long",
  worker_died: "The server failed while it processed the recording",
  out_of_memory: "The server has no memory for this recording",
  internal_error: "The server failed over this recording",
  network: "The server cannot be reached",
};
const STAGES = [["queue", "Queue"], ["decode", "Decoding"], ["inference", "Inference"], ["transfer", "Transfer"]];
const NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

function clock(seconds, round = Math.floor) {
  const whole = round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function score(value) {
  if (typeof value !== "number") return "";
  if (value < 0 || value > 1) return value.toFixed(3); // logits
  if (value > 0 && value < 0.0001) return "< 0.01 %";
  return `${(100 * value).toFixed(value < 0.01 ? 2 : 1)} %`;
}

function quoted(word) { // for a shell
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
