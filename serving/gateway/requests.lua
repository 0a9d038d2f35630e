-- What every request is before anything looks at it: its path in one spelling, its id short, its query a header, and no
-- header that nobody behind this reads. And of every answer, what is the same for all.
--
-- serving/gateway/envoy.py puts one line before this file: CORS = true where pages of other origins may ask.

local LONGEST_PATH = 4000  -- bytes of path and query; TorchServe reads a first line of 4096
local MOST_HEADERS = 6000  -- bytes of the headers that go on; TorchServe reads 8192, the gateway's own among them
local LONGEST_ID = 64  -- of x-request-id, as the handler logs it

-- What goes on. The rest ends here: cookies and the like need no space in TorchServe, headers that the gateway sets for
-- the handler (x-form, x-query, x-probe) cannot be forged, and Expect is the gateway's own to answer.
local GOES_ON = {}
for name in ([[
  authorization content-encoding content-length content-type grpc-accept-encoding grpc-encoding grpc-timeout
  inference-header-content-length te traceparent tracestate transfer-encoding x-forwarded-proto x-function-to-apply
  x-request-id x-request-timeout x-top-k]]):gmatch("%S+") do
  GOES_ON[name] = true
end

local function refuse(handle, status, code, message)
  handle:headers():replace("x-answered-in-lua", "yes")
  handle:respond({[":status"] = status, ["content-type"] = "application/json"},
    string.format('{"error": "%s", "code": "%s"}', message, code))
end

-- Clients escape what needs no escape, the colon of `:predict` mostly
local function unescaped(pair)
  local character = string.char(tonumber(pair, 16))
  return character:match("[%w._~:-]") or "%" .. pair
end

-- Drop what does not go on; the bytes of what does
local function trim(headers)
  local dropped, bytes = {}, 0
  for name, value in pairs(headers) do
    if GOES_ON[name] then
      bytes = bytes + #name + #value
    elseif name:sub(1, 1) ~= ":" then
      dropped[#dropped + 1] = name
    end
  end
  for _, name in ipairs(dropped) do
    headers:remove(name)
  end
  return bytes
end

-- Envoy joins a header that is sent twice by a comma, which a media type holds in quotes alone. Two ids are one so, in the
-- log, in the handler and in the answer alike: proxies add theirs, and nothing depends on it.
local function twice(kind)
  return kind:gsub('"[^"]*"', ""):find(",%s*[%w.+-]+/[%w.+-]")
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local id = headers:get("x-request-id")
  if id and #id > LONGEST_ID then
    headers:replace("x-request-id", id:sub(1, LONGEST_ID))
  end
  local bytes = trim(headers)
  local asked = headers:get(":path")
  if asked == nil then
    return  -- CONNECT has none
  end
  if #asked > LONGEST_PATH then
    return refuse(handle, "414", "path_too_long",
      string.format("path and query are %d bytes long; at most %d are accepted", #asked, LONGEST_PATH))
  end
  if bytes > MOST_HEADERS then
    return refuse(handle, "431", "headers_too_large", string.format(
      "the headers that describe the request are %d bytes long; at most %d are accepted", bytes, MOST_HEADERS))
  end
  if twice(headers:get("content-type") or "") then
    return refuse(handle, "400", "malformed_request", "Content-Type is given twice: send one")
  end
  local path, query = asked:match("^([^?]*)%??(.*)$")
  if path:gsub("%%%x%x", ""):find("%", 1, true) then
    return refuse(handle, "400", "malformed_request", "a % in the path is not followed by two hexadecimal digits")
  end
  path = path:gsub("%%(%x%x)", unescaped):gsub("(.)/+$", "%1")
  if query ~= "" then
    headers:replace("x-query", query)
  end
  headers:replace(":authority", "localhost")
  if path ~= asked then
    headers:replace(":path", path)
    handle:clearRouteCache()
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  headers:remove("x-envoy-upstream-healthchecked-cluster")
  if CORS then
    headers:add("vary", "Origin")  -- a cache must not hand one page's permission to another
  end
end
