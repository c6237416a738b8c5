-- ARGV: project, ids. Somebody cancels them: one that waits is taken out and marked, for those who ask (look); the worker
-- of one that runs is told. Returns per id the state it was in ('' when the project has no such call in line).
local out = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local known = redis.call('HMGET', call_key(id), 's', 'p', 'j', 'n', 'w')
  local state = known[1]
  if not state or known[3] ~= ARGV[1] then
    state = ''
  elseif state == 'q' or state == 'c' then
    if state == 'q' then
      redis.call('LREM', wait_key(known[2], known[3]), 1, id)
      left(id, known[2], known[3], known[4])
    else
      redis.call('SREM', G .. 'held:' .. known[5], id)
    end
    redis.call('HSET', call_key(id), 's', 'k')
    redis.call('HDEL', call_key(id), 'b', 'w')
    redis.call('PEXPIRE', call_key(id), TOLD)
  elseif state == 'b' and known[5] then
    redis.call('PUBLISH', 'gw:w:' .. known[5], 'stop:' .. id)
  end
  out[#out + 1] = state
end
return out
