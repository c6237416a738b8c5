-- ARGV: entries at most. Returns now, the oldest openings and closings that were not taken yet (health_report), and
-- {target, circuit, …} of what is open.
local now = clock('0')
local found = redis.call('XRANGE', G .. 'turns', '-', '+', 'COUNT', ARGV[1])
return {now, found, redis.call('HGETALL', G .. 'circuits')}
