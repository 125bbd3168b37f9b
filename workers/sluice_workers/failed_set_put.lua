-- KEYS[1]: the failed set, a hash of ranks by key; its field '' holds a number while it is built again,
-- and says when it is complete.
-- ARGV: that number or '', what the field is to hold then or '', then a key and its rank, and so on. Of
-- two ranks of a key the greater stays.
-- Returns 0 when it is rebuilt no more: somebody else has completed it, and keys may have gone since, or
-- it was lost again, with what was added after its topic was read.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], '') ~= ARGV[1] then
  return 0
end
for i = 3, #ARGV, 2 do
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  if not before or before < ARGV[i + 1] then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], '', ARGV[2])
end
return 1
