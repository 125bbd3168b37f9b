-- Leases permits for open connections to one holder, and takes back those of holders that are gone.
-- KEYS[1]: a hash of holders. ARGV: the holder, milliseconds of the lease, milliseconds after which
-- remainders go round, milliseconds for which nothing new is granted once the hash was lost, what this
-- holder knows of leases (2: its own goes on, 1: it has had one, 0: nothing), and a JSON list of [name,
-- cap, wanted, claimed].
-- Returns for each name how many connections the holder may use. What it claims beyond that, because
-- it is open or may be by now, stays counted until the holder claims less. All wants are served evenly
-- (max-min fairness); what cannot be divided goes round among the holders, so that none waits for ever.
-- While a lost hash fills again, which a field without a name tells, nobody gets more than it claims.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local turn = math.floor(now / tonumber(ARGV[3]))
local others, settling, known = {}, false, tonumber(ARGV[5])
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local lease = cjson.decode(entries[i + 1])
  if lease.expires <= now then
    redis.call('HDEL', KEYS[1], entries[i])
  elseif entries[i] == '' then
    settling = true
  elseif entries[i] ~= ARGV[1] then
    others[#others + 1] = {holder = entries[i], permits = lease.permits}
  end
end
if known == 2 and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 or known == 1 and #entries == 0 then
  redis.call('HSET', KEYS[1], '', cjson.encode({expires = now + tonumber(ARGV[4])}))
  settling = true
end

local function fair(cap, wants)
  table.sort(wants, function(a, b)
    if a.want ~= b.want then return a.want < b.want end
    return a.holder < b.holder
  end)
  local left, first = cap, 1
  while first <= #wants and wants[first].want <= left / (#wants - first + 1) do
    if wants[first].holder == ARGV[1] then return wants[first].want end
    left = left - wants[first].want
    first = first + 1
  end
  local sharing = #wants - first + 1
  local each = math.floor(left / sharing)
  local names = {}
  for i = first, #wants do names[#names + 1] = wants[i].holder end
  table.sort(names)
  for i, name in ipairs(names) do
    if name == ARGV[1] then
      if (i + turn) % sharing < left - each * sharing then return each + 1 end
      return each
    end
  end
end

local granted, permits = {}, {}
for i, ask in ipairs(cjson.decode(ARGV[6])) do
  local name, cap, want, claimed = ask[1], ask[2], ask[3], ask[4]
  local taken, wants = 0, {{holder = ARGV[1], want = want}}
  for _, other in ipairs(others) do
    local held = other.permits[name]
    if held then
      taken = taken + held[1]
      wants[#wants + 1] = {holder = other.holder, want = held[2]}
    end
  end
  local most = settling and claimed or fair(cap, wants)
  granted[i] = math.max(0, math.min(most, cap - taken))
  permits[name] = {math.max(granted[i], claimed), want}
end
if next(permits) then
  local lease = {expires = now + tonumber(ARGV[2]), permits = permits}
  redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(lease))
  redis.call('PEXPIRE', KEYS[1], 2 * tonumber(ARGV[2]))
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return granted
