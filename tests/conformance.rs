//! Lists of exchanges, told to the embedded server and, when `CONDUCTOR_SERVER_URL` is set, to the real one. Both must
//! answer what `tests/fixtures/conformance*.txt` hold, which was recorded from the real server (3.32.1).
//!
//! Ids, times and names that differ from run to run are replaced before the comparison. When an answer differs, the whole
//! transcript is left in the folder for temporary files of the build, so that a new recording is a copy.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

#[path = "conformance/cases.rs"]
mod cases;
#[path = "conformance/exchange.rs"]
mod exchange;
#[path = "conformance/outside.rs"]
mod outside;

use std::{fs, path::Path, thread};

use conductor_sync::embedded::EmbeddedServer;

use exchange::{Step, Teller};

/// A list of cases, the name of its recording, and the recording.
type List = (&'static [(&'static str, &'static [Step])], &'static str, &'static str);

const LISTS: [List; 2] = [
    (cases::CASES, "conformance", include_str!("fixtures/conformance.txt")),
    (outside::CASES, "conformance-outside", include_str!("fixtures/conformance-outside.txt")),
];

#[test]
fn the_embedded_server_answers_as_recorded() {
    let server = EmbeddedServer::start().unwrap();
    LISTS.iter().for_each(|list| compare(list, "embedded", &server.url()));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "only a test that needs the real server asks where it is")]
fn the_real_server_answers_as_recorded() {
    if let Ok(url) = std::env::var("CONDUCTOR_SERVER_URL") {
        LISTS.iter().for_each(|list| compare(list, "real", url.trim_end_matches('/')));
    }
}

fn compare((cases, name, recording): &List, server: &str, url: &str) {
    // Most of a case is waiting, so the cases run side by side; each has names of its own.
    let transcript: String = thread::scope(|scope| {
        let tellers: Vec<_> =
            cases.iter().map(|(name, steps)| scope.spawn(|| Teller::new(url, name).tell(steps))).collect();
        tellers.into_iter().map(|teller| teller.join().unwrap()).collect()
    });
    if transcript == *recording {
        return;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{server}.txt"));
    fs::write(&path, &transcript).unwrap();
    panic!(
        "the {server} server answers otherwise (all of it: {}):\n{}",
        path.display(),
        first_differences(recording, &transcript)
    );
}

/// The first lines that differ, each with the request before it.
fn first_differences(recording: &str, transcript: &str) -> String {
    const MOST: usize = 12;
    let mut request = "";
    let mut found = Vec::new();
    let pairs = recording.lines().zip(transcript.lines());
    for (expected, got) in pairs {
        if got.starts_with(['#', '>']) {
            request = got;
        }
        if expected != got {
            found.push(format!("{request}\n  expected {expected}\n  got      {got}"));
        }
        if found.len() == MOST {
            break;
        }
    }
    let lengths = (recording.lines().count(), transcript.lines().count());
    if lengths.0 != lengths.1 {
        found.push(format!("expected {} lines, got {}", lengths.0, lengths.1));
    }
    found.join("\n")
}
