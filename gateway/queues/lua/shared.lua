-- Keys, all in one slot ({gw}); times are milliseconds of Redis's own clock.
--   c:<call>          what is known of one call: s state, b body, p priority, j project, q queued, d deadline, n bytes,
--                     w worker, g gone (nobody waits any more), m model as the client asked
--                     states: q waits, c claimed, b begun, d its worker died, x too late, k cancelled by hand
--   wait:<p>:<j>      calls of one project in one priority, in order
--   turn:<p>          projects with waiting calls, by the round in which they are next
--   age:<p>           waiting calls by when they came
--   at                figures: round:<p> the round now served, aged whether the last one out was an old one,
--                     bytes of waiting bodies
--   held:<worker>     calls a worker has claimed and not finished
--   workers           workers by their last sign of life
--   loads             by worker: calls it runs / calls it may run
--   bell              one entry while somebody should look
local G = '{gw}:'
local AT = G .. 'at'
local BELL = G .. 'bell'
local KEEP = 3600000
local TOLD = 60000

local function clock(given)
  if tonumber(given) > 0 then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function call_key(id) return G .. 'c:' .. id end
local function wait_key(p, j) return G .. 'wait:' .. p .. ':' .. j end

local function ring()
  if redis.call('LLEN', BELL) == 0 then redis.call('LPUSH', BELL, '1') end
end

local function waiting_of(j)
  return redis.call('LLEN', wait_key(0, j)) + redis.call('LLEN', wait_key(1, j)) + redis.call('LLEN', wait_key(2, j))
end

local function waiting_in_all()
  return redis.call('ZCARD', G .. 'age:0') + redis.call('ZCARD', G .. 'age:1') + redis.call('ZCARD', G .. 'age:2')
end

-- A project that comes anew is next in the round after the one now served: behind who waits already, before who was
-- just served twice.
local function join(p, j)
  local round = tonumber(redis.call('HGET', AT, 'round:' .. p) or '0')
  redis.call('ZADD', G .. 'turn:' .. p, 'NX', round + 1, j)
end

-- Out of the line: the call is no longer waiting; its place in the list is already taken out.
local function left(id, p, j, bytes)
  redis.call('ZREM', G .. 'age:' .. p, id)
  if redis.call('EXISTS', wait_key(p, j)) == 0 then redis.call('ZREM', G .. 'turn:' .. p, j) end
  if waiting_in_all() == 0 then
    redis.call('DEL', AT)
  else
    redis.call('HINCRBY', AT, 'bytes', -(tonumber(bytes) or 0))
  end
end

-- Back to the front of its project's line, as old as it was.
local function back(id, p, j, queued, bytes)
  redis.call('HSET', call_key(id), 's', 'q')
  redis.call('HDEL', call_key(id), 'w')
  redis.call('LPUSH', wait_key(p, j), id)
  redis.call('ZADD', G .. 'age:' .. p, queued, id)
  redis.call('HINCRBY', AT, 'bytes', tonumber(bytes) or 0)
  join(p, j)
  ring()
end
