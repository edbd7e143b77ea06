//! Reports that instances announce.

use crate::conformance::Case;
use crate::entity::key::Key;
use crate::protocol::{Op, Reply, Report};

async fn announce(case: &Case, key: &Key, field: &str, report: &str) {
    let op = Op::Announce {
        key: key.clone(),
        field: field.to_owned(),
        report: report.to_owned(),
        prunes: true,
    };
    assert_eq!(case.run(op).await, Reply::Done);
}

async fn announced(case: &Case, key: &Key) -> (u64, Vec<Report>) {
    let reply = case.run(Op::Announced { key: key.clone() }).await;
    let Reply::Announced { now, mut reports } = reply else {
        panic!("reports are read, not {reply:?}");
    };
    reports.sort_by(|one, other| one.field.cmp(&other.field));
    (now, reports)
}

pub(crate) async fn reports_have_the_time_of_the_server(case: &Case) {
    let key = case.key("fleet");
    assert_eq!(announced(case, &key).await.1, []);
    announce(case, &key, "1", "{\"name\":\"api 1\"}").await;
    announce(case, &key, "2", "x").await;
    announce(case, &key, "2", "y").await;

    let (now, reports) = announced(case, &key).await;

    let texts: Vec<_> = reports.iter().map(|report| &*report.text).collect();
    assert_eq!(texts, ["{\"name\":\"api 1\"}", "y"]);
    for report in &reports {
        assert!(now - 60_000 < report.at && report.at <= now, "{report:?}");
    }
}

pub(crate) async fn a_withdrawn_report_is_gone(case: &Case) {
    let key = case.key("fleet");
    announce(case, &key, "1", "x").await;
    announce(case, &key, "2", "y").await;
    let withdraw = || {
        case.run(Op::Withdraw {
            key: key.clone(),
            field: "1".to_owned(),
        })
    };
    assert_eq!(withdraw().await, Reply::Existed(true));
    assert_eq!(withdraw().await, Reply::Existed(false));
    let (_, reports) = announced(case, &key).await;
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].field, "2");
}
