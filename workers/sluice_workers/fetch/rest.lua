-- Rests a job for as long as it is asked to, never shorter than before.
-- KEYS[1]: what exists while it rests. ARGV: milliseconds.
local wanted = tonumber(ARGV[1])
if wanted > math.max(0, redis.call('PTTL', KEYS[1])) then
  redis.call('SET', KEYS[1], '', 'PX', wanted)
end
return redis.status_reply('OK')
