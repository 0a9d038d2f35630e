-- Normalises every request before anything else reads it: one spelling of its path, a short id, its query as a header, and
-- only the headers that are used after this. It also adds what every answer has in common.
--
-- serving/gateway/scripts.py puts before this file words.lua and STATIC = {["/path"] = …}, the files that the gateway serves
-- itself, PAGE, what a browser gets at `/`, ALIASES = {["POST /invocations"] = "/predictions/demo", …}, paths that stand for
-- others, and CORS = {["https://a.example"] = true, …}, the pages of other origins that may call, or false.

local LONGEST_PATH = 4000  -- bytes of path and query; TorchServe reads a first line of 4096
local MOST_HEADERS = 6000  -- bytes of the headers that are forwarded; TorchServe reads 8192, the gateway's own included
local LONGEST_ID = 64  -- of x-request-id, as the handler logs it

-- The headers that are forwarded. All others are dropped: cookies and the like need no space in TorchServe, headers that
-- the gateway sets for the handler (x-form, x-query, x-probe) cannot be forged, and the gateway itself answers Expect.
local FORWARDED = {}
for name in ([[
  authorization content-encoding content-length content-type grpc-accept-encoding grpc-encoding grpc-timeout
  if-none-match inference-header-content-length te traceparent tracestate transfer-encoding x-forwarded-proto
  x-fpir x-function-to-apply x-heads x-min-score x-output x-request-id x-request-timeout x-top-k x-windows]]):gmatch("%S+") do
  FORWARDED[name] = true
end

-- Whether Envoy takes a content type for gRPC's: then its own answers are a status of gRPC's
local function of_grpc(kind)
  return kind == "application/grpc" or kind:match("^application/grpc%+")
end

-- Clients escape characters that need no escape, mostly the colon of `:predict`
local function unescaped(pair)
  local character = string.char(tonumber(pair, 16))
  return character:match("[%w._~:-]") or "%" .. pair
end

-- Drop the headers that are not forwarded; returns the bytes of the others
local function trim(headers)
  local dropped, bytes = {}, 0
  for name, value in pairs(headers) do
    if FORWARDED[name] then
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

-- Envoy joins a header that is sent twice with a comma, which a media type has only inside quotes. Two request ids become
-- one in this way, in the log, in the handler and in the answer: proxies add theirs, and nothing depends on it.
local function twice(kind)
  return kind:gsub('"[^"]*"', ""):find(",%s*[%w.+-]+/[%w.+-]")
end

-- The weight that an Accept header gives to a media type which it names, 0 if it does not name it
local function weight(accept, kind)
  for range in accept:lower():gmatch("[^,]+") do
    local name, rest = range:match("^%s*([^;%s]+)(.*)$")
    if name == kind then
      return tonumber(rest:match(";%s*q%s*=%s*([%d.]+)")) or 1
    end
  end
  return 0
end

-- Whether a browser asks for a page: it names HTML, which KServe's clients, curl and probes do not
local function wants_page(headers)
  local method, accept = headers:get(":method"), headers:get("accept") or ""
  local html = weight(accept, "text/html")
  return (method == "GET" or method == "HEAD") and html > 0 and html >= weight(accept, "application/json")
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local page = wants_page(headers)  -- before Accept is dropped
  local origin = headers:get("origin")
  if CORS and origin and CORS[origin] then
    handle:streamInfo():dynamicMetadata():set("page", "origin", origin)  -- the header is dropped
  end
  local id = headers:get("x-request-id")
  if id and #id > LONGEST_ID then
    headers:replace("x-request-id", id:sub(1, LONGEST_ID))
  end
  local rttm = weight(headers:get("accept") or "", "text/rttm") > 0
  local bytes = trim(headers)
  if rttm then
    headers:replace("x-rttm", "yes")  -- which the splitter reads
  end
  local asked = headers:get(":path")
  if asked == nil then
    return  -- CONNECT has no path
  end
  if #asked > LONGEST_PATH then
    return fail(handle, 414, "path_too_long",
      string.format("path and query are %d bytes long; at most %d are accepted", #asked, LONGEST_PATH))
  end
  if bytes > MOST_HEADERS then
    return fail(handle, 431, "headers_too_large", string.format(
      "the headers that describe the request are %d bytes long; at most %d are accepted", bytes, MOST_HEADERS))
  end
  local kind = headers:get("content-type") or ""
  if twice(kind) then
    return fail(handle, 400, "malformed_request", "Content-Type is given twice: send one")
  elseif of_grpc(kind) and headers:get(":method") ~= "POST" then
    -- a file would be sent as the message of a status, in one header
    return fail(handle, 400, "malformed_request", "a gRPC call is made with POST")
  elseif kind:lower():match("^application/grpc") and not of_grpc(kind) then
    headers:replace("content-type", "application/octet-stream")  -- plain HTTP, where the content decides
  end
  local path, query = asked:match("^([^?]*)%??(.*)$")
  if path:gsub("%%%x%x", ""):find("%", 1, true) then
    return fail(handle, 400, "malformed_request", "a % in the path is not followed by two hexadecimal digits")
  end
  path = path:gsub("%%(%x%x)", unescaped):gsub("(.)/+$", "%1")
  if path == "/" and page and STATIC[PAGE] ~= nil then
    path = PAGE
  end
  path = ALIASES[headers:get(":method") .. " " .. path] or ALIASES[path] or path
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
    local page = handle:streamInfo():dynamicMetadata():get("page")
    if page then
      headers:replace("access-control-allow-origin", page["origin"])  -- static files too, which the cors filter ignores
    end
  end
end
