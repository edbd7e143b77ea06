//! Scripts of a reader that has the right to fill, or to refresh.

use std::sync::LazyLock;

use aside_redis::Script;

/// `key; fill, token` -> 1 the caller is to refresh the value, 0 another reader is, or
/// it is another value.
///
/// The token goes into the refresh field of the value, whose TTL stays. A repetition
/// finds its own token, and must not lose to itself.
pub(crate) static REFRESH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "refresh",
        with_prelude!(
            r"
local key, fill, token = KEYS[1], ARGV[1], ARGV[2]
if state(read(key), key) ~= 'V' then return 0 end
local head = call('GETRANGE', key, '0', '116')
if #head ~= 117 or not head:find('^V%x*\n$') then return 0 end
local claim = head:sub(83, 114)
if claim == token then return 1 end
if claim ~= ('0'):rep(32) or head:sub(51, 62) ~= fill then return 0 end
local set = pcall('SETRANGE', key, '82', token)
if type(set) ~= 'table' then return 1 end
if set.err:find('OOM', 1, true) then
  return redis.error_reply('OOM no memory for a claim')
end
return set"
        ),
    )
});

/// `key; token, value, ttl` -> 1 stored, 0 the token is gone.
///
/// The token is that of a lease, or in the refresh field of the value to replace.
/// The error is created anew because older servers wrap it, and its first word
/// distinguishes a full server from a broken one.
pub(crate) static FILL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "fill",
        with_prelude!(
            r"
local key, token, value, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local kind, bytes = state(read(key), key)
if kind == 'V' then
  if call('GETRANGE', key, '82', '113') ~= token then return 0 end
elseif kind ~= 'L' or bytes ~= 'L' .. token then
  return 0
end
local set = pcall('SET', key, value, 'PX', ttl)
if not set.err then return 1 end
if set.err:find('OOM', 1, true) then
  return redis.error_reply('OOM no memory for a value')
end
return set"
        ),
    )
});

/// `key; token` -> 1 given back, 0 the token was gone.
pub(crate) static ABANDON: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "abandon",
        with_prelude!(
            r"
local key = KEYS[1]
local kind, bytes = state(read(key), key)
if kind ~= 'L' or bytes ~= 'L' .. ARGV[1] then return 0 end
call('DEL', key)
return 1"
        ),
    )
});
