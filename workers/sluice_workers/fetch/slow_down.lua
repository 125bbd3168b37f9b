-- Slows a bucket down: empties it, lowers its rate, lets it rest.
-- KEYS[1]: the bucket. ARGV: by what the rate is multiplied (1 leaves it), the least share of the
-- rate, the seconds in which it is whole again, milliseconds to rest.
local factor, least = tonumber(ARGV[1]), tonumber(ARGV[2])
local recovery, rest = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = redis.call('HMGET', KEYS[1], 'tokens', 'share', 'since', 'lowered', 'until')
-- What was under way when the rate was lowered says nothing of the lower rate.
if factor < 1 and now - tonumber(state[4] or '0') >= 1000000 then
  local share = 1
  if state[2] then
    share = math.min(1, tonumber(state[2]) + (now - tonumber(state[3])) / 1000000 / recovery)
  end
  redis.call('HSET', KEYS[1], 'share', string.format('%.9f', math.max(least, share * factor)),
    'since', string.format('%.0f', now), 'lowered', string.format('%.0f', now))
end
local until_ = math.max(tonumber(state[5] or '0'), now + rest * 1000)
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', until_))
if state[1] then
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', math.min(0, tonumber(state[1]))),
    'at', string.format('%.0f', math.max(now, until_)))
end
redis.call('PEXPIRE', KEYS[1], math.ceil((until_ - now) / 1000 + recovery * 1000) + 60000)
return redis.status_reply('OK')
