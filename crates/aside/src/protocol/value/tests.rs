use proptest::prelude::*;

use super::*;

const OURS: FillContext = FillContext {
    history: 0xfeed,
    epoch: 1_700_000_000_000,
    shape: 42,
};

fn value(body: &str, compress_above: Option<usize>) -> Vec<u8> {
    let envelope = Envelope {
        body,
        cached_at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        ttl: Duration::from_secs(3600),
    };
    let fill = KeyStamp::random();
    encode(OURS, fill, 7, Member::Entity, envelope, compress_above).bytes
}

#[test]
fn a_value_is_a_header_line_and_json() {
    let text = String::from_utf8(value("{\"id\":1}", None)).unwrap();
    let (header, payload) = text.split_once('\n').unwrap();
    assert_eq!(header.len() + 1, HEADER_BYTES);
    assert!(header.starts_with("V000000000000feed1700000000000000000000000002a"));
    assert_eq!(
        payload,
        r#"{"entity":{"id":1},"cached_at":"2026-01-02T03:04:05.678Z","ttl":3600}"#
    );
}

#[test]
fn a_compressed_size_beyond_the_limit_is_refused_before_it_is_allocated() {
    let mut bytes = value(&"x".repeat(4096), Some(16));
    bytes[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let header = Header::parse(&bytes).unwrap();
    assert_eq!(
        payload(&header, &bytes, 1 << 20),
        Err(Unacceptable::TooLarge)
    );
}

#[test]
fn a_value_at_the_limit_that_does_not_compress_is_read_back() {
    let body: String = (0..4096).map(|_| fastrand::char('\u{1000}'..)).collect();
    let bytes = value(&body, Some(16));
    let limit = value(&body, None).len() - HEADER_BYTES;
    let header = Header::parse(&bytes).unwrap();
    assert!(payload(&header, &bytes, limit).is_ok());
}

#[test]
fn a_header_must_match_history_shape_and_epoch() {
    let header = Header::parse(&value("null", None)).unwrap();
    let now = Timestamp::now();
    assert_eq!(header.judge(OURS, now), Ok(()));
    assert_eq!(
        header.judge(FillContext { history: 1, ..OURS }, now),
        Err(Unacceptable::OtherHistory)
    );
    assert_eq!(
        header.judge(
            FillContext {
                shape: 1 << 60,
                ..OURS
            },
            now
        ),
        Err(Unacceptable::OtherShape)
    );
    assert_eq!(
        header.judge(
            FillContext {
                epoch: OURS.epoch + 1,
                ..OURS
            },
            now
        ),
        Err(Unacceptable::Forgotten)
    );
    assert_eq!(
        header.judge(
            FillContext {
                epoch: OURS.epoch - 1,
                ..OURS
            },
            now
        ),
        Ok(())
    );
}

#[test]
fn a_value_of_another_key_is_misplaced() {
    let under = |key: &str| FillContext {
        shape: mixed(OURS.shape, &Key::new(key)),
        ..OURS
    };
    let header = Header {
        fill_context: under("hero:lang:en"),
        ..Header::parse(&value("null", None)).unwrap()
    };
    let now = Timestamp::now();
    assert_eq!(header.judge(under("hero:lang:en"), now), Ok(()));
    assert_eq!(
        header.judge(under("hero:all"), now),
        Err(Unacceptable::Misplaced)
    );
}

#[test]
fn the_largest_epoch_can_be_judged() {
    let header = Header::parse(&value("null", None)).unwrap();
    let ours = FillContext {
        epoch: u64::MAX,
        ..OURS
    };
    assert_eq!(
        header.judge(ours, Timestamp::now()),
        Err(Unacceptable::Forgotten)
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, flags in 0u8..4) {
        let mut value = value("null", None);
        value[HEADER_BYTES - 2] = b'0' + flags;
        value.truncate(HEADER_BYTES);
        value.extend(&bytes);
        for candidate in [&bytes, &value] {
            if let Some(header) = Header::parse(candidate)
                && let Ok(text) = payload(&header, candidate, 1 << 16)
            {
                let _ = open(&text, Member::Entity);
            }
        }
    }

    #[test]
    fn any_body_survives_a_round_trip(body: String, above: Option<u8>) {
        let bytes = value(&body, above.map(usize::from));
        let header = Header::parse(&bytes).unwrap();
        let text = payload(&header, &bytes, 1 << 20).unwrap();
        let envelope = open(&text, Member::Entity).unwrap();
        prop_assert_eq!(envelope.body, body);
        prop_assert_eq!(envelope.ttl, Duration::from_secs(3600));
    }
}

#[test]
fn the_dependencies_of_a_value_are_read_back() {
    let recorded = |key, stamp| Recorded {
        key,
        stamp: KeyStamp::from_number(stamp),
        context: StampContext {
            history: u64::MAX,
            epoch: 1_700_000_000_000,
        },
    };
    let dependencies = [
        recorded("hero:all", 1),
        recorded("hero:name:D {x", u64::MAX),
    ];
    let body = "[1,2,3]".repeat(200);
    let envelope = Envelope {
        body: &body,
        cached_at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        ttl: Duration::from_secs(60),
    };
    for (kept, above) in [
        (&dependencies[..], None),
        (&dependencies, Some(16)),
        (&[], None),
    ] {
        let fill = (KeyStamp::random(), 0);
        let bytes = encode_dependent(OURS, fill, Member::Entity, envelope, kept, above).bytes;
        let header = Header::parse(&bytes).unwrap();
        let (read, payload) = Recorded::read(&header, &bytes, 1 << 20).unwrap();
        assert_eq!(read, kept);
        assert_eq!(open(&payload, Member::Entity).unwrap().body, body);
        // A reader of rows takes no value with dependencies.
        assert_eq!(payload_of_row(&header, &bytes).is_ok(), kept.is_empty());
    }
}

fn payload_of_row<'a>(header: &Header, bytes: &'a [u8]) -> Result<Cow<'a, str>, Unacceptable> {
    payload(header, bytes, 1 << 20)
}

proptest! {
    #[test]
    fn arbitrary_dependencies_never_panic(bytes: Vec<u8>, count in "[0-9]{1,3}\n?") {
        let mut value = value("null", None);
        value[HEADER_BYTES - 2] = b'4';
        for rest in [bytes.clone(), [count.into_bytes(), bytes].concat()] {
            value.truncate(HEADER_BYTES);
            value.extend(&rest);
            let header = Header::parse(&value).unwrap();
            let _ = Recorded::read(&header, &value, 1 << 16);
        }
    }
}
