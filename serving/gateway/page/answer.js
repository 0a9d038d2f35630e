// What came back: the ranking, or why there is none.

function answered(request, total) {
  let answer;
  try {
    answer = JSON.parse(request.responseText);
  } catch {
    return fail(request.status, "");
  }
  show($("working"), false);
  show($("found"));
  const heads = Array.isArray(answer) ? {"": answer} : answer;
  const bests = Object.values(heads).map((ranking) => ranking[0]).filter(Boolean);
  text($("best"), bests.map((each) => unknown(each) ? "Nobody it knows" : each.label).join(", "));
  $("best").classList.toggle("unknown", bests.every(unknown));
  text($("best-score"), bests.length === 1 ? score(bests[0].score) : "");
  verdict(bests[0]);
  $("rankings").replaceChildren(...Object.entries(heads).flatMap(([head, ranking]) => [
    ...(head ? [make("h3", head)] : []), ranked(ranking, head),
  ]));
  const header = (name) => request.getResponseHeader(name) || "";
  text($("version"), `${header("x-model-name") || model.name}, version ${header("x-model-version")}`);
  times(header("server-timing"), total, Number(header("x-audio-seconds")), header("x-batch-size"));
  text($("json"), JSON.stringify(answer, null, 2));
  text($("curl"), curl());
  text($("status"), `${$("best").textContent} ${$("best-score").textContent}. ${$("true-speaker").textContent}`);
}

function unknown(best) { // said by the model; other models may have a label of this name
  return Boolean(model.unknown) && best.label === "unknown";
}

function verdict(best) {
  const node = $("true-speaker");
  const right = best && best.label === clip.speaker;
  node.className = `verdict ${right ? "right" : "wrong"}`;
  const whose = stranger(clip) ? "a stranger" : clip.speaker;
  text(node, !whose ? "" : right ? `✓ Right: the sample is ${whose === clip.speaker ? "this voice" : whose}.` : `✗ Wrong: the sample is ${whose}.`);
}

function ranked(ranking, head) {
  const list = make("ol", "", "ranking");
  list.setAttribute("aria-label", head ? `Ranking of ${head}` : "Ranking");
  const top = Math.max(...ranking.map((each) => each.score));
  const bottom = Math.min(0, ...ranking.map((each) => each.score));
  const full = top <= 1 && bottom >= 0 ? 1 : top; // shares of one, or of the best logit
  for (const each of ranking) {
    const item = make("li");
    const rail = make("div", "", "rail");
    const fill = make("div", "", "fill");
    rail.setAttribute("aria-hidden", "true");
    fill.style.width = `${(100 * (each.score - bottom)) / (full - bottom || 1)}%`;
    rail.append(fill);
    item.append(make("bdi", each.label, unknown(each) ? "unknown" : ""), make("span", score(each.score), "number"), rail);
    list.append(item);
  }
  return list;
}

function times(header, total, audio, batch) {
  const found = {};
  for (const [, name, ms] of header.matchAll(/(\w+);dur=([\d.]+)/g)) found[name] = Number(ms);
  const known = Object.values(found).reduce((sum, ms) => sum + ms, 0);
  found.transfer = Math.max(0, total - known);
  const ms = (value) => (value < 10 ? `${value.toFixed(1)} ms` : value < 9999 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);
  const stages = STAGES.filter(([name]) => name in found);
  $("times-bar").replaceChildren(...stages.map(([name]) => {
    const part = make("div", "", name);
    part.style.flexGrow = found[name];
    return part;
  }));
  const rows = stages.map(([name, title]) => [title, ms(found[name]), name]);
  rows.push(["Total", ms(total), "plain"]);
  if (audio) rows.push(["Clip", `${audio.toFixed(2)} s`, "plain"]);
  if (Number(batch) > 1) rows.push(["Requests in its batch", batch, "plain"]);
  $("times").replaceChildren(...rows.map(([title, value, name]) => {
    const row = make("div");
    row.append(make("dt", title, name), make("dd", value, "number"));
    return row;
  }));
}

function curl() {
  const name = clip.name;
  const get = clip.path ? `curl ${token ? '-H "Authorization: Bearer $TOKEN" ' : ""}-O ${quoted(location.origin + clip.path)}\n` : "";
  const file = quoted(name.startsWith("-") ? `./${name}` : name);
  show($("save"), !clip.path && clip.recorded === true);
  $("save-link").download = name;
  $("save-link").href = address;
  const bearing = token ? '-H "Authorization: Bearer $TOKEN" ' : "";
  return `${get}curl ${bearing}-T ${file} ${quoted(`${location.origin}/predictions/${encodeURIComponent(model.name)}`)}`;
}

function fail(status, body, id) {
  let said = {};
  try { said = JSON.parse(body); } catch { /* a proxy's own words */ }
  const code = typeof said.code === "string" ? said.code : status ? "" : "network";
  show($("working"), false);
  show($("found"), false);
  show($("unplayable"), false);
  show($("error"));
  text($("error-title"), TITLES[code] || "The server could not answer");
  const words = typeof said.error === "string" ? said.error : status ? "" : "The connection failed or was closed: try again in a moment.";
  text($("error-text"), words && words[0].toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : "."));
  text($("error-code"), [status && `${status}`, status && code, id && `request ${id}`].filter(Boolean).join(" · "));
  show($("again"), WAITS_FOR_MORE.has(code));
  text($("status"), `${$("error-title").textContent}. ${$("error-text").textContent}`);
  if (status === 401) askToken(token ? "The token is no longer accepted." : "");
  if (WAITS_FOR_MORE.has(code)) health();
}

$("again").addEventListener("click", () => {
  show($("error"), false);
  if (clip.data) return identify();
  for (const each of $("samples").querySelectorAll("button[aria-pressed=true]")) each.click();
});

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const source = $(button.dataset.of);
    let done = "Copied";
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch { // only secure origins have a clipboard
      getSelection().selectAllChildren(source);
      done = "Selected";
    }
    text(button, done);
    text($("status"), done);
    setTimeout(() => text(button, "Copy"), 2000);
  });
}

$("model").addEventListener("change", () => {
  choose(about.models.find((each) => each.name === $("model").value));
  if (clip?.data) { start({...clip, speaker: undefined}); identify(); }
});
