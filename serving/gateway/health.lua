-- Answers everything that is not an inference call: health, readiness and metadata of the Open Inference Protocol and of
-- KServe v1, from what found.lua, before this file, reads, and 404 or 405 to the rest. None of it reaches the model server,
-- and no body is read.
--
-- serving/gateway/scripts.py puts these before it: HEADS = {["NAME"] = {"action", …}, …}, models of several heads, where
-- "" stands for the default one; STATIC = {["/path"] = …}, the files that envoy.yaml.j2 has a route for; TAGS = {["/path"] =
-- "…"}, their ETags; SOFTWARE and PLATFORM, the model server's names for itself.

local GONE = 10000  -- ms since the model server's last answer, after which it is not alive
-- RFC 8631: where a program finds the API's description, and where a person does
local LINK = STATIC["/openapi.json"] and '</openapi.json>; rel="service-desc", </docs>; rel="service-doc"'

local function live(handle, state)
  local alive = state ~= nil and state.silent <= GONE
  answer(handle, alive and 200 or 503, '{"live": ' .. tostring(alive) .. '}')
end

-- KServe v1's liveness; at `/` a browser gets a page (requests.lua)
local function alive(handle, state)
  local well = state ~= nil and state.silent <= GONE
  local body = well and '{"status": "alive"}' or '{"status": "not alive"}'
  answer(handle, well and 200 or 503, body, {vary = "Accept"})
end

-- The models that are loaded, ready or not, as KServe lists them
local function models(handle, state)
  local reason = outage(state)
  if reason then
    return fail(handle, 503, "unavailable", reason)
  end
  answer(handle, 200, '{"models": ["' .. table.concat(state.names, '", "') .. '"]}')
end

-- The end of a ready server's answer: what callers do without although they are answered
local function without(state)
  return (state.degraded and ', "degraded": "' .. state.degraded .. '"' or "") .. "}"
end

local function server_ready(handle, state)
  local reason = unready(state)
  answer(handle, reason and 503 or 200,
    reason and '{"ready": false, "reason": "' .. reason .. '"}' or '{"ready": true' .. without(state))
end

-- In TorchServe's format; TorchServe itself says "Healthy" in every state
local function ping(handle, state)
  local reason = unready(state)
  answer(handle, reason and 503 or 200,
    reason and '{"status": "Unhealthy", "reason": "' .. reason .. '"}' or '{"status": "Healthy"' .. without(state))
end

local function model_ready(handle, state, name, version)
  local reason = outage(state)
  if reason == nil then
    local model = state.models[name]
    reason = model and model.reasons[version or model.default]
    if reason == nil then
      return fail(handle, 404, "model_not_found", no_model(name, version))
    end
  end
  if reason == "" then
    answer(handle, 200, string.format('{"name": "%s", "ready": true}', name))
  else
    answer(handle, 503, string.format('{"name": "%s", "ready": false, "reason": "%s"}', name, reason))
  end
end

local function server_metadata(handle)
  answer(handle, 200, '{"name": "speaker-id-bundle", "version": "' .. SOFTWARE .. '", "extensions": ["binary_tensor_data", "classification", "model_configuration"]}', {link = LINK})
end

-- The model that is asked about, ready or not; nil once the caller has been told that it is not known
local function loaded(handle, state, name, version)
  local reason = outage(state)
  if reason then
    return fail(handle, 503, "unavailable", reason)
  end
  local model = state.models[name]
  if model == nil or version and model.reasons[version] == nil then
    return fail(handle, 404, "model_not_found", no_model(name, version))
  end
  return model
end

local function metadata(handle, state, name, version)
  local model = loaded(handle, state, name, version)
  if model == nil then
    return
  end
  local outputs = {}
  for _, head in ipairs(HEADS[name] or {""}) do
    local prefix = head == "" and "" or head .. "."
    outputs[#outputs + 1] = '{"name": "' .. prefix .. 'label", "datatype": "BYTES", "shape": [-1, -1]}'
    outputs[#outputs + 1] = '{"name": "' .. prefix .. 'score", "datatype": "FP32", "shape": [-1, -1]}'
  end
  outputs[#outputs + 1] = '{"name": "embedding", "datatype": "FP32", "shape": [-1, -1]}'
  answer(handle, 200, string.format(
    '{"name": "%s", "versions": ["%s"], "platform": "%s", ' ..
    '"inputs": [{"name": "audio", "datatype": "BYTES", "shape": [-1, 1]}], "outputs": [%s]}',
    name, table.concat(model.versions, '", "'), PLATFORM, table.concat(outputs, ", ")))
end

-- That of the version which a model is started with is a static file
local function no_configuration(handle, state, name, version)
  if loaded(handle, state, name, version) then
    fail(handle, 404, "not_found", "a configuration is known only of the version that a model is started with")
  end
end

-- Whether a path is of the counts that the exporter knows
local function statistics(path)
  return path == "/v2/models/stats" or path:match("^/v2/models/[%w._-]+/stats$")
    or path:match("^/v2/models/[%w._-]+/versions/[%w._-]+/stats$")
end

-- The function that answers a path, with its model and version; nil for other paths
local function question(path)
  local plain = {
    ["/v2/health/live"] = live, ["/v2/health/ready"] = server_ready, ["/ping"] = ping, ["/v2"] = server_metadata,
    ["/"] = alive, ["/v1"] = alive, ["/v1/models"] = models, ["/v2/models"] = models,
  }
  if plain[path] or statistics(path) then
    return plain[path]
  end
  local v1 = path:match("^/v1/models/([%w._-]+)$")
  if v1 then
    return model_ready, v1
  end
  local name, rest = path:match("^/v2/models/([%w._-]+)(.*)$")
  local version = rest and rest:match("^/versions/([%w._-]+)")
  rest = rest and (version and rest:sub(#"/versions/" + #version + 1) or rest)
  if rest == "/ready" then
    return model_ready, name, version
  elseif rest == "" then
    return metadata, name, version
  elseif rest == "/config" and STATIC[path] == nil then
    return no_configuration, name, version
  end
end

-- The path of an inference call as TorchServe has it, or nil
local function inference(path)
  local v1 = path:match("^/v1/models/[%w._-]+:predict$")
  local name, version = path:match("^/v2/models/([%w._-]+)/versions/([%w._-]+)/infer$")
  if name then
    return "/predictions/" .. name .. "/" .. version
  elseif v1 or path:match("^/v2/models/[%w._-]+/infer$") or path:match("^/predictions/[%w._-]+$") then
    return path
  end
  return path:match("^/predictions/[%w._-]+/[%d.]+$") or path:match("^/predictions/[%w._-]+/[%d.]+/[%w._/-]+$")
end

-- Whether what a caller has of a file is what is served: RFC 9110, If-None-Match
local function current(known, tag)
  return known == "*" or known:find(tag, 1, true)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local method, path = headers:get(":method"), headers:get(":path")
  if path == nil then
    return  -- CONNECT, which envoy.yaml.j2 rejects
  end
  if (headers:get("content-type") or ""):match("^application/grpc") then
    return  -- grpc.lua has answered what it does not let pass
  end
  local on = inference(path)
  if on and (method == "POST" or method == "PUT") then
    if on ~= path then
      headers:replace(":path", on)
      handle:clearRouteCache()
    end
    return
  end
  local respond, name, version = question(path)
  local length = headers:get("content-length")
  if on then
    fail(handle, 405, "method_not_allowed", "send clips here with POST or PUT", {allow = "POST, PUT"})
  elseif respond == nil and STATIC[path] == nil and not statistics(path) then
    fail(handle, 404, "not_found", "nothing is served at this path; send clips to /predictions/NAME")
  elseif method ~= "GET" and method ~= "HEAD" then
    -- clips to / are not seen here: requests.lua has replaced that path
    local clips = path == "/" and ", POST, PUT" or ""
    fail(handle, 405, "method_not_allowed", "use GET or HEAD here", {allow = "GET, HEAD" .. clips})
  elseif length and length ~= "0" then
    fail(handle, 413, "request_too_large", "no body is accepted here: send none")
  elseif TAGS[path] and current(headers:get("if-none-match") or "", TAGS[path]) then
    headers:replace("x-answered-in-lua", "yes")
    handle:respond({[":status"] = "304", ["cache-control"] = "no-cache", etag = TAGS[path]}, "")
  elseif respond then
    respond(handle, found(handle), name, version)
  end
end
