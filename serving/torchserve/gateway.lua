-- What errors.lua, after this file, has to know of TorchServe: how it is asked, and how it words its own errors.

local server = {}

-- TorchServe would decode text, parse JSON, and look for form fields in what curl --data-binary sends
function server.ask(handle)
  handle:headers():replace("content-type", "application/octet-stream")
end

-- TorchServe's text about a model or version that it does not have → our words, which name it; nil for any other text
local function unknown(text)
  local name = text:match("^Model not found: ([%w._-]+)%f[%z%%]")  -- over gRPC an escape and Java's exception follow
  local version, of = text:match("^Model version: ([%w._-]+) does not exist for model: ([%w._-]+)%f[%z%%]")
  if name or of then
    return no_model(name or of, version)
  end
  return (text:match("^Model not found") or text:match("^Model version: .* does not exist")) and NO_MODEL or nil
end

-- TorchServe's exception and status → our code, our status where its own is misleading, and a message for this case only
local function meaning(kind, status, message)
  if kind == "ModelNotFoundException" or kind == "ModelVersionNotFoundException" then
    return "model_not_found", "404", unknown(message) or NO_MODEL
  elseif kind == "ResourceNotFoundException" then
    return "not_found", "404", "nothing is served at this path; send clips to /predictions/NAME"
  elseif kind == "ServiceUnavailableException" then
    return "overloaded", "429"  -- its queue is full; 503 would mean that the server is unavailable
  elseif message == "Worker died." then
    return "worker_died", "507"  -- 500 from TorchServe unless the worker was killed
  elseif status == "413" then
    return "request_too_large", "413", "the body is larger than is accepted; send fewer or shorter clips, or compress them"
  elseif tonumber(status) >= 500 then
    return "internal_error", "500"  -- TorchServe answers 503 to a bug, which tells callers to try again
  end
  return "malformed_request", status, "the model server does not accept such a request"
end

-- An error that TorchServe words itself; the handler's have no "type" next to a "code"
function server.meaning(_, text, status)
  local kind, message = text:match('^%s*{%s*"code":%s*%d+,%s*"type":%s*"(%w+)",%s*"message":%s*"(.*)"%s*}%s*$')
  if kind then
    return meaning(kind, status, message)
  end
end

-- Why a model, or this version of it, is not ready; nil if it is
local function not_ready(handle, name, version)
  local state = found(handle)
  local model = state and state.models[name or ""]
  local why = outage(state) or model and model.reasons[version or model.default or ""]
  return why ~= "" and why or nil
end

-- The text of a failed call, percent-encoded, and its status → our code and words
function server.grpc_meaning(handle, text, status)
  local missing = unknown(text)
  if missing then
    return "model_not_found", missing
  elseif text:match("^Parameter model_name is required") then
    return "malformed_request", "the request names no model"
  elseif text:match("^Too many requests") or text:match("^Half%-closed") then
    return "malformed_request", "a call must send exactly one message"
  elseif text == "" and status == "2" then  -- Java gives no reason here
    return "malformed_request", "the message is not a PredictionsRequest, or its decompressed size is larger than is accepted"
  elseif text:match("has no worker to serve") then  -- said of a queue that is full, too
    local why = not_ready(handle, text:match('^Model "([%w._-]+)"'), text:match(' Version ([%w._-]+) has no'))
    return why and "unavailable" or "overloaded", why
  elseif text:match("^Worker died") then
    return "worker_died"
  end
end
