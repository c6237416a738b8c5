-- ARGV: now. Returns now, {target, circuit, …}, {target, figures, …}, {target, ms it still rests, …}; what nobody has
-- told of for long is dropped.
local now = clock(ARGV[1])
local function fresh(name, field, limit)
  local found, out = redis.call('HGETALL', G .. name), {}
  for i = 1, #found, 2 do
    if cjson.decode(found[i + 1])[field] < now - limit then
      redis.call('HDEL', G .. name, found[i])
    else
      out[#out + 1] = found[i]
      out[#out + 1] = found[i + 1]
    end
  end
  return out
end
local function resting()
  local found, out = redis.call('HGETALL', G .. 'rests'), {}
  for i = 1, #found, 2 do
    local left = tonumber(found[i + 1]) - now
    if left <= 0 then
      redis.call('HDEL', G .. 'rests', found[i])
    else
      out[#out + 1] = found[i]
      out[#out + 1] = left
    end
  end
  return out
end
return {now, fresh('circuits', 'o', 86400000), fresh('figures', 't', 600000), resting()}
