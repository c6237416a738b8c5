-- ARGV: now. Returns now, {target, circuit, …}, {target, figures, …}; what nobody has told of for long is dropped.
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
return {now, fresh('circuits', 'o', 86400000), fresh('figures', 't', 600000)}
