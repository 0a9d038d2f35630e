// A clip is given, sent, and waited for.

function start(given) {
  sending?.abort();
  clip = given;
  for (const id of ["empty", "error", "found"]) show($(id), false);
  for (const each of $("samples").querySelectorAll("button")) each.setAttribute("aria-pressed", "false");
  show($("clip"));
  text($("clip-name"), clip.speaker ? `Sample: ${clip.name}` : clip.name);
  unload();
  working("Reading the clip");
  $("answer").scrollIntoView({block: "nearest", behavior: still() ? "auto" : "smooth"});
}

function identify() {
  player();
  const {data} = clip;
  if (!data.size) return fail(422, JSON.stringify({error: "It has 0 bytes: choose another file", code: "empty_audio"}));
  if (data.size > about.max_request_bytes) {
    const [has, most] = [data.size, about.max_request_bytes].map((bytes) => bytes.toLocaleString("en"));
    const error = `It has ${has} bytes; at most ${most} are accepted: send a shorter or a compressed one`;
    return fail(413, JSON.stringify({error, code: "request_too_large"}));
  }
  const request = sending = new XMLHttpRequest(); // fetch tells nothing of an upload's progress
  const began = performance.now();
  request.open("POST", `/predictions/${encodeURIComponent(model.name)}`);
  request.setRequestHeader("content-type", "application/octet-stream");
  if (token) request.setRequestHeader("authorization", `Bearer ${token}`);
  const mine = (act) => (event) => { if (sending === request) act(event); };
  request.upload.addEventListener("progress", mine((event) => {
    if (event.loaded < event.total) working(`Uploading ${size(event.loaded)} of ${size(event.total)}`, event.loaded / event.total);
  }));
  request.upload.addEventListener("load", mine(() => working("Waiting for the answer")));
  request.addEventListener("load", mine(() => {
    sending = null;
    if (request.status === 200) answered(request, performance.now() - began);
    else fail(request.status, request.responseText, request.getResponseHeader("x-request-id"));
  }));
  request.addEventListener("error", mine(() => { sending = null; fail(0, ""); }));
  working(data.size > 1e6 ? "Uploading" : "Waiting for the answer");
  request.send(data);
}

function working(what, share) {
  show($("working"));
  text($("working-what"), what);
  if (share === undefined) {
    $("progress").removeAttribute("value");
    text($("status"), what);
  } else $("progress").value = share;
}

$("cancel").addEventListener("click", () => {
  const request = sending;
  sending = clip = null;
  request?.abort();
  show($("working"), false);
  show($("clip"), false);
  show($("empty"));
  text($("status"), "Cancelled");
  $("file").focus();
});

$("file").addEventListener("change", () => { if ($("file").files.length) take($("file").files); });

function take(files) {
  start({name: files[0].name, data: files[0]});
  $("file").value = ""; // the same file may be chosen again
  identify();
}

let inside = 0; // elements of the page that a dragged file is over
const dragged = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
addEventListener("dragenter", (event) => { if (dragged(event)) { inside++; $("drop").classList.add("over"); } });
addEventListener("dragleave", (event) => { if (dragged(event) && --inside <= 0) { inside = 0; $("drop").classList.remove("over"); } });
addEventListener("dragover", (event) => { if (dragged(event)) event.preventDefault(); });
addEventListener("drop", (event) => {
  if (!dragged(event)) return;
  event.preventDefault(); // the browser would leave the page for the file
  inside = 0;
  $("drop").classList.remove("over");
  if (model && !recording && event.dataTransfer.files.length) take(event.dataTransfer.files);
});
