-- Slows a bucket down: empties it, lowers its rate, lets it rest.
-- KEYS[1]: the bucket. ARGV: by what the rate is multiplied (1 leaves it), the least share of the
-- rate, the seconds in which it is whole again, milliseconds to rest.
local factor, least = tonumber(ARGV[1]), tonumber(ARGV[2])
local recovery, rest = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = redis.call('HMGET', KEYS[1], 'tokens', 'share', 'lowered', 'until')
local share, lowered = tonumber(state[2] or '1'), tonumber(state[3] or '0')
-- What was under way when the rate was lowered says nothing of the lower rate.
if factor < 1 and now - lowered >= 1000000 then
  share = math.min(1, share + (now - lowered) / 1000000 / recovery)
  redis.call('HSET', KEYS[1], 'share', string.format('%.9f', math.max(least, share * factor)),
    'lowered', string.format('%.0f', now))
end
local until_ = math.max(tonumber(state[4] or '0'), now + rest * 1000)
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', math.min(0, tonumber(state[1] or '0'))),
  'at', string.format('%.0f', now), 'until', string.format('%.0f', until_))
redis.call('PEXPIRE', KEYS[1], math.ceil((until_ - now) / 1000 + recovery * 1000) + 60000)
return redis.status_reply('OK')
