-- ARGV: worker, ids: claimed by it and not begun. Returns how many wait again.
local count = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  local known = redis.call('HMGET', call_key(id), 's', 'w', 'g', 'p', 'j', 'q', 'n')
  if known[1] == 'c' and known[2] == ARGV[1] then
    redis.call('SREM', G .. 'held:' .. ARGV[1], id)
    if known[3] then
      redis.call('DEL', call_key(id))
    else
      back(id, known[4], known[5], known[6], known[7])
      count = count + 1
    end
  end
end
return count
