//! The Redis servers of a round, as the instances reach them.

use std::net::SocketAddr;

use aside_testkit::{Proxy, RedisCluster, RedisSentinel, RedisServer};

/// A topology: which servers there are, and how an instance names them.
pub(crate) trait Servers {
    /// Returns the addresses to which each instance gets a separate proxy.
    fn addresses(&self) -> Vec<SocketAddr>;

    /// Returns `REDIS_URL` for an instance with these proxies, in the order of
    /// [`addresses`](Self::addresses).
    fn url(&self, proxies: &[Proxy]) -> String;
}

impl Servers for RedisServer {
    fn addresses(&self) -> Vec<SocketAddr> {
        vec![self.address()]
    }

    fn url(&self, proxies: &[Proxy]) -> String {
        format!("redis://{}/0", proxies[0].address())
    }
}

/// First primary and replicas, then the Sentinels. Addresses that Sentinels
/// announce lead to the proxies by `REDIS_NODE_MAP`.
impl Servers for RedisSentinel {
    fn addresses(&self) -> Vec<SocketAddr> {
        let all = self.servers().iter().chain(self.sentinels());
        all.map(RedisServer::address).collect()
    }

    fn url(&self, _: &[Proxy]) -> String {
        Self::url(self)
    }
}

/// Addresses that the nodes announce lead to the proxies by `REDIS_NODE_MAP`.
impl Servers for RedisCluster {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes().iter().map(RedisServer::address).collect()
    }

    fn url(&self, _: &[Proxy]) -> String {
        Self::url(self)
    }
}
