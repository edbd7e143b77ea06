//! The rules of a URL.

/// The first rule that a URL breaks. Its text describes a URL that keeps it.
///
/// The texts are fixed, so no part of a URL can stand in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It has none of the known schemes.
    #[error("redis://, rediss://, unix:// or memory://, followed by an address")]
    Form,
    /// It has no host, or one that cannot be.
    #[error(
        "a host: a name of ASCII letters, digits, `.`, `-` and `_`, an IPv4 address, or an IPv6 \
         address in brackets"
    )]
    Host,
    /// Its port is none.
    #[error("a port from 1 to 65535")]
    Port,
    /// It has an `@` after a slash, so the slash may belong to a password.
    #[error("%2F for every `/` in user and password")]
    Slash,
    /// Its database is no number that a server takes.
    #[error("a database number after the last slash, 0 to 2147483647")]
    Db,
    /// It has options, which a reader would believe in.
    #[error("nothing after a `?`")]
    Query,
    /// It has a fragment, such as `#insecure`.
    #[error(
        "nothing after a `#`: a server whose certificate is not checked can be any server; a `#` \
         in a password is written %23"
    )]
    Fragment,
    /// It holds whitespace or control characters.
    #[error("no whitespace or control characters: in a password they are percent-encoded, as %20")]
    Space,
    /// A part of it is not UTF-8.
    #[error("user, password and path in UTF-8, percent-encoded")]
    Encoding,
    /// It names no socket.
    #[error("an absolute path after three slashes, as in unix:///run/redis.sock")]
    Socket,
    /// The options of a socket are unknown, or given twice.
    #[error("db, user and pass, each at most once, after the `?` of a socket")]
    SocketQuery,
    /// Its scheme names a cluster in another way.
    #[error(
        "redis+cluster://[user[:password]@]host:port,host:port for a Redis Cluster, or \
         rediss+cluster:// over TLS"
    )]
    Cluster,
    /// Its scheme names Sentinels in another way.
    #[error(
        "redis+sentinel://[user[:password]@]host:port,host:port/service[/db] for Sentinels, or \
         rediss+sentinel:// over TLS"
    )]
    Sentinel,
    /// Its nodes have several users.
    #[error(
        "one user and password, before the first address and for all of them; a `,` in a \
         password is written %2C"
    )]
    Users,
    /// It names Sentinels and no service.
    #[error("a service name after the Sentinels, as in redis+sentinel://host:26379/service/0")]
    Service,
    /// It names a database of a cluster.
    #[error("no database but 0: a Redis Cluster has one")]
    ClusterDb,
    /// The name of a store in memory is none.
    #[error(
        "memory:// alone, or with a name of ASCII letters, digits, `.`, `-` and `_`, which shares \
         it inside the process"
    )]
    Memory,
}
