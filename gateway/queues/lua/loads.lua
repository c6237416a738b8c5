-- ARGV: now. Returns per living worker its name, ms since its last sign of life, and its load.
local now, out = clock(ARGV[1]), {}
local found = redis.call('ZRANGE', G .. 'workers', 0, -1, 'WITHSCORES')
for i = 1, #found, 2 do
  out[#out + 1] = found[i]
  out[#out + 1] = now - tonumber(found[i + 1])
  out[#out + 1] = redis.call('HGET', G .. 'loads', found[i]) or '0/0'
end
return out
