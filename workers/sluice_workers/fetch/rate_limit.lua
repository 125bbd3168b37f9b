-- Takes tokens of a bucket that refills by the server's clock, or reserves those that come next.
-- KEYS[1]: the bucket. ARGV: tokens a second, burst, tokens wanted, how many may be reserved ahead,
-- the seconds in which a lowered rate is whole again.
-- Returns tokens granted, what the bucket held before (may be negative), the rate of now, and
-- milliseconds to wait when nothing was granted.
local full, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ahead, recovery = tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'share', 'lowered', 'until')
local share = 1
if state[3] then
  share = math.min(1, tonumber(state[3]) + (now - tonumber(state[4])) / 1000000 / recovery)
end
local rate = full * share
-- A bucket without state is empty: nobody knows what was granted a moment ago.
local tokens = 0
if state[1] then
  tokens = math.min(burst, tonumber(state[1]) + math.max(0, now - tonumber(state[2])) * rate / 1000000)
end
local held, granted, wait = tokens, 0, 0
if state[5] and now < tonumber(state[5]) then
  wait = math.ceil((tonumber(state[5]) - now) / 1000)
  tokens = math.min(tokens, 0)
else
  granted = math.max(0, math.min(math.floor(tokens + ahead), wanted))
  tokens = tokens - granted
  if granted == 0 then
    wait = math.ceil((1 - ahead - tokens) / rate * 1000)
  end
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst + ahead) / rate * 1000 + recovery * 1000) + wait + 60000)
return {granted, string.format('%.9f', held), string.format('%.9f', rate), wait}
