-- What TorchServe words in its own way, worded as every other error of this service: {"error": message, "code": code}.
-- The handler's answers, errors included, pass unchanged: they hold no "type" beside a "code".

local MESSAGES = {
  overloaded = "too many requests are waiting for this model, or no worker of it is up; try again in a moment",
  worker_died = "the worker ended, or took too long, while it had this request; try again",
  internal_error = "the model failed on this batch of requests; the server's log says why",
}

-- TorchServe's exception and status → our code, our status where its own misleads, and our words for this case alone
local function meaning(kind, status, message)
  if kind == "ModelNotFoundException" or kind == "ModelVersionNotFoundException" then
    return "model_not_found", "404"
  elseif kind == "ResourceNotFoundException" then
    return "not_found", "404"
  elseif kind == "ServiceUnavailableException" then
    return "overloaded", "429"  -- its queue is full; 503 would say that the server is not there
  elseif message == "Worker died." then
    return "worker_died", "507"  -- 500 from TorchServe unless the worker was killed
  elseif status == "413" then
    return "request_too_large", "413"
  elseif tonumber(status) >= 500 then
    return "internal_error", "500"  -- a bug is answered 503 by TorchServe, which asks callers to try again
  end
  return "malformed_request", status
end

-- of a header that is sent twice TorchServe hands on the last: together they are a value that the handler refuses
local OPTIONS = {"x-top-k", "x-function-to-apply", "x-request-timeout"}

function envoy_on_request(handle)
  for _, name in ipairs(OPTIONS) do
    if handle:headers():getNumValues(name) > 1 then
      handle:headers():replace(name, handle:headers():get(name) .. ", " .. handle:headers():getAtIndex(name, 1))
    end
  end
  -- curl's default for --data-binary; TorchServe would look for form fields in the audio and fail with 500
  local form = "application/x-www-form-urlencoded"
  local kind = handle:headers():get("content-type")
  local multipart = "multipart/form-data"
  handle:headers():remove("x-form")
  if kind ~= nil and kind:lower():sub(1, #form) == form then
    handle:headers():replace("content-type", "application/octet-stream")
  elseif kind ~= nil and kind:lower():sub(1, #multipart) == multipart then
    -- TorchServe keeps the last of two parts of one name and drops those that are cut off: the handler does neither
    handle:headers():replace("x-form", kind)
    handle:headers():replace("content-type", "application/octet-stream")
  end
end

function envoy_on_response(handle)
  local status = handle:headers():get(":status")
  if tonumber(status) < 400 or handle:headers():get("grpc-status") ~= nil then
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
  words = words or MESSAGES[code] or message
  local error = string.format('{"error": "%s", "code": "%s"}', words, code)
  local length = handle:body():setBytes(error)
  local headers = handle:headers()  -- anew: one taken before body(), which waits, is no longer valid
  headers:replace("content-length", tostring(length))
  headers:replace(":status", better)
  if better == "429" then
    headers:replace("retry-after", "1")
  end
end
