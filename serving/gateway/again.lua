-- Marks the answers after which the gateway sends a request again, before it decides on that: envoy.yaml.j2 has it in front of a
-- model server whose own queue does not wait for a worker that is loaded in the place of one that has ended.
--
-- serving/gateway/scripts.py puts before it what it puts before errors.lua, of which it uses
--   server.again(handle, text, fault)    whether an error's body, or the message of a failed call, is such an answer; true for
--                                        one with the status of a server's own fault

local MARK = "x-send-again"
local INTERNAL = "13"  -- of gRPC

function envoy_on_response(handle)
  local headers = handle:headers()
  headers:remove(MARK)
  local message, status = headers:get("grpc-message"), headers:get(":status")
  local again
  if message then
    again = server.again(handle, message, headers:get("grpc-status") == INTERNAL)
  elseif tonumber(status) >= 400 then
    local body = handle:body()
    again = body and body:length() <= 65536 and server.again(handle, body:getBytes(0, body:length()), status == "500")
  end
  if again then
    handle:headers():replace(MARK, "yes")  -- again: one taken before body(), which waits, is no longer valid
  end
end
