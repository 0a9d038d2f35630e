-- What serving/readiness/watch.py last found: whether the server and its models are ready. serving/gateway/scripts.py puts it
-- before health.lua, grpc.lua, split.lua, errors.lua and again.lua, with FOUND = "/path" of what the watch writes. Its first line
-- has two times in milliseconds since the epoch: of the last look, and of the model server's last answer, 0 until it has
-- answered once, as it is starting; and after them what is refused although the server is ready, if anything. Then one line
-- a version: NAME VERSION default|other ready, or its reason in place of the last word.

local STALE = 4000  -- ms since the last look; the watch looks twice a second

-- What was found: models by name, in order, and for how many ms the server has been silent; nil if the watch has ended
local function found(handle)
  local file = io.open(FOUND)
  if file == nil then
    return nil
  end
  local now = handle:timestamp(EnvoyTimestampResolution.MILLISECOND)  -- os.time() has a resolution of one second
  local looked, answered, degraded = (file:read("*l") or ""):match("^(%d+) (%d+) ?(.*)$")
  local starting = answered == "0"
  local state = {
    names = {}, models = {}, starting = starting, silent = looked and (starting and 0 or now - tonumber(answered)),
    degraded = degraded ~= "" and degraded or nil,
  }
  for line in file:lines() do
    local name, version, role, reason = line:match("^(%S+) (%S+) (%S+) (.+)$")
    local model = state.models[name]
    if model == nil then
      model = {versions = {}, reasons = {}}
      state.models[name] = model
      state.names[#state.names + 1] = name
    end
    model.versions[#model.versions + 1] = version
    model.reasons[version] = reason ~= "ready" and reason or ""
    model.default = role == "default" and version or model.default
  end
  file:close()
  if looked == nil or now - tonumber(looked) > STALE then
    return nil
  end
  return state
end

-- Why no request at all can be answered now, or nil
local function outage(state)
  if state == nil then
    return "the model server is no longer being watched"
  elseif state.starting then
    return "the model server is starting"
  elseif #state.names == 0 then
    return state.silent > 1000 and "the model server does not answer" or "no model is loaded"
  end
end

-- Why the server is not ready, or nil: the default version of every model must be ready
local function unready(state)
  local reason = outage(state)
  for _, name in ipairs(reason and {} or state.names) do
    local model = state.models[name]
    local why = model.reasons[model.default or ""] or name .. ": none of its versions is the default"
    if why ~= "" then
      return why
    end
  end
  return reason
end

