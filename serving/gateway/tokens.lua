-- Bearer tokens; used only if a file of them was given. serving/gateway/scripts.py puts before this file words.lua and
-- STATIC = {["/path"] = true, …}, true for files that need none; TOKENS = "/path", one token a line, "#" begins a comment;
-- and SHORTEST and LONGEST, the bytes of a token.
--
-- The file is read at every request, so that tokens are rotated by replacing it. Without the file, or if it is empty, every
-- request is rejected.

local bit = require("bit")
-- probes cannot send tokens
local OPEN = {["/"] = true, ["/v1"] = true, ["/ping"] = true, ["/v2/health/live"] = true, ["/v2/health/ready"] = true}

-- Its duration depends on the length of `sent`, not on the token
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
      found = true  -- no early return: the time must not show which token it is
    end
  end
  file:close()
  return found
end

function envoy_on_request(handle)
  local headers = handle:headers()
  -- CONNECT has no path
  local path = headers:get(":path") or ""
  local method = headers:get(":method")
  if (OPEN[path] or STATIC[path]) and (method == "GET" or method == "HEAD") then
    return
  end
  local scheme, sent = (headers:get("authorization") or ""):match("^(%a+) +(%S+)$")
  local read, let_in = pcall(known, sent and #sent <= LONGEST and sent or "")  -- a folder can be opened, but reading it fails
  if scheme and scheme:lower() == "bearer" and read and let_in then
    headers:remove("authorization")  -- it is needed no longer, and must not be logged after this
    return
  end
  if path == "/grpc.health.v1.Health/Check" and (headers:get("content-type") or ""):match("^application/grpc") then
    headers:replace("x-anonymous", "yes")  -- probes ask for the whole server's; grpc.lua refuses a model's
    return
  end
  local said = sent and "the token is not one of this server's" or "this server requires Authorization: Bearer and a token"
  fail(handle, 401, "unauthorized", said, {["www-authenticate"] = "Bearer"})
end
