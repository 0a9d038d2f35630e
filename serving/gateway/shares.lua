-- Limits what one caller may send, in requests and in seconds of audio: two token buckets each, in memory that Envoy's threads
-- share. Over a limit 429 is answered before the body is read. serving/gateway/scripts.py puts before this file words.lua, hash.lua,
-- STATE = "/path" of that memory, SLOTS of it, and SHARE = {requests = 5, …}, that of every address, or false where
-- tokens.lua says whose a request is.
--
-- How much audio a body holds is known once it is decoded. So a request passes while its caller owes nothing; it is charged with
-- what a body of its size has held before, and with the seconds that it did hold, more or less, once it is answered. What is
-- owed is paid off at the caller's rate. Envoy's own filter local_ratelimit has no bucket that can owe.

local ffi = require("ffi")  -- of LuaJIT: Envoy has no memory of its own that the scripts of two threads share
ffi.cdef [[
  int fileno(void *file);
  int flock(int descriptor, int operation);
  void *mmap(void *address, size_t length, int protection, int flags, int descriptor, long offset);
  typedef struct { double key, time, requests, audio, per_byte; } bucket;
]]
local READ_WRITE, SHARED, LOCK, UNLOCK = 3, 1, 2, 8  -- of Linux: PROT_READ | PROT_WRITE, MAP_SHARED, LOCK_EX, LOCK_UN

local PROBED = 8  -- slots that a caller may have
local PCM = 1 / 32000  -- seconds a byte of 16 kHz, 16 bits, one channel: what is assumed of a caller's first request
-- Seconds that a recording of unknown length is charged with until it is answered, those of the longest: its caller may hang
-- up before it is, and then nothing corrects them.
local LONGEST = 3600
local INFERENCE = {Predictions = true, ModelInfer = true}  -- methods of gRPC
-- of gRPC, for errors that nothing was decoded for: invalid, not found, exhausted, unimplemented
local UNDECODED = {["3"] = true, ["5"] = true, ["8"] = true, ["12"] = true}
local UNITS = {
  requests = {policy = '"requests"', unit = "", said = "%g requests a second, and %g at once"},
  audio = {policy = '"audio-seconds"', unit = ';qu="audio-seconds"', said = "%g seconds of audio a second, and %g at once"},
}

local file = assert(io.open(STATE, "r+b"))
local memory = ffi.C.mmap(nil, SLOTS * ffi.sizeof("bucket"), READ_WRITE, SHARED, ffi.C.fileno(file), 0)
assert(ffi.cast("intptr_t", memory) ~= -1, "the memory of shares cannot be mapped")
local buckets = ffi.cast("bucket *", memory)

-- Call `use` while no other thread does; nothing in it may wait
local function alone(use, ...)
  local descriptor = ffi.C.fileno(file)  -- here: what no function names is closed by the garbage collector
  assert(ffi.C.flock(descriptor, LOCK) == 0, "the memory of shares cannot be locked")
  local passed, first, second = pcall(use, ...)
  ffi.C.flock(descriptor, UNLOCK)
  if not passed then
    error(first, 0)
  end
  return first, second
end

-- A caller's bucket, as full as it has become until now. A slot that is not used yet was last used in 1970, so it is full.
local function current(share, now)
  local bucket
  for step = 0, PROBED - 1 do
    local each = buckets + (share.key + step) % SLOTS
    if each.key == share.key then
      bucket = each
      break
    elseif bucket == nil or each.time < bucket.time then
      bucket = each
    end
  end
  if bucket.key ~= share.key then
    bucket.key, bucket.time, bucket.requests, bucket.audio, bucket.per_byte = share.key, 0, 0, 0, PCM
  end
  local passed = math.max(now - bucket.time, 0)  -- clocks are set back
  for rate in pairs(UNITS) do
    -- what has no limit owes nothing when it gets one
    bucket[rate] = share[rate] and math.min(bucket[rate] + passed * share[rate], share[rate .. "_burst"]) or math.huge
  end
  bucket.time = now
  return bucket
end

-- What is left, by limit
local function left(share, bucket)
  return {requests = share.requests and bucket.requests, audio = share.audio and bucket.audio}
end

-- Take one request from a caller's bucket, of so many bytes, or of `seconds` if that is not nil: what is left, and the seconds
-- that were charged; nil in their place if it may not
local function take(share, bytes, seconds, now)
  local bucket = current(share, now)
  if share.requests and bucket.requests < 1 or share.audio and bucket.audio < 0 then
    return left(share, bucket)
  end
  local charged = seconds or bytes * bucket.per_byte
  bucket.requests, bucket.audio = bucket.requests - 1, bucket.audio - charged
  return left(share, bucket), charged
end

-- Charge the seconds that a request did hold instead; nil if only its size is known
local function settle(share, charged, bytes, seconds, now)
  local bucket = current(share, now)
  if seconds and seconds > 0 and bytes > 0 then
    bucket.per_byte = seconds / bytes
  end
  seconds = seconds or bytes * bucket.per_byte
  bucket.audio = math.min(bucket.audio + charged - seconds, share.audio_burst or math.huge)
  return left(share, bucket), seconds
end

-- Seconds until there is more: one request more, or nothing owed any longer
local function wait(rate, share, level)
  local lacking = level < 0 and -level or math.floor(level) + 1 - level
  return math.max(math.ceil(lacking / share[rate]), 1)
end

-- The fields of draft-ietf-httpapi-ratelimit-headers-11, in whole numbers: what may be sent at once and in how many seconds
-- it is there again, and what is left of it until there is more
local function describe(share, rest, headers)
  local policies, limits = {}, {}
  for _, rate in ipairs({"requests", "audio"}) do
    local level, unit, burst = rest[rate], UNITS[rate], share[rate .. "_burst"]
    if level then
      policies[#policies + 1] = string.format(
        "%s;q=%d%s;w=%d", unit.policy, math.floor(burst), unit.unit, math.max(math.ceil(burst / share[rate]), 1))
      limits[#limits + 1] = string.format(
        "%s;r=%d;t=%d", unit.policy, math.max(math.floor(level), 0), wait(rate, share, level))
    end
  end
  headers["ratelimit-policy"], headers["ratelimit"] = table.concat(policies, ", "), table.concat(limits, ", ")
  return headers
end

local function refuse(handle, share, rest)
  local over = share.requests and rest.requests < 1 and "requests" or "audio"
  local seconds = wait(over, share, rest[over])
  if over == "requests" and share.audio and rest.audio < 0 then
    seconds = math.max(seconds, wait("audio", share, rest.audio))
  end
  handle:stats():counter("share." .. share.name .. ".over_" .. over):inc()
  handle:streamInfo():dynamicMetadata():set("share", "over", over)  -- for the access log
  local limit = string.format(UNITS[over].said, share[over], share[over .. "_burst"])
  fail(handle, 429, "rate_limited",
    string.format("this %s may send %s: try again in %d s", SHARE and "address" or "token", limit, seconds),
    describe(share, rest, {["retry-after"] = tostring(seconds)}))
end

-- An address without its port; of IPv6 the first half, since one caller has all of the rest
local function network(address)
  local v6 = address:match("^%[(.*)%]:%d+$")
  if v6 == nil then
    return address:match("^(.*):%d+$") or address
  end
  local head, tail = v6:match("^(.-)::(.*)$")
  local groups = {}
  for group in (head or v6):gmatch("[^:]+") do
    groups[#groups + 1] = group
  end
  local _, rest = (tail or ""):gsub("[^:]+", "")
  while head and #groups + rest < 8 do
    groups[#groups + 1] = "0"
  end
  return table.concat(groups, ":", 1, math.min(4, #groups))
end

-- Whose share a request is of
local function share_of(handle)
  local info = handle:streamInfo()
  if not SHARE then
    local known = info:dynamicMetadata():get("caller")
    return known and known.share
  end
  local share = {key = hash(network(info:downstreamRemoteAddress())), name = "address"}
  for name, value in pairs(SHARE) do
    share[name] = value
  end
  return share
end

local function seconds_now(handle)
  return handle:timestamp(EnvoyTimestampResolution.MILLISECOND) / 1000
end

-- health.lua and grpc.lua have answered what is not served
local function inference(headers)
  local method, path = headers:get(":method"), headers:get(":path") or ""
  if (headers:get("content-type") or ""):match("^application/grpc") then
    return INFERENCE[path:match("[^/]*$")]
  end
  return method == "POST" or method == "PUT"
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local share = inference(headers) and share_of(handle)
  if not share then
    return
  end
  local bytes = tonumber(headers:get("content-length") or "")
  local seconds = bytes == nil and asks_for_recording(headers) and LONGEST or nil
  local rest, charged = alone(take, share, bytes or 0, seconds, seconds_now(handle))
  if charged == nil then
    return refuse(handle, share, rest)
  end
  handle:stats():counter("share." .. share.name .. ".admitted"):inc()
  local known = handle:streamInfo():dynamicMetadata()
  known:set("share", "of", share)
  known:set("share", "charged", charged)
end

function envoy_on_response(handle)
  local kept = handle:streamInfo():dynamicMetadata():get("share")
  if kept == nil or kept.over then
    return
  end
  local headers, asked = handle:headers(), handle:requestHeaders()
  local bytes = tonumber(asked:get("content-length") or "") or 0  -- of every body, since the buffer has had it
  local seconds, failed = tonumber(headers:get("x-audio-seconds") or ""), headers:get("grpc-status")
  if seconds == nil and (UNDECODED[failed or ""] or headers:get(":status"):match("^4")) then
    seconds = 0
  end
  local rest, spent = alone(settle, kept.of, kept.charged, bytes, seconds, seconds_now(handle))
  handle:stats():counter("share." .. kept.of.name .. ".audio_ms"):add(math.floor(spent * 1000 + 0.5))
  for name, value in pairs(describe(kept.of, rest, {})) do
    if value ~= "" then
      headers:replace(name, value)
    end
  end
end
