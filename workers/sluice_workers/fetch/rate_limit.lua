-- A token bucket with the server's clock.
-- KEYS[1]: the bucket. ARGV: tokens a second, burst, tokens wanted, most of them one second's.
-- Returns tokens granted, and milliseconds until the next one when there was none.
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
-- A bucket without state is empty: nobody knows what was granted a moment ago.
local tokens = 0
if state[1] then
  tokens = math.min(burst, tonumber(state[1]) + math.max(0, now - tonumber(state[2])) * rate / 1000000)
end
local granted = math.min(math.floor(tokens), wanted)
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 60000)
local wait = 0
if granted == 0 then
  wait = math.ceil((1 - tokens) / rate * 1000)
end
return {granted, wait}
