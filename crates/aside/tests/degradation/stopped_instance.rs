//! The instance itself is stopped, and goes on as if no time had passed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::{Signal, getpid, kill_process};

use super::another_process::AnotherProcess;
use super::*;

/// How often a process may try to be stopped at the right moment.
const TRIES: u32 = 20;

const BOUND: Duration = Duration::from_millis(500);

#[tokio::test]
async fn an_instance_that_was_stopped_serves_nothing_older_than_the_bound() {
    if let Some(url) = AnotherProcess::role() {
        return be_stopped(&url).await;
    }
    let redis = redis();
    let library = Library::of(1);
    let writer = Instance::in_step(at(&redis.url()), &library).await;
    let name = "stopped_instance::an_instance_that_was_stopped_serves_nothing_older_than_the_bound";
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
    // Whichever it asks: it may be in step with Redis again by then, where the
    // writer has left its row. What it held would be a third answer.
    let woke = child.hear("woke");
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

#[tokio::test]
async fn a_process_that_goes_on_takes_nothing_over_from_a_read_of_before_it_was_stopped() {
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
         a_process_that_goes_on_takes_nothing_over_from_a_read_of_before_it_was_stopped",
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

/// Stops itself when Redis has answered a GET and nobody has read the answer
/// yet; then says what a read finds that begins when it goes on, before
/// anything else in this process has had its turn.
async fn stop_between_question_and_answer(url: &str) {
    let library = Library::of(TRIES);
    let instance = Instance::in_step(at(url), &library).await;
    for id in 1..=TRIES {
        let before = calls_of_get(url);
        let books = instance.books.clone();
        let first = tokio::spawn(async move { books.find_by_id(&id).await });
        // Nothing here has a turn while Redis is asked whether it has answered.
        while before == calls_of_get(url) && !first.is_finished() {
            tokio::task::yield_now().await;
        }
        if first.is_finished() {
            // The answer came in the turn that sent the question.
            continue;
        }
        println!("asked {id}");
        let stopped = Instant::now();
        kill_process(getpid(), Signal::STOP).expect("our own process");
        // This thread may run on for a moment before the stop gets to it.
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

/// How many GETs Redis has executed, asked without giving up the thread.
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
