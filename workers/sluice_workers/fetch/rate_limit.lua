-- Takes tokens of a bucket that refills by the server's clock, or reserves those that come next.
-- KEYS[1]: the bucket. ARGV: tokens a second, how many it holds, tokens wanted, how many may be
-- reserved ahead, the seconds in which a lowered rate is whole again, the share of the rate that the
-- caller remembers, for a bucket that does not, the seconds for which tokens last of which there are
-- plenty.
-- Returns tokens granted, what the bucket held before (may be negative), the share of the rate,
-- milliseconds to wait when nothing was granted, milliseconds that the bucket rests, 1 when it had no
-- state, the part of the caller's rate that holds, 1 when the tokens last, and the time in seconds. Jobs
-- that share a bucket may give different rates: the lowest of the last minute (of the last tokens, where
-- these are rarer) holds for all.
local full, capacity, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ahead, recovery, lasting = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'share', 'since', 'until', 'rate', 'holds',
  'given', 'span', 'lasting', 'lasted')
local part, lowest = 1, tonumber(state[6] or '0')
if state[6] and lowest < full * 0.999 and now - tonumber(state[8]) < 60000000 + 2000000 / lowest then
  part, full = lowest / full, lowest
  capacity, ahead = math.min(capacity, tonumber(state[7])), math.max(1, ahead * part)
else
  redis.call('HSET', KEYS[1], 'rate', string.format('%.9f', full), 'holds', capacity,
    'given', string.format('%.0f', now))
end
local share, tokens, fresh = tonumber(ARGV[6]), -ahead, 1
if state[3] then
  share = math.min(1, tonumber(state[3]) + (now - tonumber(state[4])) / 1000000 / recovery)
end
-- What lasts may still be in hand in the span after the one that it was granted in: the bucket holds
-- less by so much meanwhile.
local span = math.floor(now / 1000000 / lasting)
local age = span - tonumber(state[9] or '0')
local newer = age == 0 and tonumber(state[10] or '0') or 0
local older = tonumber(age == 0 and state[11] or age == 1 and state[10] or '0')
local most, plenty = capacity - newer - older, false
-- Without state nobody knows what was granted a moment ago: at the worst, all that may be reserved.
if state[1] then
  fresh = 0
  tokens = tonumber(state[1]) + math.max(0, now - tonumber(state[2])) * full * share / 1000000
  tokens, plenty = math.min(most, tokens), tokens >= most
end
local rest = math.max(0, tonumber(state[5] or '0') - now)
local rate, held, granted, wait, lasts = full * share, tokens, 0, 0, 0
if rest > 0 then
  wait = math.ceil(rest / 1000)
  tokens = math.min(tokens, 0)
else
  -- One lease takes half of what is there: the next one that asks finds some too.
  local free = tokens + ahead
  granted = math.max(0, math.min(wanted, math.floor(free), math.ceil(free / 2)))
  tokens = tokens - granted
  -- A full bucket is used less than it refills.
  if plenty and newer + older + granted <= rate * lasting / 4 then
    newer, lasts = newer + granted, 1
  end
  if granted == 0 then
    wait = math.ceil((1 - ahead - tokens) / rate * 1000)
  end
end
-- Nothing comes in while it rests: it would end in a burst.
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens),
  'at', string.format('%.0f', now + rest),
  'share', string.format('%.9f', share), 'since', string.format('%.0f', now),
  'span', span, 'lasting', newer, 'lasted', older)
redis.call('PEXPIRE', KEYS[1],
  math.ceil((capacity + ahead) / rate * 1000 + recovery * 1000) + wait + 60000)
return {granted, string.format('%.9f', held), string.format('%.9f', share), wait,
  math.ceil(rest / 1000), fresh, string.format('%.9f', part), lasts,
  string.format('%.6f', now / 1000000)}
