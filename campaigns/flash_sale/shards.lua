-- The gate of a flash sale in Redis: limit, time, shard and journal in one step, or nothing at all.
--
-- All keys of a sale share one hash tag, so a cluster keeps them together. KEYS:
--   1 map       hash: map (the split), shards, mark (whose load this is)
--   2 left      hash: shard -> units left
--   3 people    hash: person -> pieces he holds
--   4 taken     hash: reservation -> "shard|units|pieces|person"
--   5 requests  hash: request -> reservation
--   6 journal   stream of deductions that the store has not been seen to hold yet
-- ARGV[1] names what is to be done.

local map, left, people, taken, requests, journal = unpack(KEYS)

local function parts(text)
  local shard, units, pieces, person = string.match(text, '^(%d+)|(%d+)|(%d+)|(.*)$')
  return shard, tonumber(units), tonumber(pieces), person
end

-- A shard that can give `units`: one by chance, else one of those that can; else what all hold together is
-- moved into shard 0, if that is enough. nil: there is not that much.
local function find(units, chance, single, shards)
  if single == 0 then
    local first = tostring(1 + chance % shards)
    if (tonumber(redis.call('HGET', left, first)) or 0) >= units then return first end
  end
  local all = redis.call('HGETALL', left)
  local live, sum = {}, 0
  for i = 1, #all, 2 do
    local n = tonumber(all[i + 1])
    if n > 0 then sum = sum + n end
    if n >= units and (single == 0 or all[i] == '0') then live[#live + 1] = all[i] end
  end
  if #live > 0 then return live[1 + chance % #live] end
  if sum < units then return nil end
  for i = 1, #all, 2 do
    local n = tonumber(all[i + 1])
    if n > 0 and all[i] ~= '0' then
      redis.call('HINCRBY', left, all[i], -n)
      redis.call('HINCRBY', left, '0', n)
    end
  end
  return '0'
end

local doing = ARGV[1]

if doing == 'deduct' then
  local asked, request, reservation, person = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
  local pieces, units, most = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
  local now, starts, ends = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
  local chance, single = tonumber(ARGV[12]), tonumber(ARGV[13])
  local found = redis.call('HMGET', map, 'map', 'shards')
  if found[1] ~= asked then return {'stale', found[1] or ''} end
  local known = redis.call('HGET', requests, request)
  if known then
    local entry = redis.call('HGET', taken, known)
    if entry then return {'again', known, (parts(entry))} end
  end
  if starts > 0 and now < starts then return {'early'} end
  if ends > 0 and now >= ends then return {'over'} end
  if most > 0 and (tonumber(redis.call('HGET', people, person)) or 0) + pieces > most then return {'limit'} end
  local shard = find(units, chance, single, tonumber(found[2]))
  if not shard then return {'sold_out'} end
  redis.call('HINCRBY', left, shard, -units)
  redis.call('HINCRBY', people, person, pieces)
  redis.call('HSET', taken, reservation, shard .. '|' .. units .. '|' .. pieces .. '|' .. person)
  redis.call('HSET', requests, request, reservation)
  redis.call('XADD', journal, '*', 'reservation', reservation, 'at', now)
  return {'ok', reservation, shard}
end

-- What of a reservation stays taken: `units` and `pieces`; the rest goes back. Said twice, it is done once.
-- With `lost`, the units are gone for good (the store had none), and only the person has his pieces back.
if doing == 'keep' then
  local asked, reservation = ARGV[2], ARGV[3]
  local units, pieces, lost = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
  if redis.call('HGET', map, 'map') ~= asked then return 0 end
  local entry = redis.call('HGET', taken, reservation)
  if not entry then return 0 end
  local shard, had, held, person = parts(entry)
  if units >= had then return 0 end
  if not lost then redis.call('HINCRBY', left, shard, had - units) end
  redis.call('HINCRBY', people, person, pieces - held)
  if units == 0 then
    redis.call('HDEL', taken, reservation)
  else
    redis.call('HSET', taken, reservation, shard .. '|' .. units .. '|' .. pieces .. '|' .. person)
  end
  return had - units
end

-- The store has taken units that nobody asked the gate for (money that came late): it follows, once.
if doing == 'follow' then
  local asked, reservation, person = ARGV[2], ARGV[3], ARGV[4]
  local pieces, units, chance, single = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
  local found = redis.call('HMGET', map, 'map', 'shards')
  if found[1] ~= asked then return 0 end
  if redis.call('HEXISTS', taken, reservation) == 1 then return 0 end
  local shard = find(units, chance, single, tonumber(found[2])) or '0'
  redis.call('HINCRBY', left, shard, -units)
  redis.call('HINCRBY', people, person, pieces)
  redis.call('HSET', taken, reservation, shard .. '|' .. units .. '|' .. pieces .. '|' .. person)
  return 1
end

-- A whole new content, prepared aside (KEYS 7 people, 8 taken, 9 requests), becomes the sale's own, if nobody was
-- faster: `seen` is the mark that stood here before the content was read from the store.
if doing == 'publish' then
  local seen, mark, asked, shards = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
  local stands = redis.call('HMGET', map, 'mark', 'map')
  if (stands[1] or '') ~= seen or (stands[2] and tonumber(stands[2]) > tonumber(asked)) then
    redis.call('DEL', KEYS[7], KEYS[8], KEYS[9])
    return 0
  end
  redis.call('DEL', map, left, people, taken, requests, journal)
  for i = 7, 9 do
    if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAME', KEYS[i], KEYS[i - 4]) end
  end
  for i = 6, #ARGV, 2 do redis.call('HSET', left, ARGV[i], ARGV[i + 1]) end
  redis.call('HSET', map, 'map', asked, 'shards', shards, 'mark', mark)
  return 1
end

return redis.error_reply('unknown step')
