-- Sends a share of a model's requests to another version than the default. serving/gateway/scripts.py puts one line before
-- this file: WEIGHTS = "/path", one line a version: NAME VERSION PERCENT.
--
-- The file is read at every request, so that a roll-out can change the shares under load. Without the file there are none.
-- gRPC calls name model and version in their message, which is not read here.

math.randomseed(os.time() + (tonumber(tostring({}):match("0x(%x+)"), 16) or 0) % 1000003)  -- a different seed for every thread

-- The version that a request gets, or nil for the default
local function chosen(model)
  local file = io.open(WEIGHTS)
  if file == nil then
    return nil
  end
  local version, draw, below = nil, nil, 0
  for line in file:lines() do
    local name, each, percent = line:match("^(%S+) (%S+) (%d+)$")
    if name == model and version == nil then
      draw = draw or math.random() * 100
      below = below + tonumber(percent)
      version = draw < below and each or nil
    end
  end
  file:close()
  return version
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path") or ""  -- CONNECT has no path
  local model = path:match("^/predictions/([%w._-]+)$")
    or path:match("^/v1/models/([%w._-]+):predict$")
    or path:match("^/v2/models/([%w._-]+)/infer$")
  local version = model and chosen(model)
  if version then
    headers:replace(":path", "/predictions/" .. model .. "/" .. version)
    handle:clearRouteCache()
  end
end
