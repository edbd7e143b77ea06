//! The promises of a connection, with a server at the other end of a pipe.

use std::sync::Arc;

use aside_redis::resp::{Incoming, Sent};
use aside_redis::{
    Call, Connection, Error, Event, Introduction, Limits, Refusal, Secret, WireReply,
};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

/// The server's end.
struct Server {
    stream: DuplexStream,
    incoming: Incoming,
}

impl Server {
    /// Returns the words of the next call.
    async fn call(&mut self) -> Vec<Bytes> {
        loop {
            if let Some(sent) = self.incoming.next_sent().unwrap() {
                return sent.into_words().unwrap();
            }
            let read = self.stream.read_buf(self.incoming.room()).await.unwrap();
            assert!(read > 0, "the client hung up");
        }
    }

    async fn send(&mut self, sent: &[Sent]) {
        let mut bytes = Vec::new();
        sent.iter().for_each(|sent| sent.write(&mut bytes));
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Returns once the client has hung up.
    async fn wait_until_left(mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
    }
}

/// The events of a connection, in order.
type Events = Arc<Mutex<Vec<String>>>;

fn connected() -> (Connection, JoinHandle<()>, Events, Server) {
    let (stream, server) = tokio::io::duplex(1 << 16);
    let events = Events::default();
    let heard = Arc::clone(&events);
    let limits = Limits {
        max_string_bytes: 1000,
        cut_bytes: 4,
    };
    let (connection, driver) = Connection::new(Box::new(stream), limits, move |event| {
        heard.lock().push(match event {
            Event::Message(text) => text.to_owned(),
            Event::Unsubscribed(channel) => format!("unsubscribed from {channel}"),
            Event::Disconnected => "disconnected".to_owned(),
        });
    });
    let server = Server {
        stream: server,
        incoming: Incoming::new(Limits::default()),
    };
    (connection, tokio::spawn(driver), events, server)
}

fn string(text: &str) -> WireReply {
    WireReply::Bytes(text.to_owned().into())
}

fn ok() -> Sent {
    Sent::Reply(WireReply::Text("OK".to_owned()))
}

fn error(line: &str) -> Sent {
    Sent::Reply(WireReply::Error(Refusal::parse(line)))
}

fn message(text: &str) -> Sent {
    Sent::Push(["message", "channel", text].map(string).to_vec())
}

/// Returns a push about the subscription to a channel.
fn about(kind: &str, channel: &str) -> Sent {
    Sent::Push(vec![string(kind), string(channel), WireReply::Int(1)])
}

fn ping() -> Call<'static> {
    Call::command("PING")
}

#[tokio::test]
async fn a_message_is_applied_before_the_reply_behind_it() {
    let (connection, _, events, mut server) = connected();
    let serve = async {
        for turn in 0..100 {
            server.call().await;
            server.send(&[message(&turn.to_string()), ok()]).await;
        }
    };
    let ask = async {
        for turn in 0..100 {
            connection.call(&[ping()]).await.unwrap();
            assert_eq!(events.lock().len(), turn + 1);
        }
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn calls_of_many_tasks_get_their_own_replies() {
    let (connection, _, _, mut server) = connected();
    let connection = Arc::new(connection);
    tokio::spawn(async move {
        loop {
            let word = server.call().await.pop().unwrap();
            server.send(&[Sent::Reply(WireReply::Bytes(word))]).await;
        }
    });
    let tasks: Vec<_> = (0..50)
        .map(|task| {
            let connection = Arc::clone(&connection);
            tokio::spawn(async move {
                for turn in 0..20 {
                    let text = format!("{task} {turn}");
                    let echo = || Call::command("ECHO").text(&text);
                    let replies = connection.call(&[echo(), echo()]).await.unwrap();
                    assert_eq!(replies, [string(&text), string(&text)]);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_loss_is_reported_before_the_calls_on_it_fail() {
    let (connection, driver, events, mut server) = connected();
    let lost = async {
        let lost = connection.call(&[ping()]).await.unwrap_err();
        assert_eq!(lost, Error::Lost);
        assert_eq!(*events.lock(), ["disconnected"]);
    };
    let hang_up = async {
        server.call().await;
        drop(server);
    };
    tokio::join!(lost, hang_up);
    driver.await.unwrap();
    let sent_too_late = connection.call(&[ping()]).await;
    assert_eq!(sent_too_late, Err(Error::Lost));
    assert!(connection.end(), "a call was under way");
}

#[tokio::test]
async fn a_server_that_hangs_up_with_an_error_is_quoted() {
    let (connection, _, _, mut server) = connected();
    let refuse = async {
        server.call().await;
        server
            .send(&[error("ERR max number of clients reached")])
            .await;
        drop(server);
    };
    let introduction = Introduction {
        username: None,
        password: None,
        db: None,
        library: ["test", "1"],
    };
    let (refused, ()) = tokio::join!(connection.introduce(&introduction), refuse);
    let refusal = Refusal::parse("ERR max number of clients reached");
    assert_eq!(refused.unwrap_err(), Error::HungUp(refusal));
}

#[tokio::test]
async fn an_introduction_is_one_pipeline() {
    let (connection, _, _, mut server) = connected();
    let [user, password] = ["app", "pass"].map(Secret::new);
    let introduction = Introduction {
        username: Some(&user),
        password: Some(&password),
        db: Some(7),
        library: ["test", "1"],
    };
    let serve = async {
        let mut calls = Vec::new();
        for _ in 0..4 {
            let words = server.call().await;
            calls.push(words.join(&b' '));
        }
        assert_eq!(calls[0], b"HELLO 3 AUTH app pass");
        assert_eq!(calls[1], b"SELECT 7");
        assert_eq!(calls[2], b"CLIENT SETINFO LIB-NAME test");
        assert_eq!(calls[3], b"CLIENT SETINFO LIB-VER 1");
        let hello = [string("mode"), string("cluster")];
        let hello = Sent::Reply(WireReply::Array(hello.to_vec()));
        let refused = error("ERR pass is wrong");
        server.send(&[hello, refused, ok(), ok()]).await;
    };
    let (refused, ()) = tokio::join!(connection.introduce(&introduction), serve);
    // The password is never repeated.
    let (refusal, mode) = (Refusal::parse("ERR"), "cluster".to_owned());
    let expected = Error::NotSelected { refusal, mode };
    assert_eq!(refused.unwrap_err(), expected);
}

#[tokio::test]
async fn a_dropped_connection_ends_its_driver_and_its_stream() {
    let (connection, driver, events, mut server) = connected();
    let calls = [ping()];
    let asked = connection.call(&calls);
    tokio::select! {
        biased;
        _ = asked => panic!("there is no reply"),
        _ = server.call() => {}
    }
    drop(connection);
    driver.await.unwrap();
    server.wait_until_left().await;
    assert_eq!(*events.lock(), ["disconnected"]);
}

#[tokio::test]
async fn a_dropped_driver_ends_its_connection() {
    let (connection, driver, _, server) = connected();
    driver.abort();
    assert_eq!(connection.call(&[ping()]).await, Err(Error::Lost));
    assert!(driver.await.unwrap_err().is_cancelled());
    server.wait_until_left().await;
}

#[tokio::test]
async fn a_reply_without_a_call_ends_the_connection() {
    let (connection, driver, _, mut server) = connected();
    server.send(&[ok()]).await;
    driver.await.unwrap();
    assert_eq!(connection.call(&[ping()]).await, Err(Error::Lost));
}

#[tokio::test]
async fn a_subscription_is_confirmed_by_a_push() {
    let (connection, _, events, mut server) = connected();
    let serve = async {
        assert_eq!(server.call().await.join(&b' '), b"SUBSCRIBE news");
        let mut confirmed = ["subscribe", "news"].map(string).to_vec();
        confirmed.push(WireReply::Int(1));
        server.send(&[Sent::Push(confirmed)]).await;
        server.call().await;
        server.send(&[message(&"x".repeat(2000)), ok()]).await;
    };
    let ask = async {
        connection.subscribe("news").await.unwrap();
        connection.call(&[ping()]).await.unwrap();
    };
    tokio::join!(serve, ask);
    assert_eq!(*events.lock(), [""], "a message that is too long");
}

#[tokio::test]
async fn an_unasked_push_is_never_taken_for_a_reply() {
    let (connection, _, events, mut server) = connected();
    let kinds = ["subscribe", "ssubscribe", "unsubscribe", "sunsubscribe"];
    let serve = async {
        server.call().await;
        let pushes = kinds.map(|kind| about(kind, "news"));
        server.send(&pushes).await;
        server.send(&[ok()]).await;
        // A subscription to another channel is confirmed only by its own kind.
        server.call().await;
        let other = [about("sunsubscribe", "old"), about("ssubscribe", "new")];
        server.send(&other).await;
    };
    let ask = async {
        let replies = connection.call(&[ping()]).await.unwrap();
        assert_eq!(replies, [WireReply::Text("OK".to_owned())]);
        connection.subscribe_shards(&["new"]).await.unwrap();
    };
    tokio::join!(serve, ask);
    assert_eq!(
        *events.lock(),
        [
            "unsubscribed from news",
            "unsubscribed from news",
            "unsubscribed from old"
        ]
    );
}

#[tokio::test]
async fn shard_channels_are_subscribed_one_by_one_in_one_pipeline() {
    let (connection, _, events, mut server) = connected();
    let serve = async {
        for channel in ["a", "b"] {
            let words = server.call().await.join(&b' ');
            assert_eq!(words, format!("SSUBSCRIBE {channel}").as_bytes());
        }
        let message = Sent::Push(["smessage", "a", "changed"].map(string).to_vec());
        server
            .send(&[about("ssubscribe", "a"), message, about("ssubscribe", "b")])
            .await;
        assert_eq!(server.call().await.join(&b' '), b"SUNSUBSCRIBE a");
        // The slot of the other channel moves away meanwhile.
        let ended = ["b", "a"].map(|channel| about("sunsubscribe", channel));
        server.send(&ended).await;
        server.call().await;
        server.send(&[error("MOVED 7 10.0.0.1:6379")]).await;
    };
    let ask = async {
        connection.subscribe_shards(&["a", "b"]).await.unwrap();
        connection.unsubscribe_shards(&["a"]).await.unwrap();
        let refused = connection.subscribe_shards(&["c"]).await.unwrap_err();
        let (command, refusal) = ("SSUBSCRIBE", Refusal::parse("MOVED"));
        assert_eq!(refused, Error::Refused { command, refusal });
        connection.subscribe_shards(&[]).await.unwrap();
    };
    tokio::join!(serve, ask);
    assert_eq!(*events.lock(), ["changed", "unsubscribed from b"]);
}

#[tokio::test]
async fn asking_precedes_its_call_and_its_reply_is_dropped() {
    let (connection, _, _, mut server) = connected();
    let get = |key| Call::command("GET").text(key);
    let serve = async {
        let mut calls = Vec::new();
        for _ in 0..5 {
            let words = server.call().await.join(&b' ');
            calls.push(String::from_utf8(words).unwrap());
        }
        assert_eq!(calls, ["GET a", "ASKING", "GET b", "ASKING", "GET c"]);
        let value = |text| Sent::Reply(string(text));
        let replies = [value("1"), ok(), value("2"), ok(), error("NOSCRIPT no")];
        server.send(&replies).await;
        // The node takes no ASKING: its refusal is the cause of the other one.
        for _ in 0..4 {
            server.call().await;
        }
        let replies = [
            error("NOPERM no"),
            error("MOVED 1 h:1"),
            error("NOPERM no"),
            value("3"),
        ];
        server.send(&replies).await;
    };
    let ask = async {
        let calls = [get("a"), get("b").asking(), get("c").asking()];
        let replies = connection.call(&calls).await.unwrap();
        let unknown = WireReply::Error(Refusal::parse("NOSCRIPT no"));
        assert_eq!(replies, [string("1"), string("2"), unknown]);
        assert!(calls[2].clone().is_asking());

        let replies = connection
            .call(&[get("b").asking(), get("c").asking()])
            .await;
        let refused = WireReply::Error(Refusal::parse("NOPERM no"));
        assert_eq!(replies.unwrap(), [refused, string("3")]);
    };
    tokio::join!(serve, ask);
}

#[tokio::test]
async fn no_database_is_selected_without_need() {
    for db in [None, Some(0)] {
        let (connection, _, _, mut server) = connected();
        let introduction = Introduction {
            username: None,
            password: None,
            db,
            library: ["test", "1"],
        };
        let serve = async {
            for begins in [
                "HELLO 3",
                "CLIENT SETINFO LIB-NAME",
                "CLIENT SETINFO LIB-VER",
            ] {
                let words = server.call().await.join(&b' ');
                assert!(words.starts_with(begins.as_bytes()));
            }
            server.send(&[ok(), ok(), ok()]).await;
        };
        let (introduced, ()) = tokio::join!(connection.introduce(&introduction), serve);
        introduced.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_replies_in_tls_is_recognised() {
    let (connection, _, _, mut server) = connected();
    let alert = async {
        server.call().await;
        let alert = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46];
        server.stream.write_all(&alert).await.unwrap();
    };
    let calls = [ping()];
    let (lost, ()) = tokio::join!(connection.call(&calls), alert);
    assert_eq!(lost, Err(Error::SpeaksTls));
}
