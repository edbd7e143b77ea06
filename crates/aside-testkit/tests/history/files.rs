//! Histories of several processes, combined from lines.

use std::env;
use std::process::{self, Command};

use aside_testkit::history::{Bounds, Check, Fate, History, ReadKind, Recording, State, Time};

use crate::scenario::{Scenario, bounds, nanos};

/// Marks the test process as a child, and names the file to record into.
const CHILD: &str = "ASIDE_TESTKIT_HISTORY";

fn everything() -> History {
    let mut history = Scenario::new()
        .initially(State::list(3, ["a,b", "", "back\\slash", "tab\tline\n"]))
        .wrote("w 1", 10, 20, 4)
        .failed(20, 21, State::Absent(Some(5)))
        .lost(30, None)
        .lost(40, Some(State::list(5, ["x"])))
        .strict("a\tb", 41, 42, None)
        .lenient("", 43, 44, State::list(5, [""; 0]))
        .settled(State::Absent(None), State::list(1, [""]))
        .history;
    history.failed_reads = 2;
    history
}

#[test]
fn a_history_survives_writing_and_reading() {
    let history = everything();
    assert_eq!(History::from_lines(&history.to_lines()), Ok(history));
}

#[test]
fn a_recording_in_a_file_is_the_recording_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history");
    let recording = Recording::appending_to(&path).unwrap();
    let recorder = recording.recorder("a");
    recorder.initial("hero:1", 1);
    let write = recorder.begin_write("hero:1");
    let lost = recorder.begin_write("hero:2");
    write.learned(2);
    write.returned();
    lost.learned(State::list(1, ["x"]));
    recorder.begin_write("hero:3").failed();
    recorder.read("hero:1", ReadKind::Lenient, Time::now(), 2);
    recorder.failed_read();
    recorder.fault("redis killed");
    recorder.settled("hero:1", 2, 2);
    assert_eq!(History::read_from(&path).unwrap(), recording.history());
}

#[test]
fn a_torn_last_line_is_ignored_and_other_bad_lines_are_errors() {
    let history = Scenario::new().wrote("w", 10, 20, 1).history;
    let lines = history.to_lines();
    let torn = format!("{lines}write\t7\tw\the");
    assert_eq!(History::from_lines(&torn), Ok(history));
    for nonsense in [
        "write\t7\tw\the\n",
        "unheard\tof\n",
        "\n",
        "fault\t1\ta\\x\n",
        "fault\t1\ta\tb\n",
        "read\ta\tk\tstrict\t20\t10\t1\n",
        "read\ta\tk\tstrict\t10\t20\t?\n",
        "write\t0\tw\tk\t10\tended 20\t1\n",
    ] {
        let error = History::from_lines(&format!("{lines}{nonsense}{lines}")).unwrap_err();
        assert_eq!((error.number, error.line), (2, nonsense.replace('\n', "")));
    }
}

#[test]
fn writes_with_the_same_number_in_two_processes_are_two_writes() {
    let one = Scenario::new().lost(10, Some(1.into())).history.to_lines();
    let other = Scenario::new().lost(11, Some(2.into())).history.to_lines();
    let both = History::from_lines(&format!("{one}{other}")).unwrap();
    assert_eq!(both.writes.len(), 2);
}

#[test]
fn a_killed_process_leaves_its_history_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history");
    let recording = Recording::new();
    let recorder = recording.recorder("parent");
    recorder.initial("hero:1", 1);
    recorder.initial("hero:2", 1);
    let before = Time::now();

    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "files::child", "--include-ignored"])
        .env(CHILD, &path)
        .output()
        .unwrap();
    assert!(!child.status.success(), "it must die");
    for (key, version) in [("hero:1", 1), ("hero:1", 2), ("hero:2", 1)] {
        recorder.read(key, ReadKind::Strict, Time::now(), version);
    }

    let mut history = recording.history();
    history.merge(History::read_from(&path).unwrap());
    let fates: Vec<Fate> = history.writes[2..].iter().map(|it| it.fate).collect();
    let [Fate::Unknown, Fate::Returned(returned)] = fates[..] else {
        panic!("{fates:?}");
    };
    assert!(before < returned && returned < Time::now());

    // A read may or may not see the lost write, but must see the returned one.
    let report = history.check(&Bounds::new(nanos(0)));
    assert_eq!(report.violations_of(Check::Stale), 1, "{report}");
    assert_eq!((report.violations(), report.unknown_writes), (1, 1));
}

#[test]
#[ignore = "the process that dies in `a_killed_process_leaves_its_history_behind`"]
fn child() {
    let Some(path) = env::var_os(CHILD) else {
        return;
    };
    let recorder = Recording::appending_to(path).unwrap().recorder("child");
    let lost = recorder.begin_write("hero:1");
    lost.learned(2);
    let write = recorder.begin_write("hero:2");
    write.learned(2);
    write.returned();
    process::abort();
}

#[test]
fn recorders_of_many_threads_make_one_history() {
    let recording = Recording::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let recorder = recording.recorder("a");
            scope.spawn(move || {
                let key = format!("hero:{thread}");
                for version in 1..=100 {
                    let write = recorder.begin_write(&key);
                    write.learned(version);
                    write.returned();
                    recorder.read(&key, ReadKind::Strict, Time::now(), version);
                }
            });
        }
    });
    let report = recording.history().check(&bounds());
    assert_eq!((report.reads, report.writes), (400, 400));
    report.assert_clean();
}

#[test]
#[should_panic(expected = "is learned before the write returns")]
fn a_write_without_a_version_cannot_return() {
    let recorder = Recording::new().recorder("a");
    recorder.begin_write("hero:1").returned();
}
