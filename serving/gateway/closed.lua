-- Envoy lets a request pass whose script fails. serving/gateway/scripts.py puts this file after each script that reads
-- requests, so that such a request is answered here: what the script would have refused reaches nobody.

local read = envoy_on_request

function envoy_on_request(handle)
  local passed, reason = pcall(read, handle)
  if not passed then
    handle:logErr("script failed: " .. tostring(reason))
    fail(handle, 500, "gateway_error", "the gateway could not read this request; its log says why")
  end
end
