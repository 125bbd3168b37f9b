-- KEYS[1]: the failed set. ARGV: what tells that it is complete, then a key and the rank of a success, and
-- so on: what is not above it goes.
-- Returns 0 when it is not complete: whoever builds it may have read of the failure, and not of the success.
if redis.call('HGET', KEYS[1], '') ~= ARGV[1] then
  return 0
end
for i = 2, #ARGV, 2 do
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  if before and before <= ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return 1
