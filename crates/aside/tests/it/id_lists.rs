//! Lists of ids: a list has the ids of its rows, and each row is stored once.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use aside::repository::Overloaded;
use aside::{CachedRepository, Deps, Entity, Freshness, Rows, Source, Tier};
use aside_testkit::eventually;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::world::{Instance, SOON, World, on_both};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "post", list_all = false, tracked)]
struct Post {
    #[entity(id)]
    id: i64,
    #[entity(unique, ids)]
    slug: String,
    #[entity(index, ids, order = (rank desc, id))]
    author: i64,
    #[entity(index = "tag", each, ids, order = (id))]
    tags: Vec<String>,
    rank: i64,
    favorites: u32,
}

fn post(id: i64, author: i64, rank: i64) -> Post {
    Post {
        id,
        slug: format!("post-{id}"),
        author,
        tags: vec!["all".to_owned(), format!("tag-{}", id % 2)],
        rank,
        favorites: 0,
    }
}

fn by(author: i64) -> PostIndex {
    PostIndex::Author(author)
}

/// Posts in a database, and the number of its statements.
#[derive(Clone, Default)]
struct Posts {
    rows: Arc<Mutex<BTreeMap<i64, Post>>>,
    lists: Arc<AtomicU32>,
    loaded: Arc<AtomicU32>,
}

impl Posts {
    fn list(&self, index: &PostIndex) -> Rows<Post> {
        let rows = self.rows.lock();
        let mut found: Vec<&Post> = rows
            .values()
            .filter(|post| match index {
                PostIndex::Slug(slug) => post.slug == *slug,
                PostIndex::Author(author) => post.author == *author,
                PostIndex::Tags(tag) => post.tags.contains(tag),
            })
            .collect();
        if let PostIndex::Author(_) = index {
            found.sort_by_key(|post| (-post.rank, post.id));
        }
        found.into_iter().cloned().map(Arc::new).collect()
    }

    /// Changes rows in one transaction of an instance.
    async fn write(&self, instance: &Instance, change: impl FnOnce(&mut BTreeMap<i64, Post>)) {
        let before = self.rows.lock().clone();
        let mut after = before.clone();
        change(&mut after);
        let mut write = instance.cache.write();
        for id in before.keys().chain(after.keys()) {
            match (before.get(id), after.get(id)) {
                (Some(before), Some(after)) if before != after => write.updated(before, after),
                (Some(before), None) => write.deleted(before),
                (None, Some(after)) => write.created(after),
                _ => {}
            }
        }
        let _ = write.before_commit().await;
        *self.rows.lock() = after;
        write.committed().await;
    }

    /// Returns the statements for lists and for rows since the last call.
    fn statements(&self) -> (u32, u32) {
        let take = |count: &AtomicU32| count.swap(0, Ordering::SeqCst);
        (take(&self.lists), take(&self.loaded))
    }
}

impl Source for Posts {
    type Entity = Post;
    type Error = Infallible;

    async fn find_by_id(&self, id: &i64) -> Result<Option<Arc<Post>>, Infallible> {
        self.loaded.fetch_add(1, Ordering::SeqCst);
        Ok(self.rows.lock().get(id).cloned().map(Arc::new))
    }

    async fn find_many(&self, ids: &[i64]) -> Result<Vec<Option<Arc<Post>>>, Infallible> {
        self.loaded.fetch_add(1, Ordering::SeqCst);
        let rows = self.rows.lock();
        let row = |id| rows.get(id).cloned().map(Arc::new);
        Ok(ids.iter().map(row).collect())
    }

    async fn find_by(&self, index: &PostIndex) -> Result<Rows<Post>, Infallible> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        Ok(self.list(index))
    }

    async fn find_by_many(&self, indexes: &[PostIndex]) -> Result<Vec<Rows<Post>>, Infallible> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        Ok(indexes.iter().map(|index| self.list(index)).collect())
    }

    async fn list_all(&self) -> Result<Rows<Post>, Infallible> {
        Ok([].into())
    }

    fn overloaded(&self, _: Overloaded) -> Infallible {
        unreachable!("nothing is overloaded")
    }
}

type Cached = CachedRepository<Posts>;

/// Posts with these ids, authors and ranks, and a cache around them.
async fn with(world: &World, rows: &[(i64, i64, i64)]) -> (Instance, Posts, Cached) {
    let instance = world.instance().await;
    let posts = Posts::default();
    for (id, author, rank) in rows {
        posts.rows.lock().insert(*id, post(*id, *author, *rank));
    }
    let cached = CachedRepository::new(posts.clone(), &instance.cache);
    (instance, posts, cached)
}

async fn ids(cached: &Cached, index: &PostIndex) -> Vec<i64> {
    let rows = cached.find_by(index).await.unwrap();
    rows.iter().map(|post| post.id).collect()
}

/// Waits until a list and its rows are read without a statement.
async fn is_cached(posts: &Posts, cached: &Cached, index: &PostIndex) {
    eventually(SOON, "a list and its rows in a cache", async || {
        posts.statements();
        cached.find_by(index).await.unwrap();
        posts.statements() == (0, 0)
    })
    .await;
}

#[tokio::test]
async fn a_cold_list_of_ids_is_one_statement() {
    on_both(async |world| {
        let (_instance, posts, cached) = with(&world, &[(1, 7, 1), (2, 7, 2)]).await;
        assert_eq!(ids(&cached, &by(7)).await, [2, 1]);
        assert_eq!(
            posts.statements(),
            (1, 0),
            "its rows are answered as they came"
        );
        assert_eq!(ids(&cached, &by(7)).await, [2, 1]);
        assert_eq!(
            posts.statements().1,
            1,
            "the rows are read by one statement"
        );
        is_cached(&posts, &cached, &by(7)).await;

        let found = cached.find_one_by(&PostIndex::Slug("post-2".into())).await;
        assert_eq!(found.unwrap().map(|post| post.id), Some(2));
        assert_eq!(posts.statements(), (1, 0));
        let again = cached.find_one_by(&PostIndex::Slug("post-2".into())).await;
        assert_eq!(again.unwrap().map(|post| post.id), Some(2));
        assert_eq!(posts.statements(), (0, 0), "the row is stored once");
    })
    .await;
}

#[tokio::test]
async fn updates_in_place_leave_a_list_of_ids_alone() {
    on_both(async |world| {
        let (instance, posts, cached) = with(&world, &[(1, 7, 1), (2, 7, 2), (3, 8, 3)]).await;
        let other_instance = world.instance().await;
        let other = CachedRepository::new(posts.clone(), &other_instance.cache);
        is_cached(&posts, &cached, &by(7)).await;
        is_cached(&posts, &other, &by(7)).await;
        for number in 1..=50 {
            posts
                .write(&instance, |rows| {
                    rows.get_mut(&1).unwrap().favorites = number
                })
                .await;
            let rows = cached.find_by(&by(7)).await.unwrap();
            assert_eq!(rows.last().unwrap().favorites, number);
            let shared = other.find_by_with(&by(7), Freshness::Shared).await.unwrap();
            assert_eq!(shared.value.last().unwrap().favorites, number);
        }
        assert_eq!(posts.statements().0, 0, "no list is loaded again");
    })
    .await;
}

#[tokio::test]
async fn a_row_that_moves_is_seen_in_each_of_its_lists() {
    on_both(async |world| {
        let (instance, posts, cached) = with(&world, &[(1, 7, 1), (2, 7, 2), (3, 8, 3)]).await;
        let other_instance = world.instance().await;
        let other = CachedRepository::new(posts.clone(), &other_instance.cache);
        let tags = ["all", "tag-0", "tag-1"].map(|tag| PostIndex::Tags(tag.into()));
        let slugs = ["post-1", "post-2", "new"].map(|slug| PostIndex::Slug(slug.into()));
        let every: Vec<PostIndex> = [by(7), by(8), by(9)]
            .into_iter()
            .chain(tags)
            .chain(slugs)
            .collect();
        type Change = fn(&mut BTreeMap<i64, Post>);
        let changes: [(&str, Change); 7] = [
            ("enters another list", |rows| {
                rows.get_mut(&1).unwrap().author = 8
            }),
            ("is ranked otherwise", |rows| {
                rows.get_mut(&3).unwrap().rank = -1
            }),
            ("is deleted", |rows| _ = rows.remove(&3)),
            ("is created again", |rows| _ = rows.insert(3, post(3, 8, 5))),
            ("passes its slug on", |rows| {
                rows.get_mut(&1).unwrap().slug = "new".into();
                rows.get_mut(&2).unwrap().slug = "post-1".into();
            }),
            ("loses a tag", |rows| {
                rows.get_mut(&2).unwrap().tags = vec![]
            }),
            ("has a tag twice", |rows| {
                rows.get_mut(&2).unwrap().tags = vec!["all".into(), "all".into()];
            }),
        ];
        for (what, change) in changes {
            for index in &every {
                is_cached(&posts, &cached, index).await;
                is_cached(&posts, &other, index).await;
            }
            posts.write(&instance, change).await;
            for index in &every {
                let now: Vec<i64> = posts.list(index).iter().map(|post| post.id).collect();
                assert_eq!(ids(&cached, index).await, now, "{what}: {index:?}");
                let shared = other.find_by_with(index, Freshness::Shared).await.unwrap();
                assert_eq!(*shared.value, *posts.list(index), "{what}: {index:?}");
            }
            let lists = cached.find_by_many(&every).await.unwrap();
            let now: Vec<Rows<Post>> = every.iter().map(|index| posts.list(index)).collect();
            assert_eq!(lists, now, "{what}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_query_over_the_rows_of_a_list_of_ids_sees_their_contents() {
    on_both(async |world| {
        let (instance, posts, _cached) = with(&world, &[(1, 7, 1), (2, 7, 2)]).await;
        let sum: aside::CachedQuery<i64, u32> = aside::CachedQuery::new("sum", &instance.cache);
        let read = async || {
            let source = posts.clone();
            let load = move || async move {
                let sum = source.list(&by(7)).iter().map(|post| post.favorites).sum();
                Ok::<u32, Infallible>(sum)
            };
            *sum.get(&7, Deps::new().rows::<Post>(&by(7)), load)
                .await
                .unwrap()
        };
        assert_eq!(read().await, 0);
        posts
            .write(&instance, |rows| rows.get_mut(&1).unwrap().favorites = 5)
            .await;
        assert_eq!(read().await, 5);
    })
    .await;
}

#[tokio::test]
async fn the_freshness_of_a_list_of_ids_is_that_of_its_rows() {
    on_both(async |world| {
        let (_instance, posts, cached) = with(&world, &[(1, 7, 1)]).await;
        is_cached(&posts, &cached, &by(7)).await;
        // Another program writes: nothing in the cache knows.
        posts.rows.lock().get_mut(&1).unwrap().favorites = 9;
        let read = async |freshness| {
            let answer = cached.find_by_with(&by(7), freshness).await.unwrap();
            (answer.tier, answer.value[0].favorites)
        };
        assert_eq!(read(Freshness::Any).await, (Tier::Local, 0));
        assert_eq!(read(Freshness::Shared).await, (Tier::Shared, 0));
        assert_eq!(read(Freshness::Source).await, (Tier::Source, 9));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_passes_to_and_fro_is_in_one_list_at_every_moment() {
    on_both(async |world| {
        let (instance, posts, cached) = with(&world, &[(1, 7, 1), (2, 8, 1)]).await;
        let other_instance = world.instance().await;
        let other = CachedRepository::new(posts.clone(), &other_instance.cache);
        let is_over = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = [&cached, &other, &cached, &other]
            .map(|cached| {
                let (cached, is_over) = (cached.clone(), Arc::clone(&is_over));
                tokio::spawn(async move {
                    let mut reads = 0;
                    while !is_over.load(Ordering::SeqCst) {
                        let rows = cached.find_by(&by(7)).await.unwrap();
                        // The value belongs to exactly one row in every state.
                        assert_eq!(rows.len(), 1, "{rows:?}");
                        assert_eq!(rows[0].author, 7);
                        reads += 1;
                        tokio::task::yield_now().await;
                    }
                    reads
                })
            })
            .into();
        for _ in 0..200 {
            posts
                .write(&instance, |rows| {
                    let one = rows[&1].author;
                    rows.get_mut(&1).unwrap().author = rows[&2].author;
                    rows.get_mut(&2).unwrap().author = one;
                })
                .await;
            tokio::task::yield_now().await;
        }
        is_over.store(true, Ordering::SeqCst);
        let mut reads = 0;
        for reader in readers {
            reads += reader.await.unwrap();
        }
        assert_ne!(reads, 0);
    })
    .await;
}

#[tokio::test]
async fn a_list_of_ids_is_explained_and_counted_with_its_kind() {
    on_both(async |world| {
        let (instance, posts, cached) = with(&world, &[(1, 7, 1), (2, 7, 2)]).await;
        is_cached(&posts, &cached, &by(7)).await;
        for key in ["post:author:7", "post:1"] {
            let explained = instance.cache.explain(key).await;
            assert_eq!(explained.verdict, Some("served"), "{explained:?}");
            let copy = explained.local.unwrap();
            assert_eq!(
                (copy.verdict, explained.next_read),
                ("served", Some("local"))
            );
        }
        let statistics = instance.cache.stats().kinds;
        let entries = statistics.iter().find(|stats| stats.kind == "post");
        assert_eq!(entries.map(|stats| stats.l1_entries), Some(3));
        for _ in 0..1_000 {
            cached.find_by(&by(7)).await.unwrap();
        }
        let hot = cached.hot_keys(9);
        let has = |key: &str| hot.iter().any(|hot| hot.key == key);
        assert!(has("post:author:7") && has("post:1"), "{hot:?}");
    })
    .await;
}
