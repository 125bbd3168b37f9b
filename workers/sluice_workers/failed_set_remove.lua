-- KEYS[1]: the failed set. ARGV: a key and the rank of a success, and so on: what is not above it goes.
for i = 1, #ARGV, 2 do
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  if before and before <= ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
