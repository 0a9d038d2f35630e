-- What is said in more than one script, and how a script answers by itself. serving/gateway/scripts.py puts this file before
-- each of them.

NO_MODEL = "no such model, or no such version of it"
-- For errors that the model server words itself, by our code
MESSAGES = {
  overloaded = "too many requests are waiting for this model, or none of its workers is running; try again in a moment",
  worker_died = "the worker ended or timed out while it processed this request; try again",
  internal_error = "the model failed on this batch of requests; the server's log says why",
}

-- The same of one model, and of a version of it where that was asked for
function no_model(name, version)
  return NO_MODEL .. ": " .. name:sub(1, 64) .. (version and ", version " .. version:sub(1, 64) or "")
end

-- Whether a request asks for windows of a recording, elsewhere than in its body
function asks_for_recording(headers)
  return headers:get("x-windows") or ("&" .. (headers:get("x-query") or "")):find("&windows=", 1, true)
end

-- Answer in place of the server; `more` are headers beside the content type
function answer(handle, status, body, more)
  local headers = more or {}
  headers[":status"], headers["content-type"] = tostring(status), "application/json"
  handle:headers():replace("x-answered-in-lua", "yes")  -- tells envoy.yaml.j2 to keep this body
  handle:respond(headers, body)
end

function fail(handle, status, code, message, more)
  answer(handle, status, string.format('{"error": "%s", "code": "%s"}', message, code), more)
end
