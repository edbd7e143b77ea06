//! The Lua scripts of the protocol.
//!
//! Each works on one key at a time and uses the server's clock, so no two
//! clocks are compared. Scripts of a write take several keys and treat them one
//! by one, like several calls, because calling a script costs the server more
//! than its work on a key. (A cluster would need one call per slot.)
//! `memory://` implements them again in Rust, and the conformance suite checks
//! both.
//!
//! Two orders matter. Protocol state is stored even if memory is full: a server
//! under `noeviction` accepts a `SET` after a `DEL`, and a writer without a
//! quarantine would have to be refused. A value is stored without the `DEL`,
//! because a full server should refuse values. `PUBLISH` comes last, so that a
//! receiver finds the change in effect.
//!
//! A call from Lua costs several times as much as the command itself, so the
//! scripts make few. Arguments are strings, because Lua formats a number with
//! seventeen digits.
//!
//! Any bytes of another origin count as absent: another type, an unknown first
//! byte, a malformed `L` or `Q`, or one without a TTL, which would never end.
//! Numbers are returned as integers, and times come from `TIME`, not from the
//! caller.

use std::sync::LazyLock;

use aside_redis::Script;

/// Returns every script, to be loaded when a connection opens.
pub(crate) fn all() -> [&'static Script; 12] {
    [
        &ACQUIRE,
        &FILL,
        &ABANDON,
        &QUARANTINE,
        &RELEASE,
        &INVALIDATE,
        &BUMP,
        &HISTORY,
        &STAMP,
        &REFRESH,
        &ANNOUNCE,
        &ANNOUNCED,
    ]
}

/// `state(bytes, key, own)` returns the state encoded in the bytes: 'V'; 'L'
/// and its bytes; or 'Q', the live records of writers other than `own`, whether
/// `own` has one (expired or not: while it exists, no reader has filled), the
/// last deadline and the flag. Any other state is ''. `read(key)` returns at
/// most one record's bytes, because a value may be large.
///
/// The record of a list contains all of its concurrent writers, and each script
/// visits all of them. So patterns are anchored, which is four times as fast as
/// searching for the first byte that does not match, and only expired records
/// are cut out. The rest is concatenated once, because each concatenation
/// copies all of it. Beyond 4,000 records a quarantine is malformed and not
/// read further. A writer that finds 4,000 live ones replaces the first, whose
/// RELEASE then finds its record gone.
///
/// A record more than eleven minutes ahead of the server counts as expired,
/// because the longest quarantine takes ten. It belongs to no writer, or to a
/// server whose clock was ahead.
///
/// `each(work)` returns the reply to `work(at, key)` for every key: the reply
/// itself for one key, else a list. Messages about several keys are published
/// as one message with a line per key.
macro_rules! with_prelude {
    ($body:literal) => {
        concat!(
            r"
local call, pcall = redis.call, redis.pcall

local clock
local function now()
  if not clock then
    local time = call('TIME')
    clock = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return clock
end

local function read(key)
  local bytes = pcall('GETRANGE', key, '0', '47')
  if type(bytes) == 'string' then return bytes end
  if bytes.err:find('WRONGTYPE', 1, true) then return '' end
  return call('GETRANGE', key, '0', '47')
end

local function state(bytes, key, own)
  local first = bytes:sub(1, 1)
  if first == 'V' then return 'V' end
  if first ~= 'L' and first ~= 'Q' then return '' end
  if call('PTTL', key) < 0 then return '' end
  if first == 'L' then
    if #bytes ~= 33 or not bytes:find('^L[0-9a-f]*$') then return '' end
    return 'L', bytes
  end
  if #bytes == 48 then bytes = call('GETRANGE', key, '0', '180002') end
  if #bytes > 180002 or (#bytes - 2) % 45 ~= 0 or not bytes:find('^Q[cd][0-9a-f]*$') then return '' end
  local among, mine = own and bytes:find(own, 3, true), false
  local kept, last, time, latest, from = nil, '0', nil, nil, 3
  for at = 3, #bytes, 45 do
    local deadline = bytes:sub(at + 32, at + 44)
    if not deadline:find('^%d*$') then return '' end
    local is_own = among and bytes:sub(at, at + 31) == own
    if is_own then
      mine = true
    elseif not time then
      time, latest = string.format('%013d', now()), string.format('%013d', now() + 660000)
    end
    if is_own or deadline <= time or deadline > latest then
      if from < at then
        kept = kept or {}
        kept[#kept + 1] = bytes:sub(from, at - 1)
      end
      from = at + 45
    elseif deadline > last then
      last = deadline
    end
  end
  local live = bytes:sub(from)
  if kept then
    kept[#kept + 1] = live
    live = table.concat(kept)
  end
  return 'Q', live, mine, last, bytes:sub(2, 2)
end

local function put(key, bytes, ttl)
  if pcall('SET', key, bytes, 'PX', ttl).err then
    call('DEL', key)
    call('SET', key, bytes, 'PX', ttl)
  end
end

local function dirtied(key, live, last)
  put(key, 'Qd' .. live, last - now())
end

local function each(work)
  local replies = {}
  for at, key in ipairs(KEYS) do replies[at] = work(at, key) end
  if #replies == 1 then return replies[1] end
  return replies
end

local function own_hash(key)
  local stored = call('TYPE', key).ok
  if stored ~= 'hash' and stored ~= 'none' then call('DEL', key) end
end

local function hset(key, field, value)
  local set = pcall('HSET', key, field, value)
  if type(set) ~= 'table' or not set.err then return end
  if not set.err:find('OOM', 1, true) then return set end
  call('HDEL', key, field)
  call('HSET', key, field, value)
end

local function tell(channel, messages, first)
  call('PUBLISH', channel, table.concat(messages, '\n', first))
end
",
            $body
        )
    };
}

// Declared after the prelude, which it uses.
mod filling;
mod fleet;
mod history;

pub(crate) use filling::{ABANDON, FILL, REFRESH};
pub(crate) use fleet::{ANNOUNCE, ANNOUNCED};
pub(crate) use history::{BUMP, HISTORY};

/// `key; token, lease, observed header or ''` -> `{0, value}` a value,
/// `{1, ''}` granted, `{2, ms left}` wait, `{3, ms left}` quarantined.
///
/// A value is replaced only if it begins with the header that the caller
/// rejected, because another reader may have filled since.
pub(crate) static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "acquire",
        with_prelude!(
            r"
local key, token, lease, observed = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local kind, live = state(read(key), key)
if kind == 'V' then
  if observed == '' or call('GETRANGE', key, 0, #observed - 1) ~= observed then
    return {0, call('GET', key)}
  end
elseif kind == 'L' then
  return {2, call('PTTL', key)}
elseif kind == 'Q' and #live > 0 then
  return {3, call('PTTL', key)}
end
put(key, 'L' .. token, lease)
return {1, ''}"
        ),
    )
});

/// `key; history, epoch, stamp, ttl` -> `{1, stamp}` the key's, `{3, ms left}`
/// quarantined.
///
/// The fill of a value, of any shape, is its stamp if the value has this history and
/// no older epoch. So is the first half of a lease's token, because its FILL writes
/// that half into the value. Any other key gets a mark with `stamp`.
///
/// Only this script prolongs a mark, where it is and under the stamp that it has.
/// Its end is in the version field, for readers, which cannot see a TTL.
pub(crate) static STAMP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "stamp",
        with_prelude!(
            r"
local key, history, epoch, stamp, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local kind, live = state(read(key), key)
if kind == 'L' then
  return {1, live:sub(2, 17)}
elseif kind == 'Q' and #live > 0 then
  return {3, call('PTTL', key)}
end
local function mark(tag, of, under)
  local last = string.format('%020d', now() + ttl)
  return pcall('SET', key, 'V' .. tag .. of .. ('f'):rep(16) .. under .. last .. ('0'):rep(32) .. '02\nmark', 'PX', ttl)
end
if kind == 'V' then
  local head = call('GETRANGE', key, '0', '116')
  local tag, of, under, last, flags = head:sub(2, 17), head:sub(18, 30), head:sub(47, 62), head:sub(63, 82), head:sub(115, 116)
  if #head == 117 and head:find('^V%x*\n$') and not (of .. last):find('%D') and tag == history and of >= epoch
    and tonumber(of) <= math.max(now(), tonumber(epoch)) + 60000 then
    if flags == '02' and tonumber(last) - now() < ttl / 2 then mark(tag, of, under) end
    return {1, under}
  end
end
local set = mark(history, epoch, stamp)
if not set.err then return {1, stamp} end
if set.err:find('OOM', 1, true) then
  return redis.error_reply('OOM no memory for a mark')
end
return set"
        ),
    )
});

/// `keys; writer, ttl, channel, then a message for each key` -> 1 for each.
///
/// The flag is `c` only if there was no quarantine: any earlier one, even the
/// writer's own, may hide a commit newer than the value of RELEASE.
pub(crate) static QUARANTINE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "quarantine",
        with_prelude!(
            r"
local writer, ttl, channel = ARGV[1], ARGV[2], ARGV[3]
local deadline = now() + ttl
local own = writer .. string.format('%013d', deadline)
local replies = each(function(at, key)
  local kind, live, _, last = state(read(key), key, writer)
  if kind ~= 'Q' then
    put(key, 'Qc' .. own, ttl)
  else
    if #live >= 180000 then live = live:sub(46) end
    put(key, 'Qd' .. live .. own, math.max(last, deadline) - now())
  end
  return 1
end)
tell(channel, ARGV, 4)
return replies"
        ),
    )
});

/// `keys; writer, channel, then for each key: message, value or '', ttl` -> for
/// each: 2 value stored, 1 the quarantine was intact, 0 it had been lost.
///
/// A value refused for lack of memory still ends the quarantine. A remaining
/// `Q` is marked dirty, because a write was completed under it.
pub(crate) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "release",
        with_prelude!(
            r"
local writer, channel = ARGV[1], ARGV[2]
local held, gone, lost = call('MGET', unpack(KEYS)), {}, {}
local replies = each(function(at, key)
  local kind, live, mine, last, flag = state(held[at] or '', key, writer)
  local message, value, ttl = ARGV[3 * at], ARGV[3 * at + 1], ARGV[3 * at + 2]
  if mine and #live == 0 and flag == 'c' and value ~= '' then
    if not pcall('SET', key, value, 'PX', ttl).err then return 2 end
  end
  if kind == 'Q' and #live > 0 then
    dirtied(key, live, last)
  else
    gone[#gone + 1] = key
  end
  if mine then return 1 end
  lost[#lost + 1] = message
  return 0
end)
if #gone > 0 then call('DEL', unpack(gone)) end
if #lost > 0 then tell(channel, lost, 1) end
return replies"
        ),
    )
});

/// `keys; channel, then a message for each key` -> 1 for each.
///
/// A live quarantine stays, because its writer has not committed or not
/// released yet. Foreign bytes stay too, even if they begin with a `V`: other
/// programs, and foreign rows of the journal, may name keys here.
///
/// Failover. An acknowledgement must come from a server that accepts writes. A
/// demoted one, which holds no value, would otherwise acknowledge for the new
/// primary, which still holds one. So if there is nothing to delete, the script
/// tries an `HDEL` of a field that no hash has.
pub(crate) static INVALIDATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "invalidate",
        with_prelude!(
            r"
local gone = {}
local replies = each(function(at, key)
  local bytes = read(key)
  local kind, live, _, last = state(bytes, key)
  if kind == 'Q' and #live > 0 then
    dirtied(key, live, last)
  elseif kind ~= '' and (kind ~= 'V' or #bytes == 48 and bytes:find('^V%x*$')) then
    gone[#gone + 1] = key
  end
  return 1
end)
if #gone > 0 then
  call('DEL', unpack(gone))
else
  local refused = pcall('HDEL', KEYS[1], ARGV[1])
  if type(refused) == 'table' and not refused.err:find('WRONGTYPE', 1, true) then return refused end
end
tell(ARGV[1], ARGV, 2)
return replies"
        ),
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_has_a_distinct_name() {
        let mut hashes: Vec<_> = all()
            .iter()
            .map(|script| script.sha1().to_owned())
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), all().len());
        assert!(hashes.iter().all(|sha1| sha1.len() == 40));
    }
}
