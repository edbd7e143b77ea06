//! Scripts about the reports that instances announce.

use std::sync::LazyLock;

use aside_redis::Script;

/// `hash; field, report, '1' if old reports are removed` -> 1.
///
/// The server's clock dates each report, so that no two clocks are compared. A
/// report that is an hour old, or an hour ahead after a correction of the clock,
/// is removed. A thousand at a time, because Lua passes a limited number.
pub(crate) static ANNOUNCE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "announce",
        with_prelude!(
            r"
local key, field, report, prunes = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
own_hash(key)
local failed = hset(key, field, string.format('%013d', now()) .. ' ' .. report)
if failed then return failed end
if prunes == '1' then
  local all, old = call('HGETALL', key), {}
  for at = 1, #all, 2 do
    local announced = tonumber(all[at + 1]:match('^(%d+) '))
    if not announced or math.abs(now() - announced) > 3600000 then old[#old + 1] = all[at] end
    if #old == 1000 then break end
  end
  if #old > 0 then call('HDEL', key, unpack(old)) end
end
return 1"
        ),
    )
});

/// `hash` -> `{time, fields and values}`. A key of another type has none.
pub(crate) static ANNOUNCED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "announced",
        with_prelude!(
            r"
local all = pcall('HGETALL', KEYS[1])
if all.err then
  if not all.err:find('WRONGTYPE', 1, true) then return all end
  all = {}
end
return {now(), all}"
        ),
    )
});
