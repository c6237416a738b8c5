-- ARGV: now, project, how many. The project's calls in line, by priority and age, then those under way. Returns
-- {id, state, priority, ms since it came, model, …}, at most twice as many as asked of each.
local now, j, most, out = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), {}

local function tell(id)
  local known = redis.call('HMGET', call_key(id), 's', 'p', 'q', 'm', 'j')
  if known[1] and known[5] == j then
    out[#out + 1] = id
    out[#out + 1] = known[1]
    out[#out + 1] = tonumber(known[2])
    out[#out + 1] = now - tonumber(known[3])
    out[#out + 1] = known[4] or ''
    return 1
  end
  return 0
end

local told = 0
for p = 0, 2 do
  if told < most then
    for _, id in ipairs(redis.call('LRANGE', wait_key(p, j), 0, most - told - 1)) do told = told + tell(id) end
  end
end
-- What runs is known by worker only: looked through up to a bound.
local looked = 0
told = 0
for _, worker in ipairs(redis.call('ZRANGE', G .. 'workers', 0, -1)) do
  if told >= most or looked >= 2000 then break end
  for _, id in ipairs(redis.call('SMEMBERS', G .. 'held:' .. worker)) do
    looked = looked + 1
    told = told + tell(id)
    if told >= most or looked >= 2000 then break end
  end
end
return out
