-- Answers gRPC calls that are not inference: grpc.health.v1, from what found.lua, before this file, reads, and UNIMPLEMENTED,
-- which says where to turn, to what is not served. An error is an HTTP error here; Envoy makes a gRPC status of it, and
-- errors.lua the right one.
--
-- serving/gateway/scripts.py puts before it: SERVICE, of inference, with its package; METHODS = {Ping = true, …}, those of its
-- methods that are served, true for those that ask whether all is ready; TRANSLATED = {ModelInfer = true, …}, those of Open Inference that
-- translate.lua makes requests over HTTP of; and INSTEAD = {["package.Service"] = "…"}, what is
-- said to callers of another model server's service.

local HEALTH = "/grpc.health.v1.Health/"

INSTEAD["grpc.reflection.v1.ServerReflection"] = "reflection is not served: use the published .proto files"
INSTEAD["grpc.reflection.v1alpha.ServerReflection"] = INSTEAD["grpc.reflection.v1.ServerReflection"]
INSTEAD["grpc.health.v1.Health"] = "of grpc.health.v1, only Check is served: call it again instead of Watch"

-- What is served, as a sentence has it
local function served()
  local names = {}
  for name in pairs(METHODS) do
    names[#names + 1] = name
  end
  table.sort(names)
  local last = table.remove(names)
  local all = table.concat(names, ", ") .. " and " .. last .. " of " .. SERVICE:match("[^.]+$")
  return "over gRPC, only " .. all .. " and grpc.health.v1 are served"
end

-- The service that a HealthCheckRequest names, its only field, a string; nil if the bytes are something else
local function service(message)
  if message == "" then
    return ""
  end
  local length, factor, at = 0, 1, 1
  repeat
    at = at + 1
    local byte = message:byte(at)
    if byte == nil or at > 5 then
      return nil
    end
    length, factor = length + byte % 128 * factor, factor * 128
  until byte < 128
  return message:byte(1) == 10 and #message == at + length and message:sub(at + 1) or nil
end

-- The one uncompressed message of a call's body, or nil: a flag and four bytes of length stand before it
local function unframed(bytes)
  local flag, first, second, third, fourth = bytes:byte(1, 5)
  if fourth == nil or flag ~= 0 then
    return nil
  end
  return #bytes == 5 + ((first * 256 + second) * 256 + third) * 256 + fourth and bytes:sub(6) or nil
end

local function check(handle)
  local body = handle:body()
  local named = service(body and unframed(body:getBytes(0, body:length())) or "\0")
  local headers = handle:headers()  -- one taken before body(), which waits, is no longer valid
  local state = found(handle)
  local why
  if named == nil then
    return fail(handle, 400, "malformed_request", "the message is not one uncompressed HealthCheckRequest")
  elseif named == "" or named == SERVICE then
    why = unready(state)
  elseif headers:get("x-anonymous") then
    -- tokens.lua lets every Check pass, as probes cannot send tokens; which models there are is not for everybody
    return fail(handle, 401, "unauthorized", "this server requires Authorization: Bearer and a token for the health of a model")
  else
    local model = state and state.models[named]
    why = outage(state) or model and model.reasons[model.default or ""]
    if why == nil then
      return fail(handle, 404, "model_not_found", no_model((named:gsub("[^%w._-]", "?"))))
    end
  end
  -- routes it to grpc_health of envoy.yaml.j2, which has the messages
  headers:replace("x-serving", (why == nil or why == "") and "yes" or "no")
  handle:clearRouteCache()
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, kind = headers:get(":path"), headers:get("content-type") or ""
  if path == nil or not kind:match("^application/grpc") then  -- requests.lua leaves it to calls alone
    return
  end
  if path == HEALTH .. "Check" then
    return check(handle)
  end
  local service_asked, method = path:match("^/([%w._]+)/([^/]*)$")
  if service_asked == "inference.GRPCInferenceService" and TRANSLATED[method] then
    return
  end
  local asks_ready = service_asked == SERVICE and METHODS[method]
  if asks_ready then
    local reason = unready(found(handle))
    if reason then
      fail(handle, 503, "unavailable", reason)
    end
  elseif asks_ready == nil or service_asked ~= SERVICE then
    fail(handle, 404, "not_found", INSTEAD[path:match("^/([%w._]+)/") or ""] or served())
  end
end
