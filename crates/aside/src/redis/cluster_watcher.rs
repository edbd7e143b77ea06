//! The cluster's watcher: asks nodes for the map while no primary's watcher does, at
//! the start and after the loss of all known primaries.
//!
//! All nodes that are known and all seeds are asked at once. One may be left that is
//! wrong, and the others know more.

use std::sync::Arc;
use std::time::Duration;

use aside_redis::Address;
use futures_util::future::join_all;

use crate::redis::broken::Broken;
use crate::redis::cluster::Cluster;
use crate::redis::endpoint::{Endpoint, Role};
use crate::redis::locator::Locator;
use crate::redis::server;
use crate::redis::watcher::{view, view_calls};
use crate::runtime::clock::Moment;
use crate::trust::link::Link;
use crate::trust::refusal::NO_SLOTS;

/// The pause between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(250);

/// Asks until the service ends. `link` belongs to slots without an owner, and shows why
/// there is no map.
pub(crate) async fn run(cluster: Arc<Cluster>, endpoint: Endpoint, link: Arc<Link>) {
    loop {
        if cluster.is_lost() {
            let asked = cluster.addresses().into_iter();
            let answers = join_all(asked.map(|address| ask(&cluster, &endpoint, address)));
            let answers = answers.await;
            let is_answered = answers.iter().any(Result::is_ok);
            for error in answers.into_iter().filter_map(Result::err) {
                link.cannot_connect(&error.to_string());
            }
            if is_answered && cluster.ownership().primaries.is_empty() {
                link.cannot_connect(NO_SLOTS);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(cluster: &Cluster, endpoint: &Endpoint, address: Address) -> Result<(), Broken> {
    let host = match &address {
        Address::Tcp { host, .. } | Address::Tls { host, .. } => host.clone(),
        _ => String::new(),
    };
    let endpoint = Endpoint {
        locator: Locator::Fixed(address),
        role: Role::Node,
        ..endpoint.clone()
    };
    let asked = async {
        let (connection, _) = endpoint.open(|_| {}).await?;
        let sent = Moment::now();
        let replies = connection.call(&view_calls()).await?;
        let [info, nodes] = &replies[..] else {
            return Err(server::refused_info(None));
        };
        let view = view(info, nodes, sent).map_err(|why| Broken::because(&why.to_string()))?;
        cluster.record(view, &host);
        Ok(())
    };
    let asked = tokio::time::timeout(endpoint.socket_timeout, asked);
    asked
        .await
        .unwrap_or_else(|_| Err(Broken::because("a node does not answer in time")))
}
