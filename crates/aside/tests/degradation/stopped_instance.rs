//! The instance itself is stopped, and goes on as if no time had passed.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// Where the instance in a process of its own finds Redis.
const REDIS: &str = "ASIDE_TEST_STOPPED_INSTANCE_REDIS";

const BOUND: Duration = Duration::from_millis(500);

/// A process that does not outlive its test.
struct Stoppable(Child);

impl Stoppable {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("our own process");
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        // A stopped process can be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn an_instance_that_was_stopped_serves_nothing_older_than_the_bound() {
    if let Ok(url) = env::var(REDIS) {
        return be_stopped(&url).await;
    }
    let redis = redis();
    let library = Library::of(1);
    let writer = Instance::in_step(at(&redis.url()), &library).await;
    let name = "stopped_instance::an_instance_that_was_stopped_serves_nothing_older_than_the_bound";
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(REDIS, redis.url())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Stoppable(child.expect("this very program"));
    let said = BufReader::new(child.0.stdout.take().unwrap());
    let mut said = said.lines().map_while(Result::ok);
    let mut hear = |word: &str| {
        let line = said.find(|line| line.starts_with(word));
        line.unwrap_or_else(|| panic!("the other process never said {word}"))
    };

    hear("holding");
    child.signal(Signal::STOP);
    let stopped = Instant::now();
    writer.books.update(Book::new(1, "changed")).await.unwrap();
    eventually(EVENTUALLY, "more than the bound to pass", async || {
        stopped.elapsed() > BOUND + Duration::from_millis(100)
    })
    .await;
    child.signal(Signal::CONT);
    // Whichever it asks: it may be in step with Redis again by then, where the
    // writer has left its row. What it held would be a third answer.
    let woke = hear("woke");
    let newer = ["woke to what is in the database", "woke to changed"];
    assert!(newer.contains(&woke.as_str()), "{woke}");
}

/// Holds a book, notices that it was stopped, and says what it then reads.
async fn be_stopped(url: &str) {
    let library = Library::of(1);
    let instance = Instance::in_step(at(url), &library).await;
    eventually(EVENTUALLY, "an answer of this process", async || {
        instance.tier(1).await == Tier::Process
    })
    .await;
    let begun = Instant::now();
    let mut last = begun;
    println!("holding");
    while begun.elapsed() < EVENTUALLY {
        let now = Instant::now();
        if now - last > BOUND + Duration::from_millis(10) {
            // Unknown to the cache, as the other's write is.
            library.overwrite(Book::new(1, "what is in the database"));
            let book = instance.books.find_by_id(&1).await.unwrap().unwrap();
            println!("woke to {}", book.title);
            return;
        }
        last = now;
        instance.books.find_by_id(&1).await.unwrap();
        tokio::task::yield_now().await;
    }
}
