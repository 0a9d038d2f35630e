-- Makes a request over HTTP of a call of Open Inference over gRPC, for a model server that has no such service: the handler
-- reads the message, as it reads any body, and answers with one. The reverse bridge, after this filter, takes the frame off
-- and puts it around the answer. It stands after the buffer, so that the message is whole, and reads of it only whom it is for.
--
-- serving/gateway/scripts.py puts words.lua before it.

local INFER = "/inference.GRPCInferenceService/ModelInfer"
local FRAME = 5  -- bytes before a message: whether it is compressed, and its length
local MOST_FIELDS = 1000  -- that are read, to find model and version: writers put them first
local LONGEST_NAME = 256
local LONGEST_ERROR = 8192  -- bytes
local MESSAGE = "application/x-protobuf"
local BROKEN = "the message is not one whole ModelInferRequest"

-- A number in a message, and where the next byte is; nil if the message ends before
local function varint(message, at)
  local value, factor = 0, 1
  for byte_at = at, at + 9 do
    local byte = message(byte_at, 1):byte()
    if byte == nil then
      return nil
    end
    value, factor = value + byte % 128 * factor, factor * 128
    if byte < 128 then
      return value, byte_at + 1
    end
  end
end

-- The model and the version that a ModelInferRequest names, its fields 1 and 2; nil if it is none, or names no model
local function target(message, length)
  local named, at = {}, 0
  for _ = 1, MOST_FIELDS do
    if at >= length or named[1] and named[2] then
      break
    end
    local key, start = varint(message, at)
    local size, content = varint(message, start or length)
    local number = key and math.floor(key / 8)
    if key == nil or key % 8 ~= 2 or content == nil or content + size > length then
      return nil  -- all of its fields have a length
    end
    if number == 1 or number == 2 then
      named[number] = size <= LONGEST_NAME and message(content, size) or "?"
    end
    at = content + size
  end
  return named[1], named[2] ~= "" and named[2] or nil
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get(":path") ~= INFER then
    return
  end
  local body = handle:body()
  headers = handle:headers()  -- one taken before body(), which waits, is no longer valid
  local size = body and body:length() or 0
  local flag, first, second, third, fourth = (size >= FRAME and body:getBytes(0, FRAME) or ""):byte(1, FRAME)
  if fourth == nil or flag > 1 or size ~= FRAME + ((first * 256 + second) * 256 + third) * 256 + fourth then
    return fail(handle, 400, "malformed_request", BROKEN)
  elseif flag == 1 then
    -- whom it is for could not be read without all of it being decompressed here
    return fail(handle, 415, "unsupported_coding", "a ModelInferRequest must not be compressed here")
  end
  local name, version = target(function(at, count)
    return body:getBytes(FRAME + at, math.max(math.min(count, size - FRAME - at), 0))
  end, size - FRAME)
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
