//! The promises of waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use aside_testkit::{eventually, eventually_blocking};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_wait_returns_the_value_as_soon_as_it_exists() {
    let mut looks = 0;
    let value = eventually_blocking(HOUR, "the third check", || {
        looks += 1;
        (looks == 3).then_some("here")
    });
    assert_eq!((value, looks), ("here", 3));
}

#[test]
fn a_failed_wait_names_the_condition_and_its_caller() {
    let wait = || eventually_blocking(Duration::ZERO, "rain", || Err::<(), _>("sunshine"));
    let panic = catch_unwind(wait).unwrap_err();
    let message = panic.downcast::<String>().unwrap();
    assert!(message.contains("rain"), "{message}");
    assert!(message.contains("sunshine"), "{message}");
    assert!(message.contains("tests/wait.rs"), "{message}");
}

#[tokio::test]
async fn an_asynchronous_wait_lets_other_tasks_run() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move { sender.send(7).await });
    let seven = eventually(HOUR, "a message", async || receiver.try_recv()).await;
    assert_eq!(seven, 7);
}

#[test]
fn a_failed_asynchronous_wait_names_its_caller() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let wait = || runtime.block_on(eventually(Duration::ZERO, "rain", async || false));
    let panic = catch_unwind(AssertUnwindSafe(wait)).unwrap_err();
    let message = panic.downcast::<String>().unwrap();
    assert!(
        message.contains("rain") && message.contains("tests/wait.rs"),
        "{message}"
    );
}
