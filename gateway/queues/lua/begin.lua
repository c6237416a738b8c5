-- ARGV: worker, id. 1: it is this worker's, and from now on never handed out again. 0: it is not (cancelled, or the
-- worker was taken for dead and somebody else has it, or Redis forgot it).
local known = redis.call('HMGET', call_key(ARGV[2]), 's', 'w', 'g')
if known[1] ~= 'c' or known[2] ~= ARGV[1] or known[3] then return 0 end
redis.call('HSET', call_key(ARGV[2]), 's', 'b')
redis.call('HDEL', call_key(ARGV[2]), 'b')
return 1
