// Listening to the clip, and its waveform.

function unload() {
  $("audio").pause();
  $("audio").removeAttribute("src");
  if (address) URL.revokeObjectURL(address);
  address = "";
  peaks = [];
  length = 0;
  for (const id of ["play", "seek"]) $(id).disabled = true;
  show($("player"));
  $("seek").value = 0;
  text($("time"), "");
  show($("unplayable"), false);
  draw();
}

async function player() {
  const mine = clip;
  if (address) return; // a second attempt
  address = URL.createObjectURL(mine.data);
  try {
    if (mine.data.size > LARGEST_PLAYED) throw new Error("too large");
    const sound = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(await mine.data.arrayBuffer());
    if (clip !== mine) return;
    length = sound.duration;
    peaks = peaksOf(sound.getChannelData(0));
    $("audio").src = address;
    $("seek").max = length;
    for (const id of ["play", "seek"]) $(id).disabled = false;
    tick();
  } catch {
    if (clip !== mine) return;
    show($("player"), false);
    show($("unplayable"), $("error").hidden);
  }
  draw();
}

function peaksOf(samples) {
  const found = new Array(WAVE_BARS).fill(0);
  const step = samples.length / WAVE_BARS;
  for (let i = 0; i < samples.length; i++) {
    const bar = Math.min(WAVE_BARS - 1, Math.floor(i / step));
    const level = Math.abs(samples[i]);
    if (level > found[bar]) found[bar] = level;
  }
  const top = Math.max(...found) || 1;
  return found.map((level) => level / top);
}

function canvas(node) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [node.clientWidth, node.clientHeight];
  node.width = width * ratio;
  node.height = height * ratio;
  const pen = node.getContext("2d");
  pen.scale(ratio, ratio);
  return [pen, width, height];
}

function bars(node, levels, hue) {
  const [pen, width, height] = canvas(node);
  const step = width / levels.length;
  levels.forEach((level, i) => {
    const tall = Math.max(2, level * height);
    pen.fillStyle = hue(i / levels.length);
    pen.beginPath();
    pen.roundRect(i * step, (height - tall) / 2, Math.max(1, step * 0.6), tall, 2);
    pen.fill();
  });
}

function draw() {
  const [played, rest] = [color("--accent"), color("--bar")];
  const share = length ? $("audio").currentTime / length : 0;
  const count = Math.max(1, Math.min(WAVE_BARS, Math.floor($("wave").clientWidth / 4)));
  const levels = Array.from({length: count}, (_, i) => { // as many bars as there is room for
    const [from, to] = [i, i + 1].map((each) => Math.floor((each * peaks.length) / count));
    return Math.max(0, ...peaks.slice(from, Math.max(to, from + 1)));
  });
  bars($("wave"), levels, (at) => (at < share ? played : rest));
}

function tick() {
  const at = $("audio").currentTime;
  $("seek").value = at;
  const said = [clock(at), clock(length, Math.round)];
  $("seek").setAttribute("aria-valuetext", said.join(" of "));
  text($("time"), said.join(" / "));
  draw();
  if (!$("audio").paused) requestAnimationFrame(tick);
}

function button(playing) {
  $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  $("play").querySelector("path").setAttribute("d", playing ? "M7 5.5h3.5v13h-3.5zM13.5 5.5h3.5v13h-3.5z" : "M8 5.5v13l10.5-6.5z");
}

$("play").addEventListener("click", () => ($("audio").paused ? $("audio").play() : $("audio").pause()));
$("seek").addEventListener("input", () => { $("audio").currentTime = $("seek").value; tick(); });
$("audio").addEventListener("play", () => { button(true); tick(); });
for (const event of ["pause", "ended"]) $("audio").addEventListener(event, () => { button(false); draw(); });
new ResizeObserver(draw).observe($("wave"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
