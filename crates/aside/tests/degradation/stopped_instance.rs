//! The instance itself is suspended, and continues as if no time had passed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::{Signal, getpid, kill_process};

use super::another_process::AnotherProcess;
use super::*;

/// How often a process may try to be stopped at the right moment.
const TRIES: u32 = 20;

const BOUND: Duration = Duration::from_millis(500);

#[tokio::test]
async fn a_stopped_instance_serves_nothing_older_than_the_bound() {
    if let Some(url) = AnotherProcess::role() {
        return be_stopped(&url).await;
    }
    let redis = redis();
    let library = Library::of(1);
    let writer = Instance::in_step(at(&redis.url()), &library).await;
    let name = "stopped_instance::a_stopped_instance_serves_nothing_older_than_the_bound";
    let mut child = AnotherProcess::start(name, &redis.url());

    child.hear("holding");
    child.signal(Signal::STOP);
    let stopped = Instant::now();
    writer.books.update(Book::new(1, "changed")).await.unwrap();
    eventually(EVENTUALLY, "more than the bound to pass", async || {
        stopped.elapsed() > BOUND + Duration::from_millis(100)
    })
    .await;
    child.signal(Signal::CONT);
    // It may be in step with Redis again by then, and Redis has the writer's
    // row. Its former local entry would be a third title.
    let woke = child.hear("woke");
    let newer = ["woke to what is in the database", "woke to changed"];
    assert!(newer.contains(&woke.as_str()), "{woke}");
}

/// Caches a book, notices that it was stopped, and prints the row it then
/// reads.
async fn be_stopped(url: &str) {
    let library = Library::of(1);
    let instance = Instance::in_step(at(url), &library).await;
    eventually(EVENTUALLY, "a local row", async || {
        instance.tier(1).await == Tier::Local
    })
    .await;
    let begun = Instant::now();
    let mut last = begun;
    println!("holding");
    while begun.elapsed() < EVENTUALLY {
        let now = Instant::now();
        if now - last > BOUND + Duration::from_millis(10) {
            // Unknown to the cache, like the other instance's write.
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

#[tokio::test]
async fn a_continued_process_joins_no_read_from_before_its_stop() {
    if let Some(url) = AnotherProcess::role() {
        return stop_between_question_and_answer(&url).await;
    }
    let redis = redis();
    let library = Library::of(TRIES);
    let writer = Instance::in_step(at(&redis.url()), &library).await;
    for id in 1..=TRIES {
        writer.caches(id).await;
    }
    let mut child = AnotherProcess::start(
        "stopped_instance::\
         a_continued_process_joins_no_read_from_before_its_stop",
        &redis.url(),
    );
    let asked = child.hear("asked");
    let id = asked.trim_start_matches("asked ").parse().unwrap();
    child.has_stopped();

    let stopped = Instant::now();
    let changed = Book::new(id, "changed");
    writer.books.update(changed).await.unwrap();
    eventually(EVENTUALLY, "more than the bound to pass", async || {
        stopped.elapsed() > BOUND + Duration::from_millis(100)
    })
    .await;
    child.signal(Signal::CONT);
    let woke = child.hear("woke");
    let newer = ["woke to what is in the database", "woke to changed"];
    assert!(newer.contains(&woke.as_str()), "{woke}");
}

/// Stops itself when Redis has executed a GET whose reply has not been read.
/// Then prints the result of a read that begins when it continues, before any
/// other task of this process runs.
async fn stop_between_question_and_answer(url: &str) {
    let library = Library::of(TRIES);
    let instance = Instance::in_step(at(url), &library).await;
    for id in 1..=TRIES {
        let before = calls_of_get(url);
        let books = instance.books.clone();
        let first = tokio::spawn(async move { books.find_by_id(&id).await });
        // No other task runs while Redis reports the number of GETs.
        while before == calls_of_get(url) && !first.is_finished() {
            tokio::task::yield_now().await;
        }
        if first.is_finished() {
            // The reply arrived in the same turn that sent the GET.
            continue;
        }
        println!("asked {id}");
        let stopped = Instant::now();
        kill_process(getpid(), Signal::STOP).expect("our own process");
        // This thread may run on for a moment before the stop reaches it.
        while stopped.elapsed() < BOUND {
            std::hint::spin_loop();
        }
        library.overwrite(Book::new(id, "what is in the database"));
        let book = instance.books.find_by_id(&id).await.unwrap().unwrap();
        println!("woke to {}", book.title);
        first.await.unwrap().unwrap();
        return;
    }
}

/// Returns how many GETs Redis has executed, without yielding the thread.
fn calls_of_get(url: &str) -> String {
    let address = url.trim_start_matches("redis://");
    let address = address.split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"INFO commandstats\r\nQUIT\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let line = text.lines().find(|line| line.starts_with("cmdstat_get:"));
    let calls = line.and_then(|line| line.split(',').next());
    calls.unwrap_or_default().to_owned()
}
