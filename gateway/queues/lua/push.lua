-- ARGV: now, id, priority, project, body, ms until its deadline, project's bound, overall bound, bound of bytes, model.
-- Returns {1, calls before it} or {0, which bound, how many wait, ms the project's first one has waited}.
local now, id, p, j, body = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('EXISTS', call_key(id)) == 1 then return {1, 0} end -- asked again after a lost answer
local ahead, all = 0, 0
for level = 0, 2 do
  local count = redis.call('ZCARD', G .. 'age:' .. level)
  all = all + count
  if level <= tonumber(p) then ahead = ahead + count end
end
local mine = waiting_of(j)
local full = nil
if mine >= tonumber(ARGV[7]) then full = 'project'
elseif all >= tonumber(ARGV[8]) then full = 'calls'
elseif tonumber(redis.call('HGET', AT, 'bytes') or '0') + #body > tonumber(ARGV[9]) then full = 'bytes' end
if full then
  local oldest = now
  for level = 0, 2 do
    local first = redis.call('LINDEX', wait_key(level, j), 0)
    if not first or full ~= 'project' then
      first = redis.call('ZRANGE', G .. 'age:' .. level, 0, 0)[1]
    end
    local came = first and tonumber(redis.call('HGET', call_key(first), 'q') or now)
    if came and came < oldest then oldest = came end
  end
  return {0, full, full == 'project' and mine or all, now - oldest}
end
local left_ms = tonumber(ARGV[6])
redis.call('HSET', call_key(id), 's', 'q', 'b', body, 'p', p, 'j', j, 'q', now, 'd', now + left_ms, 'n', #body, 'm', ARGV[10])
redis.call('PEXPIRE', call_key(id), math.max(left_ms, 0) + KEEP)
redis.call('RPUSH', wait_key(p, j), id)
redis.call('ZADD', G .. 'age:' .. p, now, id)
redis.call('HINCRBY', AT, 'bytes', #body)
join(p, j)
ring()
return {1, ahead}
