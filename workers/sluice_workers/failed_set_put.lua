-- KEYS[1]: the failed set, a hash of ranks by key; its field '' says that it is complete.
-- ARGV: 'rebuild' or '', then a key and its rank, and so on. Of two ranks of a key the greater stays.
-- Returns 0 when it is rebuilt no more: somebody else has completed it, and keys may have gone since.
if ARGV[1] == 'rebuild' and redis.call('HEXISTS', KEYS[1], '') == 1 then
  return 0
end
for i = 2, #ARGV, 2 do
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  if not before or before < ARGV[i + 1] then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return 1
