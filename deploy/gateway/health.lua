-- Health, readiness and metadata of the Open Inference Protocol (and KServe v1's), told from TorchServe's management
-- API: its own /ping says "Healthy" while a model is loading and after its workers have died.
--
-- bundle/gateway.py puts one line before this file: HEADS = {["NAME"] = {"action", …}, …}, models of several heads.

local MANAGEMENT, INFERENCE = "torchserve_management", "torchserve"
local OWN_WORDS = "x-answered-in-lua"  -- tells envoy.yaml that the body is worded already
local PATIENCE = 3000  -- ms for TorchServe to answer

local function get(handle, cluster, path)
  local request = {[":method"] = "GET", [":path"] = path, [":authority"] = "localhost"}
  local headers, body = handle:httpCall(cluster, request, nil, PATIENCE)
  return tonumber(headers[":status"]), body or ""
end

local function answer(handle, status, body)
  handle:headers():replace(OWN_WORDS, "yes")
  handle:respond({[":status"] = tostring(status), ["content-type"] = "application/json"}, body)
end

local function error_body(code, message)
  return string.format('{"error": "%s", "code": "%s"}', message, code)
end

-- Ready and all workers of a description; a worker is READY once the model is loaded and warm
local function workers(description)
  local _, all = description:gsub('"status": "', "")
  local _, ready = description:gsub('"status": "READY"', "")
  return ready, all
end

-- The status to answer with, and why a model is not ready in words
local function readiness(handle, name, version)
  local status, description = get(handle, MANAGEMENT, "/models/" .. name .. (version and "/" .. version or ""))
  if status == 404 then
    return 404, "no such model, or no such version of it: " .. name
  elseif status ~= 200 then
    return 503, "the model server does not answer"
  end
  local ready, all = workers(description)
  if all == 0 or ready < all then
    return 503, string.format("%s: %d of %d workers ready", name, ready, math.max(all, 1))
  end
  return 200
end

local function model_ready(handle, name, version)
  local body = '{"name": "%s", "ready": %s%s}'
  local status, reason = readiness(handle, name, version)
  if status == 404 then
    answer(handle, 404, error_body("model_not_found", reason))
  elseif status == 503 then
    answer(handle, 503, string.format(body, name, "false", ', "reason": "' .. reason .. '"'))
  else
    answer(handle, 200, string.format(body, name, "true", ""))
  end
end

local function server_ready(handle)
  local status, list = get(handle, MANAGEMENT, "/models?limit=1000")
  local reason = status ~= 200 and "the model server does not answer" or "no model is loaded"
  for name in list:gmatch('"modelName": "([^"]+)"') do
    status, reason = readiness(handle, name)
    if status ~= 200 then
      break
    end
  end
  if reason then
    answer(handle, 503, '{"ready": false, "reason": "' .. reason .. '"}')
  else
    answer(handle, 200, '{"ready": true}')
  end
end

local function metadata(handle, name)
  local status, description = get(handle, MANAGEMENT, "/models/" .. name .. "/all")
  if status ~= 200 then
    answer(handle, 404, error_body("model_not_found", "no such model: " .. name))
    return
  end
  local versions, outputs = {}, {}
  for version in description:gmatch('"modelVersion": "([^"]+)"') do
    versions[#versions + 1] = '"' .. version .. '"'
  end
  for _, head in ipairs(HEADS[name] or {""}) do
    local prefix = head == "" and "" or head .. "."
    outputs[#outputs + 1] = '{"name": "' .. prefix .. 'label", "datatype": "BYTES", "shape": [-1, -1]}'
    outputs[#outputs + 1] = '{"name": "' .. prefix .. 'score", "datatype": "FP32", "shape": [-1, -1]}'
  end
  answer(handle, 200, string.format(
    '{"name": "%s", "versions": [%s], "platform": "pytorch_torchserve", ' ..
    '"inputs": [{"name": "audio", "datatype": "BYTES", "shape": [-1]}], "outputs": [%s]}',
    name, table.concat(versions, ", "), table.concat(outputs, ", ")))
end

function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove(OWN_WORDS)
  local method, path = headers:get(":method"), (headers:get(":path") or ""):gsub("%?.*", "")
  if method ~= "GET" then
    return
  end
  local v2 = path:match("^/v2(.*)$")
  if v2 == "/health/live" then
    local status = get(handle, INFERENCE, "/ping")
    answer(handle, status == 200 and 200 or 503, '{"live": ' .. tostring(status == 200) .. '}')
  elseif v2 == "/health/ready" then
    server_ready(handle)
  elseif v2 == "" or v2 == "/" then
    answer(handle, 200, '{"name": "speaker-id-bundle", "version": "TorchServe 0.12.0", "extensions": []}')
  elseif v2 then
    local name, rest = v2:match("^/models/([%w._-]+)(.*)$")
    local version = rest and rest:match("^/versions/([%d.]+)")
    rest = rest and rest:gsub("^/versions/[%d.]+", "")
    if rest == "/ready" then
      model_ready(handle, name, version)
    elseif rest == "" then
      metadata(handle, name)
    end
  else
    local name = path:match("^/v1/models/([%w._-]+)$")
    if name then
      model_ready(handle, name)
    end
  end
end
