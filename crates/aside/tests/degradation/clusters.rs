//! A cluster, whose slots have several primaries and may move between them.

use aside::{CachedQuery, Deps, Scope};
use aside_testkit::{ClusterOptions, Failover, RedisCluster, RedisOptions};

use super::*;

/// How long a failover may take: the nodes wait a second before they vote.
const FAILOVER_WITHIN: Duration = Duration::from_secs(20);

const BOOKS: u32 = 30;

fn cluster(replicas: usize) -> RedisCluster {
    let options = ClusterOptions {
        replicas,
        ..ClusterOptions::default()
    };
    RedisCluster::start_with(options).expect("redis-server or valkey-server")
}

async fn writer_and_reader(cluster: &RedisCluster, library: &Library) -> [Instance; 2] {
    [
        Instance::in_step(at(&cluster.url()), library).await,
        Instance::in_step(at(&cluster.url()), library).await,
    ]
}

/// Changes a book and reads it back through another instance.
async fn change(writer: &Instance, reader: &Instance, id: u32, title: &str) {
    let changed = writer.books.update(Book::new(id, title));
    assert!(changed.await.unwrap().is_some());
    eventually(EVENTUALLY, "the change", async || {
        let read = reader.books.find_by_id(&id).await.unwrap();
        read.is_some_and(|book| book.title == title)
    })
    .await;
}

/// Returns a book whose key a node owns.
fn book_at(cluster: &RedisCluster, node: usize) -> u32 {
    let is_there = |id: &u32| {
        let slot = cluster.slot_of(&format!("book:{id}"));
        cluster.primary_of(slot) == Some(node)
    };
    (1..=BOOKS).find(is_there).expect("a book on each node")
}

#[tokio::test]
async fn rows_of_every_node_are_cached_and_invalidated() {
    let cluster = cluster(0);
    let library = Library::of(BOOKS);
    let [writer, reader] = writer_and_reader(&cluster, &library).await;
    for id in 1..=BOOKS {
        writer.caches(id).await;
        reader.caches(id).await;
    }
    let loads = library.loads();
    let ids: Vec<u32> = (1..=BOOKS).collect();
    let found = reader.books.find_many(&ids).await.unwrap();
    assert!(found.iter().all(Option::is_some));
    assert_eq!(library.loads(), loads, "a batch reads each node");
    for id in 1..=BOOKS {
        change(&writer, &reader, id, &format!("changed {id}")).await;
    }
    let fresh = Instance::in_step(at(&cluster.url()), &library).await;
    for id in 1..=BOOKS {
        fresh.tier(id).await;
    }
    writer.cache.close().await;
}

#[tokio::test]
async fn a_kind_is_invalidated_on_every_node() {
    let cluster = cluster(0);
    let library = Library::of(BOOKS);
    let [writer, reader] = writer_and_reader(&cluster, &library).await;
    for id in 1..=BOOKS {
        reader.caches(id).await;
        library.overwrite(Book::new(id, format!("overwritten {id}")));
    }
    writer.books.invalidate(Scope::Kind).await;
    eventually(EVENTUALLY, "the message about the kind", async || {
        let mut all = true;
        for id in 1..=BOOKS {
            let read = reader.books.find_by_id(&id).await.unwrap().unwrap();
            all &= read.title == format!("overwritten {id}");
        }
        all
    })
    .await;
    let fresh = Instance::in_step(at(&cluster.url()), &library).await;
    for id in 1..=BOOKS {
        fresh.tier(id).await;
    }
}

#[tokio::test]
async fn a_killed_node_closes_its_keys_and_its_successor_opens_them() {
    let cluster = cluster(1);
    let library = Library::of(BOOKS);
    let [writer, reader] = writer_and_reader(&cluster, &library).await;
    for id in 1..=BOOKS {
        reader.caches(id).await;
    }
    let dead = book_at(&cluster, 0);
    let slot = cluster.slot_of(&format!("book:{dead}"));
    let address = cluster.node(0).address().to_string();
    cluster.node(0).kill();
    writer.is_bypassed_because(&[&address]).await;
    change(&writer, &reader, dead, "meanwhile").await;
    let shards = reader.cache.health_check().await.shards;
    let server = cluster.node(0).address().to_string();
    let shard = shards.iter().find(|shard| shard.server == server);
    let reason = shard.and_then(|shard| shard.reason.as_ref());
    assert!(reason.is_some(), "{shards:?}");
    eventually(FAILOVER_WITHIN, "a new primary", async || {
        cluster.primary_of(slot).is_some_and(|now| now != 0)
    })
    .await;
    let begun = Instant::now();
    writer.resumes().await;
    reader.resumes().await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    reader.caches(dead).await;
    change(&writer, &reader, dead, "after").await;
}

/// Waits until a replica has taken the slots of the first node, and the service
/// has released every key there.
async fn releases_at_the_successor(instance: &Instance, cluster: &RedisCluster) {
    eventually(FAILOVER_WITHIN, "a new primary", async || {
        cluster.primary_of(0).is_some_and(|now| now != 0)
    })
    .await;
    eventually(EVENTUALLY, "no unreleased key", async || {
        instance.cache.is_synced() && instance.cache.health_check().await.unreleased_keys == 0
    })
    .await;
}

#[tokio::test]
async fn writes_pending_at_a_dead_node_are_released_at_its_successor() {
    let cluster = cluster(1);
    let library = Library::of(BOOKS);
    let [writer, reader] = writer_and_reader(&cluster, &library).await;
    cluster.node(0).kill();
    for id in 1..=BOOKS {
        let changed = writer.books.update(Book::new(id, "meanwhile"));
        assert!(changed.await.unwrap().is_some());
    }
    assert!(0 < writer.cache.health_check().await.unreleased_keys);
    releases_at_the_successor(&writer, &cluster).await;
    for id in 1..=BOOKS {
        let read = reader.books.find_by_id(&id).await.unwrap();
        assert_eq!(read.unwrap().title, "meanwhile");
    }
}

#[tokio::test]
async fn a_kind_pending_at_a_dead_node_is_released_at_its_successor() {
    let cluster = cluster(1);
    let library = Library::of(BOOKS);
    let [writer, _reader] = writer_and_reader(&cluster, &library).await;
    cluster.node(0).kill();
    writer.books.invalidate(Scope::Kind).await;
    assert!(0 < writer.cache.health_check().await.unreleased_keys);
    releases_at_the_successor(&writer, &cluster).await;
}

#[tokio::test]
async fn writes_around_a_plain_failover_are_released_at_the_successor() {
    let cluster = cluster(1);
    let library = Library::of(BOOKS);
    let [writer, reader] = writer_and_reader(&cluster, &library).await;
    let replica = cluster.replicas_of(0)[0];
    cluster.failover(replica, Failover::Plain);
    let end = Instant::now() + Duration::from_secs(2);
    let mut round = 0;
    while Instant::now() < end {
        round += 1;
        for id in 1..=BOOKS {
            let changed = writer.books.update(Book::new(id, format!("round {round}")));
            assert!(changed.await.unwrap().is_some());
        }
    }
    releases_at_the_successor(&writer, &cluster).await;
    for id in 1..=BOOKS {
        let read = reader.books.find_by_id_with(&id, Freshness::Shared).await;
        let title = read.unwrap().value.unwrap().title.clone();
        assert_eq!(title, format!("round {round}"));
    }
}

#[tokio::test]
async fn a_dead_node_closes_no_keys_of_the_others() {
    let options = ClusterOptions {
        replicas: 0,
        node: RedisOptions {
            config: vec!["cluster-require-full-coverage no".to_owned()],
            ..RedisOptions::default()
        },
        ..ClusterOptions::default()
    };
    let cluster = RedisCluster::start_with(options).expect("redis-server or valkey-server");
    let library = Library::of(BOOKS);
    let instance = Instance::in_step(at(&cluster.url()), &library).await;
    let (dead, living) = (book_at(&cluster, 0), book_at(&cluster, 1));
    instance.caches(dead).await;
    instance.caches(living).await;
    cluster.node(0).kill();
    eventually(EVENTUALLY, "the loss of a node", async || {
        !instance.cache.is_synced()
    })
    .await;
    assert_eq!(instance.tier(dead).await, Tier::Source);
    let answer = instance.books.find_by_id_with(&living, Freshness::Shared);
    assert_eq!(answer.await.unwrap().tier, Tier::Shared);
    // By its key too, as an operator asks.
    let key = format!("book:{living}");
    assert!(instance.cache.get(&key).await.is_some());
    assert_eq!(instance.cache.explain(&key).await.bypass, None);
    assert!(instance.cache.get(&format!("book:{dead}")).await.is_none());
}

#[tokio::test]
async fn a_slot_that_moves_leaves_nothing_stale() {
    let cluster = cluster(0);
    let library = Library::of(BOOKS);
    let [writer, reader] = writer_and_reader(&cluster, &library).await;
    let id = book_at(&cluster, 0);
    let key = format!("book:{id}");
    reader.caches(id).await;
    let migration = cluster.migration(cluster.slot_of(&key), 0, 1);
    migration.set_importing();
    migration.set_migrating();
    change(&writer, &reader, id, "migrating, not moved").await;
    reader.caches(id).await;
    migration.move_key(&key);
    change(&writer, &reader, id, "migrating, moved").await;
    migration.finish();
    change(&writer, &reader, id, "moved").await;
    eventually(EVENTUALLY, "a row from its new node", async || {
        reader.cache.is_synced() && reader.tier(id).await != Tier::Source
    })
    .await;
    change(&writer, &reader, id, "after").await;
}

/// Reads titles by a query: its key is in another slot than the row that it names.
async fn titles(
    query: &CachedQuery<(u32, u32), String>,
    library: &Library,
    (one, other): (u32, u32),
) -> String {
    let loads = library.clone();
    let load = move || async move {
        let one = loads.find_by_id(&one).await?.expect("a book");
        let other = loads.find_by_id(&other).await?.expect("a book");
        Ok::<_, <Library as Source>::Error>(format!("{}, {}", one.title, other.title))
    };
    let deps = Deps::new().row::<Book>(&one).row::<Book>(&other);
    let read = query.get(&(one, other), deps, load).await;
    read.expect("a result").to_string()
}

/// Changes both books in turn, and reads the query until it shows the change.
async fn change_both(
    writer: &Instance,
    (query, library): (&CachedQuery<(u32, u32), String>, &Library),
    (one, other): (u32, u32),
    title: &str,
) {
    for id in [one, other] {
        titles(query, library, (one, other)).await;
        let changed = writer.books.update(Book::new(id, title));
        assert!(changed.await.unwrap().is_some());
        eventually(EVENTUALLY, "the change in a query", async || {
            let expected = [one, other].map(|id| library.title(id).expect("a book"));
            titles(query, library, (one, other)).await == expected.join(", ")
        })
        .await;
    }
}

#[tokio::test]
async fn a_query_shows_the_writes_at_every_node_it_depends_on() {
    let cluster = cluster(0);
    let library = Library::of(BOOKS);
    let [writer, reader] = writer_and_reader(&cluster, &library).await;
    let query = CachedQuery::new("titles", &reader.cache);
    for one in 1..BOOKS {
        let pair = (one, one + 1);
        titles(&query, &library, pair).await;
        eventually(EVENTUALLY, "a cached query", async || {
            let loads = library.loads();
            titles(&query, &library, pair).await;
            library.loads() == loads
        })
        .await;
        change_both(&writer, (&query, &library), pair, &format!("changed {one}")).await;
    }
}

#[tokio::test]
async fn a_query_shows_writes_around_the_failover_of_a_dependency() {
    let cluster = cluster(1);
    let library = Library::of(BOOKS);
    let [writer, reader] = writer_and_reader(&cluster, &library).await;
    let query = CachedQuery::new("titles", &reader.cache);
    let pair = (book_at(&cluster, 0), book_at(&cluster, 1));
    change_both(&writer, (&query, &library), pair, "before").await;
    cluster.node(0).kill();
    change_both(&writer, (&query, &library), pair, "meanwhile").await;
    releases_at_the_successor(&writer, &cluster).await;
    reader.resumes().await;
    change_both(&writer, (&query, &library), pair, "after").await;
    eventually(EVENTUALLY, "a cached query", async || {
        let loads = library.loads();
        titles(&query, &library, pair).await;
        library.loads() == loads
    })
    .await;
}

#[tokio::test]
async fn a_query_shows_writes_while_the_slot_of_a_dependency_moves() {
    let cluster = cluster(0);
    let library = Library::of(BOOKS);
    let [writer, reader] = writer_and_reader(&cluster, &library).await;
    let query = CachedQuery::new("titles", &reader.cache);
    let pair = (book_at(&cluster, 0), book_at(&cluster, 1));
    let key = format!("book:{}", pair.0);
    let migration = cluster.migration(cluster.slot_of(&key), 0, 1);
    migration.set_importing();
    migration.set_migrating();
    change_both(&writer, (&query, &library), pair, "migrating, not moved").await;
    migration.move_key(&key);
    change_both(&writer, (&query, &library), pair, "migrating, moved").await;
    migration.finish();
    change_both(&writer, (&query, &library), pair, "moved").await;
}

#[tokio::test]
async fn a_node_behind_a_plain_url_is_named() {
    let cluster = cluster(0);
    let library = Library::of(3);
    let url = format!("redis://{}/0", cluster.node(0).address());
    let instance = Instance::start(at(&url), &library).await;
    instance.is_bypassed_because(&["redis+cluster://"]).await;
}

#[tokio::test]
async fn a_cluster_without_slots_is_named() {
    let redis = RedisServer::start_with(RedisOptions {
        config: vec!["cluster-enabled yes".to_owned()],
        ..RedisOptions::default()
    })
    .expect("redis-server or valkey-server");
    let library = Library::of(3);
    let url = format!("redis+cluster://{}", redis.address());
    let instance = Instance::start(at(&url), &library).await;
    instance
        .is_bypassed_because(&["no primary with slots", "redis-cli --cluster create"])
        .await;
}

#[tokio::test]
async fn a_seed_that_is_no_cluster_is_named() {
    let redis = redis();
    let library = Library::of(3);
    let url = format!("redis+cluster://{}", redis.address());
    let instance = Instance::start(at(&url), &library).await;
    instance.is_bypassed_because(&["not in cluster mode"]).await;
    assert_eq!(instance.tier(1).await, Tier::Source);
}
