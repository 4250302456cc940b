//! All that is said to the server.

use redis::pipe;
use token_refresh_core::{Secret, Version};
use token_refresh_driver::store::FormatError;

use crate::{RedisStoreError, connection::Link};

/// The version and the text. An absent key is made, empty; its version comes from the clock, which is ahead of every
/// version that a deleted key can have had.
const LOAD: &str = "
local version = redis.call('HGET', KEYS[1], 'version')
if not version then
    local time = redis.call('TIME')
    version = time[1] .. string.format('%06d', time[2])
    redis.call('HSET', KEYS[1], 'version', version)
end
return {version, redis.call('HGET', KEYS[1], 'record')}";

/// Where commits are announced, by their keys.
pub(crate) const CHANNEL: &str = "token-refresh";

/// Compare-and-set. Announced on a channel if one is named; that may fail, where the user may not do it, and the commit
/// is good all the same.
const COMMIT: &str = "
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then
    return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'record', ARGV[3])
if ARGV[4] then
    redis.pcall('PUBLISH', ARGV[4], KEYS[1])
end
return 1";

/// What is under a key: the text is absent as long as nothing was committed.
pub(crate) struct Stored {
    pub(crate) version: Version,
    pub(crate) text: Option<Secret>,
}

pub(crate) async fn load(link: &mut Link, key: &str) -> Result<Stored, RedisStoreError> {
    let (version, text): (String, Option<String>) =
        redis::cmd("EVAL").arg(LOAD).arg(1).arg(key).query_async(&mut link.connection).await?;
    let version = version.parse().map_err(|_| FormatError::Member("version"))?;
    Ok(Stored { version: Version(version), text: text.map(Secret::from) })
}

/// `false` is a conflict.
pub(crate) async fn commit(
    link: &mut Link,
    key: &str,
    expected: Version,
    version: Version,
    text: &[u8],
) -> Result<bool, RedisStoreError> {
    let wanted = link.replicas;
    // The replicas get most of the time that is left; the answer has to come back too. Zero would mean for ever.
    let patience = (link.time_left().as_millis() * 3 / 4).max(1);
    let channel = link.announces.then_some(CHANNEL);
    let mut commands = pipe();
    commands.cmd("EVAL").arg(COMMIT).arg(1).arg(key).arg(expected.0).arg(version.0).arg(text).arg(channel);
    if wanted == 0 {
        let (written,): (bool,) = commands.query_async(&mut link.connection).await?;
        return Ok(written);
    }
    commands.cmd("WAIT").arg(wanted).arg(patience.to_string());
    let (written, confirmed): (bool, usize) = commands.query_async(&mut link.connection).await?;
    if written && confirmed < wanted {
        return Err(RedisStoreError::TooFewReplicas { confirmed, wanted });
    }
    Ok(written)
}
