-- ARGV: now, worker, how many, ms after which a call of a lower priority goes first.
-- Returns {body, ms it came, ms now, …}. Strict order of priorities, except that of two handed out one may be of a
-- lower priority that has waited too long: it is never starved, and a flood of old ones does not stop the others.
local now, worker, wanted, limit = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local aged_turn = redis.call('HGET', AT, 'aged') ~= '1'

local function level_now()
  local top, old, since = nil, nil, nil
  for p = 0, 2 do
    local first = redis.call('ZRANGE', G .. 'age:' .. p, 0, 0, 'WITHSCORES')
    if first[1] then
      if redis.call('EXISTS', G .. 'turn:' .. p) == 0 then
        redis.call('DEL', G .. 'age:' .. p) -- Redis dropped keys of ours; nobody can be found by these
      elseif not top then
        top = p
      elseif tonumber(first[2]) <= now - limit and (not since or tonumber(first[2]) < since) then
        old, since = p, tonumber(first[2])
      end
    end
  end
  if old and aged_turn then return old, true end
  return top, false
end

local out, tries = {}, wanted + 500
while wanted > 0 and tries > 0 do
  tries = tries - 1
  local p, is_aged = level_now()
  if not p then break end
  local next_one = redis.call('ZRANGE', G .. 'turn:' .. p, 0, 0, 'WITHSCORES')
  local j, round = next_one[1], tonumber(next_one[2])
  local id = redis.call('LPOP', wait_key(p, j))
  if not id then
    redis.call('ZREM', G .. 'turn:' .. p, j)
  else
    local known = redis.call('HMGET', call_key(id), 'b', 'q', 'd', 'n', 's')
    redis.call('ZADD', G .. 'turn:' .. p, round + 1, j)
    redis.call('HSET', AT, 'round:' .. p, round)
    left(id, p, j, known[4])
    if known[5] == 'q' and tonumber(known[3]) <= now then
      redis.call('HSET', call_key(id), 's', 'x')
      redis.call('HDEL', call_key(id), 'b')
      redis.call('PEXPIRE', call_key(id), TOLD)
    elseif known[5] == 'q' and known[1] then
      redis.call('HSET', call_key(id), 's', 'c', 'w', worker)
      redis.call('SADD', G .. 'held:' .. worker, id)
      out[#out + 1] = known[1]
      out[#out + 1] = tonumber(known[2])
      out[#out + 1] = now
      wanted = wanted - 1
      aged_turn = not is_aged
    end
  end
end
if waiting_in_all() > 0 then
  redis.call('HSET', AT, 'aged', aged_turn and '0' or '1')
  ring()
end
return out
