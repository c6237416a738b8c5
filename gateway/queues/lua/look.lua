-- ARGV: a reply stream, ids. Returns the stream's last entry ('' without one), then per id its state and worker, or ''.
local last = redis.call('XREVRANGE', ARGV[1], '+', '-', 'COUNT', 1)
local out = {last[1] and last[1][1] or ''}
for i = 2, #ARGV do
  local known = redis.call('HMGET', call_key(ARGV[i]), 's', 'w')
  out[#out + 1] = known[1] and (known[1] .. (known[2] or '')) or ''
end
return out
