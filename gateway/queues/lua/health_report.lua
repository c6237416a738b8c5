-- How attempts went. ARGV: now, JSON [[target, [[kind, ms since it began, ms it took, 's' or 'w', why, ms to rest], …]],
-- …]; kinds:
-- o answered, f failed (time-out, 5xx, no connection), l limited (429). `ms it took` is below 0 where it says nothing.
-- Returns the open circuits of these targets: {target, circuit or ''} …
--   h:n:<target>  counts: row of failures, s<slot> 'second:answered:failed:limited' of the last 30 s
--   h:t:<target>:s (streams: to the first token) and :w (whole answers): when and how long, the last 33
--   h:m:<connection>  its targets by when they were last told of: 200 at most, so that nobody's made-up models fill Redis
--   circuits      target -> JSON o opened (last), s since (first), p probed until, w why
--   turns         stream of openings and closings: t target, s since, c closed at (0: not yet), w why; rows keep them
--   rests         target -> until when it takes nothing: its provider said so
--   figures       target -> JSON t when, n answered, f failed, l limited, s and w medians in ms with st and wt, their times
local now = clock(ARGV[1])
local second = math.floor(now / 1000)
local IN_ROW, LEAST, WINDOW, SAMPLES, FRESH = 5, 20, 30, 33, 600000
local out = {}

local function has_room(target)
  local key = G .. 'h:m:' .. target:match('^[^|]*')
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - KEEP)
  if redis.call('ZCARD', key) >= 200 and not redis.call('ZSCORE', key, target) then return false end
  redis.call('ZADD', key, now, target)
  redis.call('PEXPIRE', key, KEEP)
  return true
end

local function median(key)
  local found = redis.call('LRANGE', key, 0, SAMPLES - 1)
  local times = {}
  for _, one in ipairs(found) do
    local at, took = one:match('^(%d+):(.+)$')
    if tonumber(at) > now - FRESH then times[#times + 1] = tonumber(took) end
  end
  table.sort(times)
  return times[math.ceil(#times / 2)]
end

local function sums(key)
  local n, f, l = 0, 0, 0
  local known = redis.call('HGETALL', key)
  for i = 1, #known, 2 do
    if known[i] ~= 'row' then
      local at, a, b, c = known[i + 1]:match('^(%d+):(%d+):(%d+):(%d+)$')
      if tonumber(at) > second - WINDOW then n, f, l = n + a, f + b, l + c end
    end
  end
  return n, f, l
end

local function count(key, kind)
  local slot = 's' .. second % WINDOW
  local at, n, f, l = (redis.call('HGET', key, slot) or ''):match('^(%d+):(%d+):(%d+):(%d+)$')
  if tonumber(at or 0) ~= second then n, f, l = 0, 0, 0 end
  if kind == 'o' then n = n + 1 elseif kind == 'f' then f = f + 1 else l = l + 1 end
  redis.call('HSET', key, slot, string.format('%d:%d:%d:%d', second, n, f, l))
end

-- One attempt's outcome; the circuit after it (or nil) and whether that is another one.
local function judge(key, c, kind, began, why)
  if kind == 'l' then
    if c and began >= c.o then c.p = 0 return c, true end
    return c, false
  end
  if kind == 'o' then
    if c and began >= c.o then redis.call('DEL', key) return nil, true end
    if not c then redis.call('HSET', key, 'row', 0) end
    return c, false
  end
  local row = redis.call('HINCRBY', key, 'row', 1)
  if c then
    if began < c.o then return c, false end
    c.o, c.p, c.w = now, 0, why
    return c, true
  end
  local n, f = sums(key)
  if row >= IN_ROW then
    return {o = now, s = now, p = 0, w = row .. ' failures in a row, the last: ' .. why}, true
  elseif n + f >= LEAST and f * 2 >= n + f then
    return {o = now, s = now, p = 0, w = f .. ' of ' .. (n + f) .. ' calls failed, the last: ' .. why}, true
  end
  return nil, false
end

-- Told when a circuit opens and when it closes, not when a probe fails.
local function tell(target, before, after)
  if not before == not after then return end
  local one = after or before
  redis.call('XADD', G .. 'turns', 'MAXLEN', '~', 10000, '*', 't', target, 's', string.format('%d', one.s),
    'c', string.format('%d', after and 0 or now), 'w', one.w)
end

local function take(entry)
  local target, key = entry[1], G .. 'h:n:' .. entry[1]
  local held = redis.call('HGET', G .. 'circuits', target)
  local c = held and cjson.decode(held)
  local figures = cjson.decode(redis.call('HGET', G .. 'figures', target) or '{}')
  for _, one in ipairs(entry[2]) do
    local kind, began, took, how = one[1], now - one[2], one[3], one[4]
    local changed
    local before = c
    count(key, kind)
    if one[6] > 0 then redis.call('HSET', G .. 'rests', target, now + one[6]) end
    c, changed = judge(key, c, kind, began, one[5])
    tell(target, before, c)
    if changed and c then
      redis.call('HSET', G .. 'circuits', target, cjson.encode(c))
    elseif changed then
      redis.call('HDEL', G .. 'circuits', target)
    end
    if took >= 0 then
      local times = G .. 'h:t:' .. target .. ':' .. how
      redis.call('LPUSH', times, string.format('%d:%.3f', now, took))
      redis.call('LTRIM', times, 0, SAMPLES - 1)
      redis.call('PEXPIRE', times, FRESH)
      figures[how .. 't'] = now
    end
  end
  redis.call('PEXPIRE', key, KEEP)
  figures.t = now
  figures.n, figures.f, figures.l = sums(key)
  for _, how in ipairs({'s', 'w'}) do
    if figures[how .. 't'] == now then figures[how] = median(G .. 'h:t:' .. target .. ':' .. how) end
  end
  redis.call('HSET', G .. 'figures', target, cjson.encode(figures))
  out[#out + 1] = target
  out[#out + 1] = c and cjson.encode(c) or ''
end

for _, entry in ipairs(cjson.decode(ARGV[2])) do
  if has_room(entry[1]) then take(entry) end
end
return {now, unpack(out)}
