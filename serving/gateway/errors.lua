-- Rewrites TorchServe's own errors in the format of every other error of this service: {"error": message, "code": code}.
-- The handler's answers, errors included, pass unchanged: they have no "type" next to a "code".
--
-- serving/gateway/scripts.py puts found.lua before this file, and GRPC_STATUS = {code = "8", …}, gRPC's status of each code.

local NO_MODEL = "no such model, or no such version of it"
local MESSAGES = {
  overloaded = "too many requests are waiting for this model, or none of its workers is running; try again in a moment",
  worker_died = "the worker ended or timed out while it processed this request; try again",
  internal_error = "the model failed on this batch of requests; the server's log says why",
}

-- TorchServe's text about a model or version that it does not have → our words, which name it; nil for any other text
local function unknown(text)
  local name = text:match("^Model not found: ([%w._-]+)%f[%z%%]")  -- over gRPC an escape and Java's exception follow
  local version, of = text:match("^Model version: ([%w._-]+) does not exist for model: ([%w._-]+)%f[%z%%]")
  if name or of then
    return NO_MODEL .. ": " .. (name or of):sub(1, 64) .. (version and ", version " .. version:sub(1, 64) or "")
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

-- TorchServe passes on the last of a header that is sent twice; joined, they are a value that the handler rejects
local OPTIONS = {"inference-header-content-length", "x-top-k", "x-function-to-apply", "x-request-timeout"}

function envoy_on_request(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type") or ""
  if kind:lower():match("^application/grpc") then
    return
  end
  for _, name in ipairs(OPTIONS) do
    if headers:getNumValues(name) > 1 then
      headers:replace(name, headers:get(name))  -- all of them, separated by commas
    end
  end
  if kind:lower():match("^multipart/form%-data") then
    -- TorchServe keeps only the last of two parts with one name and drops truncated ones; the handler does neither
    headers:replace("x-form", kind)
  end
  -- the content decides: TorchServe would decode text, parse JSON, and look for form fields in what curl --data-binary sends
  headers:replace("content-type", "application/octet-stream")
end

-- Why a model, or this version of it, is not ready; nil if it is
local function not_ready(handle, name, version)
  local state = found(handle)
  local model = state and state.models[name or ""]
  local why = outage(state) or model and model.reasons[version or model.default or ""]
  return why ~= "" and why or nil
end

-- TorchServe's text of a failed call, percent-encoded, and its status → our code and words
local function grpc_meaning(handle, text, status)
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
  elseif status == "8" then
    return "request_too_large", "the message is larger than is accepted; send fewer or shorter clips, or compress them"
  elseif status == "12" then
    return "unsupported_coding", "messages must be uncompressed or compressed with gzip"
  elseif status == "4" then
    return "timeout", "no answer within the time that the caller set"
  end
  return "internal_error"
end

-- A failed call carries our error in the message of its status, whichever process failed it
local function word_grpc(handle, headers)
  local status, text = headers:get("grpc-status"), headers:get("grpc-message") or ""
  if status == "0" then
    return
  end
  local code = text:match('"code": ?"([%l_]+)"')
  if code == nil then
    local words
    code, words = grpc_meaning(handle, text, status)
    headers:replace("grpc-message", string.format('{"error": "%s", "code": "%s"}', words or MESSAGES[code], code))
  end
  headers:replace("grpc-status", GRPC_STATUS[code] or status)
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if headers:get("grpc-status") ~= nil then
    return word_grpc(handle, headers)
  end
  local status = headers:get(":status")
  if tonumber(status) < 400 or not (headers:get("content-type") or ""):match("json") then
    return
  end
  local body = handle:body()
  if body == nil or body:length() > 65536 then
    return
  end
  local text = body:getBytes(0, body:length())
  local kind, message = text:match('^%s*{%s*"code":%s*%d+,%s*"type":%s*"(%w+)",%s*"message":%s*"(.*)"%s*}%s*$')
  if kind == nil then
    return
  end
  local code, better, words = meaning(kind, status, message)
  words = words or MESSAGES[code]
  local error = string.format('{"error": "%s", "code": "%s"}', words, code)
  local length = handle:body():setBytes(error)
  headers = handle:headers()  -- again: one taken before body(), which waits, is no longer valid
  headers:replace("content-length", tostring(length))
  headers:replace(":status", better)
  if better == "429" then
    headers:replace("retry-after", "1")
  end
end
