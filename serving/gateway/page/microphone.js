// Recording a voice.

function microphone() {
  const secure = isSecureContext && navigator.mediaDevices && window.MediaRecorder;
  $("record").disabled = !secure;
  if (!secure) {
    $("record").setAttribute("aria-describedby", "microphone");
    text($("microphone"), isSecureContext ? "This browser cannot record."
      : `Recording needs HTTPS, or localhost: browsers keep the microphone from ${location.origin}.`);
  }
}

$("record").addEventListener("click", async () => {
  $("record").disabled = true;
  text($("microphone"), "Allow the microphone when the browser asks.");
  let stream;
  try {
    // as it is: what makes calls sound better changes voices
    stream = await navigator.mediaDevices.getUserMedia({audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
  } catch (error) {
    const why = {NotAllowedError: "The browser was not allowed to use the microphone.", NotFoundError: "No microphone was found."};
    text($("microphone"), why[error.name] || "The microphone cannot be used.");
    $("record").disabled = false;
    return $("record").focus();
  }
  text($("microphone"), "");
  record(stream);
});

function record(stream) {
  const type = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"].find((each) => MediaRecorder.isTypeSupported(each));
  const recorder = new MediaRecorder(stream, type ? {mimeType: type} : {});
  const pieces = [];
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  recording = {recorder, kept: false, began: performance.now(), levels: [], loudest: 0, samples: new Float32Array(analyser.fftSize), analyser};
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.addEventListener("stop", () => {
    const {kept} = recording;
    recording = null;
    for (const track of stream.getTracks()) track.stop();
    context.close();
    show($("recorder"), false);
    show($("drop"));
    $("record").disabled = false;
    $("record").focus();
    if (!kept) return text($("microphone"), "Discarded.");
    const data = new Blob(pieces, {type: recorder.mimeType});
    const suffix = /(webm|ogg|mp4)/.exec(recorder.mimeType)?.[1] || "bin";
    start({name: `recording.${suffix}`, data, recorded: true});
    identify();
  });
  recorder.start();
  show($("drop"), false);
  show($("recorder"));
  text($("quiet"), "");
  $("stop").focus();
  listen();
}

function listen() {
  if (!recording) return;
  const seconds = (performance.now() - recording.began) / 1000;
  recording.analyser.getFloatTimeDomainData(recording.samples);
  const peak = recording.samples.reduce((top, each) => Math.max(top, Math.abs(each)), 0);
  const level = Math.min(1, Math.max(0, 1 + Math.log10(peak || 1e-9) / 2.5)); // -50 dBFS to 0
  recording.loudest = Math.max(recording.loudest, level);
  recording.levels.push(level);
  const said = `${clock(seconds)} of at most ${clock(model.max_clip_seconds)}`;
  if ($("seconds").textContent !== said) { // once a second
    text($("seconds"), said);
    $("level").setAttribute("aria-valuenow", Math.round(100 * level));
    const quiet = seconds > 2 && recording.loudest === 0 ? "No sound so far: is it the right microphone?" : "";
    if ($("quiet").textContent !== quiet) text($("quiet"), quiet);
  }
  const node = $("level").firstElementChild;
  const count = Math.max(1, Math.floor(node.clientWidth / 5));
  const shown = still() ? new Array(count).fill(level) : [...new Array(count).fill(0), ...recording.levels].slice(-count);
  recording.levels = recording.levels.slice(-count);
  bars(node, shown, () => color("--accent"));
  if (seconds >= model.max_clip_seconds - 0.25) return stop(true);
  requestAnimationFrame(listen);
}

function stop(kept) {
  if (!recording || recording.recorder.state !== "recording") return;
  recording.kept = kept;
  recording.recorder.stop();
}

$("stop").addEventListener("click", () => stop(true));
$("discard").addEventListener("click", () => stop(false));

microphone();
