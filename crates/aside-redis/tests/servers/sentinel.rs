//! Replies of Sentinels.

use aside_redis::sentinel::{Peer, Primary, Vote, primary_of, sentinels_of, vote_about};
use aside_redis::{Error, WireReply};
use aside_testkit::servers;
use aside_testkit::{RedisSentinel, SentinelOptions, eventually};

use crate::client::{Client, SOON};

async fn primary(client: &Client, service: &str) -> Result<Primary, Error> {
    Primary::read(&client.call(primary_of(service)).await)
}

async fn vote(client: &Client, primary: &Primary) -> Vote {
    let reply = client.call(vote_about(&primary.host, primary.port)).await;
    Vote::read(&reply).unwrap_or_else(|error| panic!("{error}: {reply:?}"))
}

#[tokio::test]
async fn sentinels_report_primaries_each_other_and_votes() {
    for server in servers::newest() {
        let options = SentinelOptions {
            replicas: 1,
            server: server.options(),
            ..SentinelOptions::default()
        };
        let group = RedisSentinel::start_with(options);
        let group = group.unwrap_or_else(|error| panic!("{server}: {error}"));
        let client = Client::open(group.sentinels()[0].address()).await;
        let service = group.service();
        let first = primary(&client, service).await.expect("a primary");
        assert_eq!(first.host, "127.0.0.1", "{server}");
        assert_eq!(
            Some(first.port),
            group.primary_address().map(|it| it.port())
        );
        assert!(!first.health.is_down && !first.health.is_failing_over);
        assert_eq!(
            (first.num_other_sentinels, first.quorum),
            (2, 2),
            "{server}"
        );

        let peers = client.call(sentinels_of(service)).await;
        let peers = Peer::read_all(&peers).expect("the others");
        let mut ports: Vec<u16> = peers.iter().map(|peer| peer.port).collect();
        let mut others: Vec<u16> = group.sentinels()[1..].iter().map(|it| it.port()).collect();
        ports.sort_unstable();
        others.sort_unstable();
        assert_eq!(ports, others, "{server}");
        assert!(peers.iter().all(|peer| peer.run_id.len() == 40), "{server}");

        let never = vote(&client, &first).await;
        assert_eq!((never.is_down, never.leader), (false, None), "{server}");

        group.servers()[0].kill();
        // Each Sentinel that voted names the same leader in the same epoch.
        let voted = eventually(SOON, "a vote", async || {
            Some(vote(&client, &first).await).filter(|vote| vote.leader.is_some())
        });
        let voted = voted.await;
        assert!(voted.leader_epoch > first.config_epoch, "{server}");
        let second = eventually(SOON, "another primary", async || {
            let now = primary(&client, service).await.ok()?;
            (now.port != first.port).then_some(now)
        });
        let second = second.await;
        assert_eq!(second.config_epoch, voted.leader_epoch, "{server}");

        let unknown = primary(&client, "another").await.unwrap_err();
        assert!(matches!(unknown, Error::Refused { .. }), "{unknown}");
        let reply = client.call(sentinels_of("another")).await;
        assert!(matches!(reply, WireReply::Error(_)));
    }
}
