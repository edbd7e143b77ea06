//! An instance of a service in a process: this test binary, which runs `serve` alone.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aside::report::WarmUpOptions;
use aside::repository::Overloaded;
use aside::{CacheConfig, CacheService, CachedRepository, Entity, Rows, Secret, Source};
use aside_admin::{Access, Admin, router};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::program::TOKEN;

const URL: &str = "ASIDE_TEST_URL";
const NAME: &str = "ASIDE_TEST_NAME";

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
struct Hero {
    #[entity(id)]
    id: String,
    #[entity(index = "lang")]
    language: String,
    #[entity(unique, ids, fold = lowercase)]
    name: String,
}

/// Two heroes that never change.
#[derive(Clone)]
struct Heroes;

impl Heroes {
    fn all() -> Vec<Arc<Hero>> {
        let hero = |(id, language, name): (&str, &str, &str)| {
            Arc::new(Hero {
                id: id.to_owned(),
                language: language.to_owned(),
                name: name.to_owned(),
            })
        };
        [("1", "en", "Ada"), ("2", "ru", "Eva")].map(hero).to_vec()
    }
}

impl Source for Heroes {
    type Entity = Hero;
    type Error = Infallible;

    async fn find_by_id(&self, id: &String) -> Result<Option<Arc<Hero>>, Infallible> {
        Ok(Self::all().into_iter().find(|hero| hero.id == *id))
    }

    async fn find_by(&self, index: &HeroIndex) -> Result<Rows<Hero>, Infallible> {
        let is_in = |hero: &Arc<Hero>| match index {
            HeroIndex::Language(language) => hero.language == *language,
            HeroIndex::Name(name) => hero.name.eq_ignore_ascii_case(name),
        };
        Ok(Self::all().into_iter().filter(is_in).collect())
    }

    async fn list_all(&self) -> Result<Rows<Hero>, Infallible> {
        Ok(Self::all().into_iter().collect())
    }

    fn overloaded(&self, _: Overloaded) -> Infallible {
        unreachable!("memory has a place for every load")
    }
}

/// A process with one instance.
pub(crate) struct Instance {
    process: Child,
    /// The address of its admin routes.
    pub(crate) url: String,
}

impl Instance {
    pub(crate) fn start(url: &str, name: &str) -> Self {
        let binary = std::env::current_exe().expect("the path of this program");
        let mut process = Command::new(binary)
            .args(["instance::serve", "--exact", "--ignored", "--nocapture"])
            .env(URL, url)
            .env(NAME, name)
            // It ends with the end of its input, and so with this process.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let mut lines = output.lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.strip_prefix("listening ").map(str::to_owned));
        Self {
            url: url.expect("the address of the instance"),
            process,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).expect("a process id");
        let pid = Pid::from_raw(id).expect("a process id");
        kill_process(pid, signal).expect("the process runs");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "an instance of the other tests"]
fn serve() {
    let (Ok(url), Ok(name)) = (std::env::var(URL), std::env::var(NAME)) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let cache = CacheService::connect(CacheConfig {
            redis_url: Secret::new(&url),
            heartbeat: Duration::from_millis(100),
            instance_name: Some(name),
            operation_timeout: Duration::from_secs(2),
            ..CacheConfig::default()
        });
        let cache = cache.await;
        let heroes = CachedRepository::new(Heroes, &cache);
        let access = Access::token(Secret::new(TOKEN)).expect("a long token");
        let warm = heroes.clone();
        let admin = Admin::new(cache.clone(), access).with_warm_up("hero", move |progress| {
            let heroes = warm.clone();
            async move {
                let rows = WarmUpOptions::default();
                let Ok(done) = heroes.warm_up(rows, |now| progress.report(now)).await;
                Ok(done)
            }
        });
        let routes = router(admin);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let Ok(_) = heroes.find_by_id(&"1".to_owned()).await;
        // Enough of them for a sample.
        for _ in 0..1_000 {
            let Ok(_) = heroes.find_by_id(&"1".to_owned()).await;
        }
        let Ok(_) = heroes.list_all().await;
        let Ok(_) = heroes.find_by(&HeroIndex::Name("ADA".to_owned())).await;
        let address = listener.local_addr().expect("its address");
        println!("\nlistening http://{address}");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let ended = tokio::task::spawn_blocking(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
        });
        let _ = ended.await;
    });
}
