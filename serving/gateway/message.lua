-- Reads the message of a call of `ModelInfer`, for translate.lua and outputs.lua: serving/gateway/scripts.py puts this file,
-- after words.lua, before each of them. They stand after the buffer, so that the message is whole.

INFER = "/inference.GRPCInferenceService/ModelInfer"
BROKEN = "the message is not one whole ModelInferRequest"
local FRAME = 5  -- bytes before a message: whether it is compressed, and its length
local LARGEST_KEY = 2 ^ 32  -- readers of protobuf drop what is beyond, and read another number

-- A number in a message, and where the next byte is; nil if the message ends before
function varint(message, at)
  local value, factor = 0, 1
  for byte_at = at, at + 9 do
    local byte = message(byte_at, 1):byte()
    if byte == nil then
      return nil
    end
    value, factor = value + byte % 128 * factor, factor * 128
    if byte < 128 then
      return value, byte_at + 1
    end
  end
end

-- Call `use(number, content, size)` for each field between `at` and `last`, until it returns true. Returns true if all of them
-- were read, nil if not, and false if they are not such fields: all of a ModelInferRequest's have a length
function each_field(message, at, last, most, use)
  for _ = 1, most do
    if at >= last then
      return true
    end
    local key, start = varint(message, at)
    local size, content = varint(message, start or last)
    if key == nil or key >= LARGEST_KEY or key % 8 ~= 2 or content == nil or content + size > last then
      return false
    end
    if use(math.floor(key / 8), content, size) then
      return nil
    end
    at = content + size
  end
end

-- What reads bytes of the message, and its length; nil if the call has been answered, because it is not one whole message
function infer_message(handle)
  local body = handle:body()
  local size = body and body:length() or 0
  local flag, first, second, third, fourth = (size >= FRAME and body:getBytes(0, FRAME) or ""):byte(1, FRAME)
  if fourth == nil or flag > 1 or size ~= FRAME + ((first * 256 + second) * 256 + third) * 256 + fourth then
    return fail(handle, 400, "malformed_request", BROKEN)
  elseif flag == 1 then
    -- what it asks for could not be read without all of it being decompressed here
    return fail(handle, 415, "unsupported_coding", "a ModelInferRequest must not be compressed here")
  end
  return function(at, count)
    return body:getBytes(FRAME + at, math.max(math.min(count, size - FRAME - at), 0))
  end, size - FRAME
end
