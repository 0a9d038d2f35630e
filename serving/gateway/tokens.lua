-- Bearer tokens. Only where serving/gateway/envoy.py was given a file of them; it puts one line before this file:
-- TOKENS = "/path", one token a line, "#" begins a comment.
--
-- The file is read at every request, so that replacing it is all that a rotation takes. A file that is gone or empty
-- lets nobody in.

local bit = require("bit")
local SHORTEST, LONGEST = 16, 512
local OPEN = {["/ping"] = true, ["/v2/health/live"] = true, ["/v2/health/ready"] = true}  -- probes have no tokens

-- How long it takes tells how long `sent` is, and nothing about the token
local function equal(sent, token)
  local difference = bit.bxor(#sent, #token)
  for i = 1, #sent do
    difference = bit.bor(difference, bit.bxor(sent:byte(i), token:byte((i - 1) % #token + 1)))
  end
  return difference == 0
end

local function known(sent)
  local file = io.open(TOKENS)
  if file == nil then
    return false
  end
  local found = false
  for line in file:lines() do
    local token = line:match("^%s*([^#%s]%S*)%s*$")
    if token and #token >= SHORTEST and equal(sent, token) then
      found = true  -- and on: which of them it is shall not show in the time
    end
  end
  file:close()
  return found
end

function envoy_on_request(handle)
  local headers = handle:headers()
  -- a script that fails lets the request go on, so nothing here may: CONNECT has no path
  local path = headers:get(":path") or ""
  local method = headers:get(":method")
  if OPEN[path] and (method == "GET" or method == "HEAD") then
    return
  end
  local scheme, sent = (headers:get("authorization") or ""):match("^(%a+) +(%S+)$")
  local read, let_in = pcall(known, sent and #sent <= LONGEST and sent or "")  -- a folder opens, and fails to be read
  if scheme and scheme:lower() == "bearer" and read and let_in then
    headers:remove("authorization")  -- it has served its end, and stands in no log behind this
    return
  end
  headers:replace("x-answered-in-lua", "yes")
  local said = sent and "the token is not one of this server's" or "this server asks for Authorization: Bearer and a token"
  handle:respond(
    {[":status"] = "401", ["content-type"] = "application/json", ["www-authenticate"] = "Bearer"},
    '{"error": "' .. said .. '", "code": "unauthorized"}')
end
