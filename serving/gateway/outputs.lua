-- Refuses Triton's extension `classification` of an output that holds text: Triton divides by the size of an element, which is 0
-- for BYTES, and the whole server ends. Refuses an input of no clips too: Triton takes the next dimension for their number, and
-- fails all that are in the same batch. It stands after the buffer, and reads what is asked for in Triton's own two protocols.
--
-- serving/gateway/scripts.py puts words.lua and message.lua before it.

local CLASSES = "classification"
local LENGTH = "inference-header-content-length"
local INPUTS, OUTPUTS = 5, 6  -- of a ModelInferRequest
local SHAPE = 3  -- of an input
local LARGEST = 2 ^ 31  -- of a dimension; Triton takes 2^32 clips for none, and 2^64 are read as 0
local MOST_FIELDS = 1000  -- of a message
local NO_CLASSES = "classification is of scores: an output of text has none"

-- Of what an output's name says: `score`, `scores`, or those of a head, as in `action.scores`
local function is_number(name)
  return name:match("^scores?$") or name:match("%.scores?$")
end

local NO_CLIPS = "the first number of an input's shape is how many clips it has: at least 1"

-- Whether an input says that it has no clips, or in a way that is not usual how many
local function is_empty(message, at, last)
  local first
  local read = each_field(message, at, last, MOST_FIELDS, function(field, content, size)
    if field == SHAPE and size > 0 then
      first = first or varint(message, content) or 0
    end
  end)
  return not read or first and (first < 1 or first >= LARGEST)
end

-- What is wrong with what is asked for, false if nothing is; nil if the message is no ModelInferRequest, or has more fields than one needs
local function asks(message, length)
  local bad = false
  local whole = each_field(message, 0, length, MOST_FIELDS, function(number, content, size)
    if number == OUTPUTS and message(content, size):find(CLASSES, 1, true) then
      local name = ""
      local read = each_field(message, content, content + size, MOST_FIELDS, function(field, at, count)
        name = field == 1 and message(at, count) or name
      end)
      bad = bad or (not read or not is_number(name)) and NO_CLASSES
    elseif number == INPUTS and is_empty(message, content, content + size) then
      bad = NO_CLIPS
    end
  end)
  if not whole then
    return nil
  end
  return bad
end

local function check_call(handle)
  local message, length = infer_message(handle)
  if message == nil then
    return
  end
  local bad = asks(message, length)
  if bad == nil then
    return fail(handle, 400, "malformed_request", BROKEN)
  elseif bad then
    return fail(handle, 400, "malformed_request", bad)
  end
end

-- The JSON before binary tensors, which errors.lua leaves to Triton; not parsed here: whoever asks for classes in it asks for
-- nothing else, and writes letters as they are
local function check_tensors(handle, length)
  local body = handle:body()
  local head = body and body:getBytes(0, math.min(length, body:length())) or ""
  if head:find("\\u", 1, true) then
    return fail(handle, 400, "malformed_request", "the JSON before binary tensors must not have \\\\u in it: send UTF-8")
  elseif head:find(CLASSES, 1, true) and (head:find("label", 1, true) or head:find("answer", 1, true)) then
    return fail(handle, 400, "malformed_request", NO_CLASSES)
  end
  for first in head:gmatch('"shape"%s*:%s*%[%s*([^%s,%]]+)') do
    if not first:match("^[1-9]%d*$") or tonumber(first) >= LARGEST then
      return fail(handle, 400, "malformed_request", NO_CLIPS)
    end
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, length = headers:get(":path"), tonumber(headers:get(LENGTH) or "")
  if path == INFER then
    return check_call(handle)
  elseif length and length > 0 and path:match("^/v2/models/[^/]+/versions/%d+/infer$") then
    return check_tensors(handle, length)
  end
end
