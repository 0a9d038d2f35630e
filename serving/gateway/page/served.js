// What is served, and whether it is ready; the token, where one is asked for.

addEventListener("DOMContentLoaded", begin);

async function begin() {
  let answer;
  try {
    answer = await fetch("/page.json", {headers: bearer(), cache: "no-store"});
  } catch {
    return down("The server cannot be reached");
  }
  if (answer.status === 401) {
    return askToken(token ? "This is not one of the server's tokens." : "");
  }
  if (!answer.ok) return down(`The server answers ${answer.status}`);
  about = await answer.json();
  show($("access"), false);
  show($("columns"));
  const chooser = $("model");
  chooser.replaceChildren(...about.models.map((each) => new Option(each.name, each.name)));
  show($("chooser"), about.models.length > 1);
  choose(about.models[0]);
  health();
}

function askToken(why) {
  show($("access"));
  text($("access-why"), why);
  token = "";
  $("token").value = "";
  $("token").focus();
}

$("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  $("token").value = "";
  if (/^[\x21-\x7e]+$/.test(token)) begin(); else askToken("A token has letters, digits and signs, and no blanks.");
});

function choose(chosen) {
  model = chosen;
  const speakers = model.samples.filter((each) => !stranger(each)).length;
  show($("demo"), model.demo);
  const voices = `${speakers ? NUMBERS[speakers] : "its own"} voices`;
  text($("demo"), model.unknown ? `Demo: it knows ${voices}, and may mistake a stranger for one of them.` : `Demo: it names one of ${voices} for strangers and noise too.`);
  text($("limits"), `WAV, FLAC, MP3, MP4, Ogg, WebM and more; up to ${longest()} and ${Math.floor(about.max_request_bytes / (1 << 20))} MiB`);
  text($("version"), about.models.length > 1 ? "" : model.name);
  const licence = model.licence ? ` Licence: ${model.licence}.` : "";
  text($("about"), `${model.description || `The model ${model.name}.`}${licence}`);
  show($("samples"), model.samples.length > 0);
  $("samples").querySelector("ul").replaceChildren(...model.samples.map(sample));
}

function longest() {
  const seconds = model.max_clip_seconds;
  return seconds % 60 || seconds < 60 ? `${seconds} s` : seconds === 60 ? "a minute" : `${seconds / 60} minutes`;
}

function stranger(each) { // whose right answer is "unknown"
  return Boolean(model.unknown) && each.speaker === "unknown";
}

function sample(each) {
  const item = make("li");
  const button = make("button");
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", "M4 10v4M8 6.5v11M12 9v6M16 4.5v15M20 10v4");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  icon.append(path);
  button.append(icon, make("bdi", stranger(each) ? "a stranger" : each.speaker), make("span", `${each.seconds.toFixed(1)} s`, "number"));
  button.addEventListener("click", async () => {
    const name = each.path.split("/").pop();
    start({name, path: each.path, speaker: each.speaker});
    button.setAttribute("aria-pressed", "true");
    const mine = clip;
    try {
      const answer = await fetch(each.path, {headers: bearer()});
      if (clip !== mine) return;
      if (!answer.ok) return fail(answer.status, await answer.text());
      mine.data = await answer.blob();
    } catch {
      return clip === mine && fail(0, "");
    }
    if (clip === mine) identify();
  });
  item.append(button);
  return item;
}

async function health() {
  try {
    const answer = await fetch("/v2/health/ready", {cache: "no-store"});
    const said = await answer.json();
    if (answer.ok) {
      show($("health"));
      $("health").className = "";
      return text($("health"), "Ready");
    }
    down(`Not ready: ${said.reason || "the server is starting"}`);
  } catch {
    down("The server cannot be reached");
  }
  setTimeout(health, 3000);
}

function down(why) {
  show($("health"));
  $("health").className = "down";
  text($("health"), why);
}
