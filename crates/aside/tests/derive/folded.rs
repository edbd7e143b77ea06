//! Index values with several spellings, and fields that must not be stored.

use std::convert::Infallible;
use std::sync::Arc;

use aside::entity::Fold;
use aside::repository::Overloaded;
use aside::{
    CacheConfig, CacheService, CachedRepository, Entity, Freshness, Rows, Secret, Source, Tier,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{index_key, lists};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "user")]
struct User {
    #[entity(id)]
    id: u64,
    #[entity(unique, fold = lowercase)]
    email: String,
    #[entity(index = "nick", fold = ascii_lowercase)]
    nick: Option<String>,
    #[entity(never)]
    #[serde(skip)]
    password_hash: Option<String>,
}

fn user(email: &str) -> User {
    User {
        id: 1,
        email: email.to_owned(),
        nick: Some("ÉMIL".to_owned()),
        password_hash: None,
    }
}

/// One user in a database that compares texts without regard to case.
#[derive(Clone)]
struct Users(Arc<Mutex<User>>);

impl Users {
    fn found(&self, fits: impl Fn(&User) -> bool) -> Option<Arc<User>> {
        let user = self.0.lock().clone();
        fits(&user).then(|| Arc::new(user))
    }
}

impl Source for Users {
    type Entity = User;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u64) -> Result<Option<Arc<User>>, Infallible> {
        Ok(self.found(|user| user.id == *id))
    }

    async fn find_by(&self, index: &UserIndex) -> Result<Rows<User>, Infallible> {
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        let found = self.found(|user| match index {
            UserIndex::Email(email) => same(&user.email, email),
            UserIndex::Nick(nick) => user.nick.as_ref().is_some_and(|own| same(own, nick)),
        });
        Ok(found.into_iter().collect())
    }

    async fn list_all(&self) -> Result<Rows<User>, Infallible> {
        Ok(self.found(|_| true).into_iter().collect())
    }

    fn overloaded(&self, _: Overloaded) -> Infallible {
        unreachable!("nothing is overloaded")
    }
}

async fn cached(users: &Users) -> CachedRepository<Users> {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        ..CacheConfig::default()
    };
    let cache = CacheService::connect(config).await;
    CachedRepository::new(users.clone(), &cache)
}

#[test]
fn the_spellings_of_a_folded_value_are_one_key() {
    let key = |email: &str| index_key::<User>(&UserIndex::Email(email.to_owned()));
    assert_eq!(key("Émil@X.org"), "user:email:émil@x.org");
    assert_eq!(key("émil@x.ORG"), key("Émil@X.org"));
    let nick = index_key::<User>(&UserIndex::Nick("ÉMIL".to_owned()));
    assert_eq!(
        nick, "user:nick:Émil",
        "only the letters of ASCII are folded"
    );
    assert_eq!(User::INDEXES[0].fold, Some(Fold::Lowercase));
    assert_eq!(User::INDEXES[1].fold, Some(Fold::AsciiLowercase));
    let own = lists(&user("Émil@X.org"));
    assert_eq!(
        own[0],
        UserIndex::Email("Émil@X.org".to_owned()),
        "a row keeps its spelling"
    );
}

#[tokio::test]
async fn a_write_outdates_the_list_of_every_spelling() {
    let users = Users(Arc::new(Mutex::new(user("Émil@X.org"))));
    let cached = cached(&users).await;
    let find = async |email: &str, freshness| {
        let index = UserIndex::Email(email.to_owned());
        let answer = cached.find_by_with(&index, freshness).await.unwrap();
        (
            answer.value.first().map(|user| user.email.clone()),
            answer.tier,
        )
    };
    find("émil@x.org", Freshness::Any).await;
    let (email, tier) = find("ÉMIL@X.ORG", Freshness::Any).await;
    assert_eq!((email.as_deref(), tier), (Some("Émil@X.org"), Tier::Local));

    let before = users.0.lock().clone();
    let after = User {
        email: "other@x.org".to_owned(),
        ..before.clone()
    };
    let mut write = cached.cache().write();
    write.updated(&before, &after);
    let _ = write.before_commit().await;
    *users.0.lock() = after;
    write.committed().await;
    for spelling in ["émil@x.org", "ÉMIL@X.ORG"] {
        assert_eq!(find(spelling, Freshness::Any).await.0, None);
        assert_eq!(find(spelling, Freshness::Shared).await.0, None);
    }
}

#[tokio::test]
async fn a_secret_is_not_stored() {
    let users = Users(Arc::new(Mutex::new(user("a@x.org"))));
    let cached = cached(&users).await;
    cached.find_by_id(&1).await.unwrap();
    let any = Freshness::Any;
    assert_eq!(
        cached.find_by_id_with(&1, any).await.unwrap().tier,
        Tier::Local
    );

    // A source that reads the secret is answered, and the row is not cached: another
    // instance would have it without the secret.
    let secret = User {
        password_hash: Some("secret".to_owned()),
        ..user("b@x.org")
    };
    assert!(!serde_json::to_string(&secret).unwrap().contains("secret"));
    *users.0.lock() = secret.clone();
    cached.invalidate(aside::Scope::Kind).await;
    for _ in 0..2 {
        let answer = cached.find_by_id_with(&1, any).await.unwrap();
        assert_eq!(
            (answer.tier, &*answer.value.unwrap()),
            (Tier::Source, &secret)
        );
    }
}
