-- ARGV: now, worker, ms after which silence is death. A sign of life. Returns the silent ones among the others.
local now = clock(ARGV[1])
redis.call('ZADD', G .. 'workers', now, ARGV[2])
return redis.call('ZRANGEBYSCORE', G .. 'workers', '-inf', now - tonumber(ARGV[3]))
