-- ARGV: id. Returns the state it was in ('' when nobody knows it); whoever runs it is told.
local known = redis.call('HMGET', call_key(ARGV[1]), 's', 'p', 'j', 'n', 'w')
local state = known[1]
if not state then return '' end
if state == 'q' then
  redis.call('LREM', wait_key(known[2], known[3]), 1, ARGV[1])
  left(ARGV[1], known[2], known[3], known[4])
  redis.call('DEL', call_key(ARGV[1]))
elseif known[5] then
  redis.call('HSET', call_key(ARGV[1]), 'g', '1')
  redis.call('PUBLISH', 'gw:w:' .. known[5], 'gone:' .. ARGV[1])
end
return state
