-- Writes x-received into the message of a call whose headers the model server does not pass on to its workers, as one more of
-- the inputs of TorchServe's PredictionsRequest: without it they could not know that its caller has hung up. It stands after
-- the buffer, so that the message is whole.
--
-- serving/gateway/scripts.py puts before it CALLS = {["/package.Service/Method"] = true, …}.

local FRAME = 5  -- bytes before a message: whether it is compressed, and its length
local LARGEST = 2 ^ 22  -- bytes; what is larger is passed on as it is, rather than copied here
local NAME = "x-received"

-- A field of a message, of fewer than 128 bytes
local function field(number, content)
  return string.char(number * 8 + 2, #content) .. content
end

local function framed(size)
  return string.char(0, math.floor(size / 2 ^ 24), math.floor(size / 2 ^ 16) % 256, math.floor(size / 2 ^ 8) % 256, size % 256)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if not CALLS[headers:get(":path") or ""] then
    return
  end
  local body = handle:body()
  local size = body and body:length() or 0
  -- compressed, or not one whole message, which the server refuses
  if size < FRAME or size > LARGEST or body:getBytes(0, FRAME) ~= framed(size - FRAME) then
    return
  end
  headers = handle:headers()  -- one taken before body(), which waits, is no longer valid
  -- an entry of a map, the field 3; of two with one name, the last counts
  local entry = field(3, field(1, NAME) .. field(2, headers:get(NAME)))
  body:setBytes(framed(size - FRAME + #entry) .. body:getBytes(FRAME, size - FRAME) .. entry)
  headers:replace("content-length", tostring(size + #entry))
end
