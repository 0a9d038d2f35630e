-- What errors.lua and again.lua, after this file, have to know of Triton: how it is asked (handler/triton_model.py says it), how its answer
-- becomes the model's own, and how it words its own errors.
--
-- serving/gateway/scripts.py puts before it: words.lua, STATUS = {code = "422", …}, the HTTP status of each of the model's
-- errors, and found.lua.

local server = {}
local LENGTH = "inference-header-content-length"

-- Triton's number of a version: it knows whole numbers only
local function number(version)
  return version:match("^(%d+)[.0]*$") or version
end

-- A model's version that the watch has found, the default if none is named, also by Triton's number of it; nil if there is none
local function loaded(handle, name, version)
  local state = found(handle)
  local model = state and state.models[name]
  for _, each in ipairs(model and model.versions or {}) do
    if each == (version or model.default) or number(each) == version then
      return each
    end
  end
end

-- Model and version that a path names, and what follows the version
local function target(path)
  local model = path:match("^/v1/models/([%w._-]+):predict$") or path:match("^/v2/models/([%w._-]+)/infer$")
  if model then
    return model
  end
  local name, rest = path:match("^/predictions/([%w._-]+)(.*)$")
  return name, rest and rest:match("^/([^/]+)"), rest and rest:match("^/[^/]+/(.+)$")
end

local function utf8(byte)
  local number = byte:byte()
  return string.char(0xC0 + math.floor(number / 64), 0x80 + number % 64)
end

-- A message may have parameters that look like headers: those that the gateway sets come after, and so they count.
-- Triton makes JSON of headers as they are: bytes beyond ASCII have to be text in it, Latin-1 as TorchServe reads them
function server.call(handle)
  local headers, changed = handle:headers(), {["x-probe"] = "no"}
  for name, value in pairs(headers) do
    if value:find("[\128-\255]") then
      changed[name] = value:gsub("[\128-\255]", utf8)
    end
  end
  for name, value in pairs(changed) do
    headers:replace(name, value)
  end
end

-- A body of any form is the one input of the model NAME.http, as it stands; so every answer is what it is behind TorchServe.
-- Whoever names a version by Triton's number of it (2 for 2.0) and sends binary tensors gets Triton's own form, with its
-- priorities and its queue's policy; except compressed ones, which Triton would decompress without a limit, and windows of a
-- recording, of which the splitter makes the caller's answer.
function server.ask(handle)
  local headers = handle:headers()
  local model, version, rest = target(headers:get(":path"))
  if model == nil then
    return
  end
  server.call(handle)
  local coding, length = headers:get("content-encoding"), headers:get(LENGTH)
  headers:replace("x-envoy-original-path", headers:get(":path"))  -- for the access log
  headers:replace(":method", "POST")
  local known = version and loaded(handle, model, version)
  if coding == nil and not headers:get("x-windows") and length and length:match("^[1-9]%d*$") and known and known ~= version then
    headers:replace(":path", "/v2/models/" .. model .. "/versions/" .. version .. "/infer")
  else
    handle:streamInfo():dynamicMetadata():set("speaker_id", "whole_body", true)
    headers:replace(":path", "/v2/models/" .. model .. ".http" .. (version and "." .. (known or version) or "") .. "/infer")
    for name, value in pairs({path = rest, ["content-encoding"] = coding, [LENGTH] = length}) do
      headers:replace("x-" .. name, value)
    end
    headers:remove("content-encoding")
    headers:replace(LENGTH, "0")
    headers:replace("content-type", "application/octet-stream")
  end
  handle:clearRouteCache()
end

-- The model's answer, with status and headers, inside Triton's answer
function server.restore(handle)
  local headers = handle:headers()
  local length = headers:get(LENGTH)
  if headers:get(":status") ~= "200" or not length or not handle:streamInfo():dynamicMetadata():get("speaker_id") then
    return false
  end
  local body = handle:body(true)  -- also an empty one
  local start = (tonumber(length) or 0) + 4  -- JSON, and the size of what follows
  local whole = body:length() > start and body:getBytes(start, body:length() - start) or ""
  local last, status = whole:find("\n\n", 1, true), whole:match("^[2-5]%d%d%f[ \n]")
  if last == nil or status == nil then  -- not what triton_model.py writes
    whole, last, status = '\n\n{"error": "' .. MESSAGES.internal_error .. '", "code": "internal_error"}', 1, "500"
  end
  local size = body:setBytes(whole:sub(last + 2))
  headers = handle:headers()  -- again: one taken before body(), which waits, is no longer valid
  headers:remove(LENGTH)
  headers:replace("content-type", "application/json")
  headers:replace(":status", status)
  for name, value in whole:sub(1, last):gmatch("\n([^:\n]+): ([^\n]*)") do
    headers:replace(name:lower(), value)
  end
  if headers:get(LENGTH) then  -- the model's own: it answers with binary tensors
    headers:replace("content-type", "application/octet-stream")
  end
  headers:replace("content-length", tostring(size))
  return true
end

-- Model and version, if one was named, that Triton says it does not have, and whether the version is written as ours are. A
-- caller's name stands in these words: only the whole of them says so.
local function unknown(text)
  local said = text:match("^Request for unknown model: (.*)$") or ""
  local name, version = said:match("^'([%w._-]+)' version (%d+)[%l ]*$")
  if name then
    return name, version
  end
  name, version = said:match("^'([%w._-]-)%.http%.?([%w._-]*)'[%l ]*$")
  if name then
    return name, version ~= "" and version or nil, true
  end
  return said:match("^'([%w._-]+)'[%l ]*$")  -- over gRPC
end

-- Whether the gateway has found what Triton says it does not have
local function away(handle, name, version, ours)
  local known = loaded(handle, name, version)
  return known and (known == version or version == nil or not ours)
end

-- What is said of a model or version that Triton does not have, or not for the moment
local function missing(handle, text)
  local name, version, ours = unknown(text)
  if name == nil then
    return "model_not_found", "404", NO_MODEL
  end
  if away(handle, name, version, ours) then
    return "overloaded", "429"
  end
  return "model_not_found", "404", no_model(name, version)
end

-- Whether an error is one of a worker that has ended
local function ended(text)
  return text:match("Stub process '[^']*' is not healthy") or text:match("Failed to obtain the health mutex")
end

-- The words of an error's body, or of a failed call's message
local function words_of(text)
  return ((text:match('^{"error":%s*"(.*)"}%s*$') or text):gsub("^in ensemble '[^']*', ", ""))
end

-- Whether a request is sent again after this error, which Triton takes for its own fault or not: a worker has ended, or the
-- model is loaded again because of that, or, which the model says to the first attempt alone, there is no memory
function server.again(handle, text, fault)
  local words = words_of(text)
  if fault then
    return ended(words) or words:match("^out_of_memory: ")
  end
  local name, version, ours = unknown(words)
  return name and away(handle, name, version, ours)
end

-- A text of the model's, `code: message` or `code[clip]: message`, or one of Triton's own → code, status, words, clip
local function meaning(handle, text, status)
  text = words_of(text)
  local code, clip, words = text:match("^([%l_]+)%[?(%d*)%]?: (.*)$")
  if STATUS[code] then
    return code, STATUS[code], words, tonumber(clip)
  elseif text:match("^Request for unknown model") or text == "Not Found" then
    return missing(handle, text)
  elseif text:match("Exceeds maximum queue size") then
    return "overloaded", "429"
  elseif text:match("[Rr]equest timeout expired") then
    return "timeout", "504", "the request waited in the queue for longer than its caller allows"
  elseif text == "Unable to parse request" then
    return "malformed_request", "400", "the message is not the one that this method takes"
  elseif text:match("^failed to parse the request JSON buffer: ") or text:match(": attempt to %l") then
    return "malformed_request", "400", text  -- about the caller's JSON, in Triton's own form: it says 500
  elseif ended(text) then
    return "overloaded", "429"  -- so many requests wait for a worker that this one may not
  elseif status then
    return "malformed_request", status, text
  end
  return "internal_error", "500"
end

function server.meaning(handle, text, status)
  local said = text:match('^{"error":%s*"(.*)"}%s*$')
  if said and not said:match('", "code": "[%l_]+$') then  -- else the gateway's own, which has its code
    return meaning(handle, said, tonumber(status) < 500 and status or nil)
  end
end

-- The status of a call: 3 INVALID_ARGUMENT, 5 NOT_FOUND
function server.grpc_meaning(handle, text, status)
  local code, _, words, clip = meaning(handle, text, (status == "3" or status == "5") and "400" or nil)
  return code, words and words:gsub('[\\"]', "\\%0"), clip
end
