-- ARGV: worker, ids. The worker has nothing more to do with them.
for i = 2, #ARGV do
  local key = call_key(ARGV[i])
  if redis.call('HGET', key, 'w') == ARGV[1] then redis.call('DEL', key) end
  redis.call('SREM', G .. 'held:' .. ARGV[1], ARGV[i])
end
return 1
