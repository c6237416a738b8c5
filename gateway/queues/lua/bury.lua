-- ARGV: a worker that is dead. What it had not begun waits again; what it had is marked, for those who ask (look).
-- Returns {calls put back, calls lost}.
local worker, again, lost = ARGV[1], 0, 0
for _, id in ipairs(redis.call('SMEMBERS', G .. 'held:' .. worker)) do
  local known = redis.call('HMGET', call_key(id), 's', 'w', 'g', 'p', 'j', 'q', 'n')
  if known[2] == worker and known[1] == 'c' and not known[3] then
    back(id, known[4], known[5], known[6], known[7])
    again = again + 1
  elseif known[2] == worker then
    redis.call('HSET', call_key(id), 's', 'd')
    redis.call('HDEL', call_key(id), 'b', 'w')
    redis.call('PEXPIRE', call_key(id), TOLD)
    lost = lost + 1
  end
end
redis.call('DEL', G .. 'held:' .. worker)
redis.call('ZREM', G .. 'workers', worker)
redis.call('HDEL', G .. 'loads', worker)
return {again, lost}
