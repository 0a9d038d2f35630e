-- Decides which requests the splitter gets (serving/recordings/): those that ask for windows of a recording, and those that may
-- hold many clips. It stands before errors.lua, which makes of a request what the model server has to be asked.
--
-- serving/gateway/scripts.py puts before this file words.lua, found.lua and LARGE, bytes of a body that is more than a clip or two.

local RECORDING, CLIPS = "recording", "clips"

-- Whether a body is JSON with windows in it. Compressed ones are not read here: the splitter finds out.
local function asks_for_windows(handle)
  local body = handle:body()
  local length = body and body:length() or 0
  local text = length > 0 and body:getBytes(0, math.min(length, 64)):match("^[%s\239\187\191]*{") and body:getBytes(0, length)
  return text and text:find('"windows"', 1, true)
end

local function way(handle)
  local headers = handle:headers()
  local kind = (headers:get("content-type") or ""):lower()
  if asks_for_recording(headers) then
    return RECORDING
  elseif kind:match("^audio/") or kind:match("^video/") or kind:match("^multipart/") then
    return nil  -- one clip
  end
  local length = tonumber(headers:get("content-length") or "")
  if length == nil or length > LARGE or headers:get("content-encoding") or asks_for_windows(handle) then
    return CLIPS
  end
end

-- Whether the model server can answer what the splitter would get: a file of audio. JSON of this size cannot be read here, and
-- may ask for windows.
local function file(handle, chosen)
  local headers = handle:headers()
  local length = tonumber(headers:get("content-length") or "")
  return chosen == CLIPS and (length == nil or length > LARGE) and not headers:get("content-encoding")
    and not (headers:get("content-type") or ""):lower():match("json") and not headers:get("inference-header-content-length")
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local method = headers:get(":method")
  if (method ~= "POST" and method ~= "PUT") or (headers:get("content-type") or ""):match("^application/grpc") then
    return
  end
  local chosen = way(handle)
  local state = chosen and found(handle)
  if state and state.degraded then  -- the splitter does not run
    if not file(handle, chosen) then
      fail(handle, 503, "unavailable", "windows and large JSON are not answered at present; try again in a moment",
        {["retry-after"] = "10"})
    end
  elseif chosen then
    handle:streamInfo():dynamicMetadata():set("split", "way", chosen)  -- for errors.lua
    handle:headers():replace("x-split", chosen)  -- again: one taken before body(), which waits, is no longer valid
    handle:clearRouteCache()
  end
end
