use super::*;

fn place(name: &str) -> Place {
    (name.to_owned(), 26379)
}

#[test]
fn a_sentinel_that_is_neither_configured_nor_named_is_forgotten() {
    let configured = vec![place("configured")];
    let sentinels = Sentinels::new("main".to_owned(), configured, false, NodeMap::default());
    sentinels.learn([place("configured"), place("named")]);
    assert!(sentinels.is_known(&place("named")));
    let now = Moment::now();
    let long_ago = Moment::from_millis(now.millis().saturating_sub(60_000));
    for seen in sentinels.known.lock().values_mut().flatten() {
        *seen = long_ago;
    }
    assert!(!sentinels.is_known(&place("named")));
    assert_eq!(sentinels.known(), BTreeSet::from([place("configured")]));
    sentinels.learn([place("named")]);
    assert!(sentinels.is_known(&place("named")));
}
