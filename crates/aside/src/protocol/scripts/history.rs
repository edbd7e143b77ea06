//! Scripts about whole kinds, and about the history of all keys.

use std::sync::LazyLock;

use aside_redis::Script;

/// `epochs key; kind, known, how, channel, message, era` -> the epoch. How: '1'
/// raises it, '0' only if it is missing or below `known`, '2' only if there is
/// one, else 0; '3' sets it to `known` if it is missing or below.
///
/// The epoch is the server's clock, or one more than a known later epoch: two
/// concurrent bumps both count, and a lost hash begins above all earlier
/// stamps. A key of another type counts as missing. An epoch that is not a
/// number, or is more than a minute ahead of the clock, cannot be the script's
/// own and hides the true one. Then another era begins; see `trust/epochs.rs`.
/// Beyond the year 2286 an epoch would not fit into a header.
///
/// If memory is full, `HDEL` before `HSET` makes room, as `DEL` does before
/// `SET`. It is used only then, because a user with the right to delete but not
/// to set would lose the epoch.
pub(crate) static BUMP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "bump",
        with_prelude!(
            r"
local key, kind, known, how, channel, message = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local latest = now() + 60000
if latest > 9999999999999 then
  return redis.error_reply('CLOCK the clock of the server is beyond the year 2286')
end
own_hash(key)
local field, lost = call('HGET', key, kind) or '0', known > latest
if field ~= '0' and (#field ~= 13 or field:find('[^0-9]') or tonumber(field) > latest) then
  field, lost = '0', true
end
field = tonumber(field)
if lost then
  if known > latest then known = 0 end
  local failed = hset(key, 'aside', ARGV[6])
  if failed then return failed end
elseif how == '0' and field > 0 and field >= known or how == '2' and field == 0 or how == '3' and field >= known then
  return field
end
local epoch = math.max(now(), field + 1, known + 1)
if how == '3' and not lost then epoch = known end
local digits = string.format('%013.0f', epoch)
local failed = hset(key, kind, digits)
if failed then return failed end
call('PUBLISH', channel, message .. ' ' .. digits .. ' ' .. kind)
return epoch"
        ),
    )
});

/// `epochs key; era or '', '1' if only a missing one is replaced, expected, new
/// or ''` -> `{era or '', the last known state of the database}`.
///
/// With `new`, the script changes nothing unless the last known state is the
/// expected one. So only one of several instances that notice a change begins
/// an era. The field `aside` cannot be the epoch of a kind, because no kind may
/// have that name.
pub(crate) static HISTORY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "history",
        with_prelude!(
            r"
local key, era, missing, expected, new = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
own_hash(key)
local last = call('HGET', key, 'aside:database') or ''
if new == '' or last == expected then
  if era ~= '' and not (missing == '1' and call('HGET', key, 'aside')) then
    local failed = hset(key, 'aside', era)
    if failed then return failed end
  end
  if new ~= '' then
    local failed = hset(key, 'aside:database', new)
    if failed then return failed end
    last = new
  end
end
return {call('HGET', key, 'aside') or '', last}"
        ),
    )
});
