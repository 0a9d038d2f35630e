-- Asks the model server, and rewrites its own errors in the format of every other error of this service:
-- {"error": message, "code": code}. What the model answers, errors included, passes unchanged.
--
-- serving/gateway/scripts.py puts before it words.lua; GRPC_STATUS = {code = "8", …}, gRPC's status of each code; found.lua; and
-- the server's own part, serving/torchserve/gateway.lua for example, which has:
--   server.ask(handle)                         a request with a clip, before it is sent on
--   server.call(handle)                        the same of a call over gRPC; may be missing
--   server.restore(handle)                     true if it has made the model's answer of the server's; may be missing
--   server.meaning(handle, text, status)       an error's body → our code, our status, and for this case only a message and
--                                              which clip; nil if the error is the model's
--   server.grpc_meaning(handle, text, status)  a failed call's message → our code, and for this case only a message and
--                                              which clip; nil if it says nothing of its own

-- Model servers pass on the last of a header that is sent twice; joined, they are a value that the handler rejects
local OPTIONS = {
  "inference-header-content-length", "x-top-k", "x-function-to-apply", "x-heads", "x-output", "x-fpir", "x-min-score",
  "x-request-timeout", "x-windows"}

function envoy_on_request(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type") or ""
  if kind:match("^application/grpc") then
    return server.call and server.call(handle)
  end
  for _, name in ipairs(OPTIONS) do
    if headers:getNumValues(name) > 1 then
      headers:replace(name, headers:get(name))  -- all of them, separated by commas
    end
  end
  if headers:get("x-split") then
    return  -- the splitter gets what the caller sent
  end
  if kind:lower():match("^multipart/form%-data") then
    -- the content decides what a body is; TorchServe's parser keeps the last of two parts with one name, and drops truncated
    -- ones
    headers:replace("x-form", kind)
  end
  server.ask(handle)
end

-- Our error's body
local function worded(code, words, clip)
  local where = clip and string.format(', "instance": %d', clip) or ""
  return string.format('{"error": "%s", "code": "%s"%s}', words or MESSAGES[code], code, where)
end

-- Where the server has no words of its own
local function grpc_meaning(status)
  if status == "8" then
    return "request_too_large", "the message is larger than is accepted; send fewer or shorter clips, or compress them"
  elseif status == "12" then
    return "unsupported_coding", "messages must be uncompressed or compressed with gzip"
  elseif status == "4" then
    return "timeout", "no answer within the time that the caller set"
  end
  return "internal_error"
end

-- A failed call carries our error in the message of its status, whichever process failed it
local function word_grpc(handle)
  local headers = handle:headers()
  local status, text = headers:get("grpc-status"), headers:get("grpc-message") or ""
  if status == "0" then
    return
  end
  local code = text:match('"code": ?"([%l_]+)"')
  if code == nil then
    local words, clip
    code, words, clip = server.grpc_meaning(handle, text, status)
    if code == nil then
      code, words = grpc_meaning(status)
    end
    headers:replace("grpc-message", worded(code, words, clip))
  end
  headers:replace("grpc-status", GRPC_STATUS[code] or status)
end

-- The status that a call has where a code has none: what Triton makes of an error's
local function grpc_status(code)
  local status = tonumber(STATUS[code] or "500")
  return status < 500 and "3" or code == "out_of_memory" and "13" or "14"
end

-- The error that a call is answered with, of which translate.lua has made a request: the reverse bridge would drop it
local function word_translated(handle, text)
  local headers = handle:headers()
  headers:remove("x-error")
  local code, _, words, clip = server.meaning(handle, text, text:match('"code":%s*(%d+)') or "500")
  local said = code and worded(code, words, clip) or text
  code = code or text:match('"code": ?"([%l_]+)"') or "internal_error"
  local trailers = handle:trailers() or handle:headers()
  trailers:replace("grpc-status", GRPC_STATUS[code] or grpc_status(code))
  trailers:replace("grpc-message", (said:gsub("%%", "%%25")))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if handle:streamInfo():dynamicMetadata():get("split") then
    return  -- the splitter's answer, which has passed here on its way from the model server
  elseif headers:get("grpc-status") ~= nil then
    return word_grpc(handle)
  elseif headers:get("x-error") then
    return word_translated(handle, headers:get("x-error"))
  elseif server.restore and server.restore(handle) then
    return
  end
  local status, kind = headers:get(":status"), headers:get("content-type") or ""
  if tonumber(status) < 400 or not (kind:match("json") or kind:match("^text/plain")) then
    return
  end
  local body = handle:body()
  if body == nil or body:length() > 65536 then
    return
  end
  local code, better, words, clip = server.meaning(handle, body:getBytes(0, body:length()), status)
  if code == nil then
    return
  end
  local length = handle:body():setBytes(worded(code, words, clip))
  headers = handle:headers()  -- again: one taken before body(), which waits, is no longer valid
  headers:replace("content-length", tostring(length))
  headers:replace("content-type", "application/json")
  headers:replace(":status", better)
  if better == "429" then
    headers:replace("retry-after", "1")
  end
end
