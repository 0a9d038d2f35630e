-- Makes a request over HTTP of a call of Open Inference over gRPC, for a model server that has no such service: the handler
-- reads the message, as it reads any body, and answers with one. The reverse bridge, after this filter, takes the frame off
-- and puts it around the answer. It stands after the buffer, so that the message is whole, and reads of it only whom it is for.
--
-- serving/gateway/scripts.py puts words.lua and message.lua before it.

local MOST_FIELDS = 1000  -- that are read, to find model and version: writers put them first
local LONGEST_NAME = 256
local LONGEST_ERROR = 8192  -- bytes
local MESSAGE = "application/x-protobuf"

-- The model and the version that a ModelInferRequest names, its fields 1 and 2; nil if it is none, or names no model
local function target(message, length)
  local named = {}
  local whole = each_field(message, 0, length, MOST_FIELDS, function(number, content, size)
    if number == 1 or number == 2 then
      named[number] = size <= LONGEST_NAME and message(content, size) or "?"
    end
    return named[1] and named[2]
  end)
  if whole == false then
    return nil
  end
  return named[1], named[2] ~= "" and named[2] or nil
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get(":path") ~= INFER then
    return
  end
  local message, length = infer_message(handle)
  if message == nil then
    return
  end
  headers = handle:headers()  -- one taken before the message, for which it waits, is no longer valid
  local name, version = target(message, length)
  if name == nil then
    return fail(handle, 400, "malformed_request", BROKEN .. " that names a model")
  elseif not name:match("^[%w._-]+$") or version and not version:match("^[%w._-]+$") then
    return fail(handle, 404, "model_not_found", NO_MODEL)
  end
  handle:streamInfo():dynamicMetadata():set("translated", "model", name)
  headers:remove("content-encoding")  -- the message is not
  headers:replace("x-form", "application/grpc")
  headers:replace("x-envoy-original-path", INFER)  -- for the access log
  headers:replace(":path", "/predictions/" .. name .. (version and "/" .. version or ""))
  handle:clearRouteCache()
end

-- An answer passes here twice, and counts before the bridge has it, which knows only messages. Errors are JSON, of which it
-- would leave nothing but the status: errors.lua gets them in a header, and the call an empty message. What Envoy
-- answers itself is a status of gRPC's already, which the bridge would replace.
function envoy_on_response(handle)
  local known = handle:streamInfo():dynamicMetadata()
  local asked = known:get("translated")
  if asked == nil or asked.answered then
    return
  end
  known:set("translated", "answered", true)
  local headers = handle:headers()
  if headers:get("content-type") == MESSAGE then
    return
  end
  headers:replace("content-type", MESSAGE)
  if headers:get("grpc-status") then
    headers:replace("x-error", headers:get("grpc-message") or "")
    headers:remove("grpc-status")
    headers:remove("grpc-message")
    return
  end
  local body = handle:body()
  local text = body and body:getBytes(0, math.min(body:length(), LONGEST_ERROR)):gsub("%s+", " ") or ""
  if body then
    body:setBytes("")
  end
  headers = handle:headers()
  headers:replace("x-error", text)
  headers:replace(":status", "200")
  headers:remove("content-length")
end
