-- Bearer tokens, and who sends them; used only if a file of them was given. serving/gateway/scripts.py puts before this file
-- words.lua, hash.lua and STATIC = {["/path"] = true, …}, true for files that need none; TOKENS = "/path", a token and its
-- share a line, "#" begins a comment; SHORTEST and LONGEST, the bytes of a token; MOST_NAMES, that metrics tell apart;
-- RESERVED, true for the names that metrics use themselves; and BURST_SECONDS. serving/gateway/tokens.py checks the same
-- grammar before a server starts.
--
-- The file is read at every request, so that tokens are rotated, and shares changed, by replacing it. Without the file, or if it
-- is empty, every request is rejected.

local bit = require("bit")
-- probes cannot send tokens
local OPEN = {["/"] = true, ["/v1"] = true, ["/ping"] = true, ["/v2/health/live"] = true, ["/v2/health/ready"] = true}
local RATES = {"requests", "audio"}
local KNOWN = {name = true, requests = true, requests_burst = true, audio = true, audio_burst = true}
local UNLIMITED = math.huge

-- Its duration depends on the length of `sent`, not on the token
local function equal(sent, token)
  local difference = bit.bxor(#sent, #token)
  for i = 1, #sent do
    difference = bit.bor(difference, bit.bxor(sent:byte(i), token:byte((i - 1) % #token + 1)))
  end
  return difference == 0
end

local function number(text)
  local whole, part = text:match("^(%d+)%.?(%d*)$")
  if whole and #whole <= 9 and #part <= 6 and (part ~= "") == (text:find(".", 1, true) ~= nil) then
    return tonumber(text) > 0 and tonumber(text) or nil
  end
end

-- What a line says after its token, by name; nil if it is not what tokens.py allows: then the line has no token
local function said(words)
  local found = {}
  for word in words:gmatch("%S+") do
    local name, value = word:match("^([%l_]+)=(%S+)$")
    if not KNOWN[name or ""] or found[name] then
      return nil
    elseif name == "name" then
      found.name = #value <= 64 and not RESERVED[value] and value:match("^[%w_-]+$")
    else
      found[name] = value == "unlimited" and not name:find("_") and UNLIMITED or number(value)
    end
    if not found[name] then
      return nil
    end
  end
  for _, rate in ipairs(RATES) do
    if found[rate .. "_burst"] and not found[rate] then
      return nil
    end
  end
  return (found.requests_burst or 1) >= 1 and found or nil
end

-- A caller's limits: its own, or those of the line of all
local function limits(own, all, key, name)
  local caller = {key = key, name = name}
  for _, rate in ipairs(RATES) do
    local from = own[rate] and own or all
    if from[rate] and from[rate] ~= UNLIMITED then
      caller[rate] = from[rate]
      caller[rate .. "_burst"] = from[rate .. "_burst"] or math.max(from[rate] * BURST_SECONDS, 1)
    end
  end
  return caller
end

-- Callers by their tokens' numbers, a list each
local function parse(text)
  local lines, all = {}, {}
  for line in text:gmatch("[^\n]+") do
    local token, words = line:match("^%s*([^#%s]%S*)(.*)$")
    local own = token and said(words)
    if own and token == "*" then
      all = own.name and all or own
    elseif own and #token >= SHORTEST then
      lines[#lines + 1] = {token = token, own = own}
    end
  end
  local callers, names, count = {}, {}, 0
  for _, line in ipairs(lines) do
    local name, at = line.own.name, hash(line.token)
    if name and not names[name] and count < MOST_NAMES then
      names[name], count = true, count + 1
    end
    local shown = name and (names[name] and name or "other") or "unnamed"
    callers[at] = callers[at] or {}
    -- tokens of one name are one caller's, which changes from one to the other
    table.insert(callers[at], {token = line.token, caller = limits(line.own, all, name and hash("name " .. name) or at, shown)})
  end
  return callers
end

local text, callers = "", {}

-- The caller that a token is of, or nil
local function known(sent)
  local file = io.open(TOKENS)
  if file == nil then
    return nil
  end
  local now = file:read("*a")
  file:close()
  if now ~= text then
    text, callers = now, parse(now)
  end
  local found
  for _, each in ipairs(callers[hash(sent)] or {}) do
    found = equal(sent, each.token) and each.caller or found
  end
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
  local read, caller = pcall(known, sent and #sent <= LONGEST and sent or "")  -- a folder can be opened, but reading it fails
  if scheme and scheme:lower() == "bearer" and read and caller then
    headers:remove("authorization")  -- it is needed no longer, and must not be logged after this
    handle:streamInfo():dynamicMetadata():set("caller", "share", caller)
    return
  end
  if path == "/grpc.health.v1.Health/Check" and (headers:get("content-type") or ""):match("^application/grpc") then
    headers:replace("x-anonymous", "yes")  -- probes ask for the whole server's; grpc.lua refuses a model's
    return
  end
  local why = sent and "the token is not one of this server's" or "this server requires Authorization: Bearer and a token"
  fail(handle, 401, "unauthorized", why, {["www-authenticate"] = "Bearer"})
end
