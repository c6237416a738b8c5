-- ARGV: now, worker, ms after which silence is death, calls it runs, calls it may run. A sign of life. Returns the silent
-- ones among the others.
local now = clock(ARGV[1])
redis.call('ZADD', G .. 'workers', now, ARGV[2])
redis.call('HSET', G .. 'loads', ARGV[2], ARGV[4] .. '/' .. ARGV[5])
return redis.call('ZRANGEBYSCORE', G .. 'workers', '-inf', now - tonumber(ARGV[3]))
