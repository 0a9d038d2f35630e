-- A number for a text, which both threads of Envoy compute alike. serving/gateway/scripts.py puts this file before tokens.lua
-- and shares.lua, and before it SEED, a number that is chosen anew at every start: nobody outside can tell which texts have the
-- same number, nor learn from the time of a look-up how much of a token is right.

function hash(text)
  local first, second = SEED, SEED
  for at = 1, #text do
    local byte = text:byte(at)
    first, second = (first * 33 + byte) % 4294967291, (second * 131 + byte) % 1048573  -- primes below 2^32 and 2^20
  end
  return first * 1048576 + second + 1  -- below 2^53, and never 0
end
