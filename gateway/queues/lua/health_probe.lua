-- ARGV: now, target, ms a circuit stays open, ms a probe may take. Returns now, 1 for whom may try the target (its
-- circuit is closed, or this is the one probe of a half-open one) else 0, and the circuit or ''.
local now, target = clock(ARGV[1]), ARGV[2]
local held = redis.call('HGET', G .. 'circuits', target)
if not held then return {now, 1, ''} end
local c = cjson.decode(held)
if now < c.o + tonumber(ARGV[3]) or c.p > now then return {now, 0, held} end
c.p = now + tonumber(ARGV[4])
held = cjson.encode(c)
redis.call('HSET', G .. 'circuits', target, held)
return {now, 1, held}
