-- ARGV: now, project ('' for all). Returns per priority how many wait and ms the first one has waited; then workers.
local now, j = clock(ARGV[1]), ARGV[2]
local out = {}
for p = 0, 2 do
  local came = nil
  if j == '' then
    out[#out + 1] = redis.call('ZCARD', G .. 'age:' .. p)
    came = redis.call('ZRANGE', G .. 'age:' .. p, 0, 0, 'WITHSCORES')[2]
  else
    out[#out + 1] = redis.call('LLEN', wait_key(p, j))
    local first = redis.call('LINDEX', wait_key(p, j), 0)
    came = first and redis.call('HGET', call_key(first), 'q')
  end
  out[#out + 1] = came and now - tonumber(came) or 0
end
out[#out + 1] = redis.call('ZCARD', G .. 'workers')
return out
