//! Runs every example as a user would, against the embedded server, and looks at how it ends and at what it prints. Those
//! that need what the embedded server does not serve run against the real one when `CONDUCTOR_SERVER_URL` is set, and must
//! else say that they need it.
//!
//! Cargo builds the examples with the tests, unless it is told to build this test alone: `cargo build --examples` first.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{
    env,
    io::Read,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread::Builder,
    time::Duration,
};

/// Examples end within 30 s by themselves, but the one that waits until the server listens to an event, which it begins
/// within a minute; the rest is for a busy machine.
const DEADLINE: Duration = Duration::from_secs(100);

/// `target/debug/deps/examples-0123` has its examples in `target/debug/examples`.
fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
    let path = folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is missing: run all tests, or `cargo build --examples` first", path.display());
    path
}

/// Reads a pipe to its end on a thread of its own; the channel delivers the text once, when the child has closed it.
fn read_all(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (text_in, text) = mpsc::channel();
    let mut pipe = pipe.unwrap();
    let read = move || {
        let mut bytes = Vec::new();
        let outcome = pipe.read_to_end(&mut bytes);
        let note = outcome.err().map(|e| format!("[can't be read: {e}]")).unwrap_or_default();
        // A test that has failed no longer listens.
        drop(text_in.send(String::from_utf8_lossy(&bytes).into_owned() + &note));
    };
    Builder::new().name("pipe".to_owned()).spawn(read).unwrap();
    text
}

fn kill(child: &mut Child) {
    // It may have ended by itself in this moment.
    drop(child.kill());
    drop(child.wait());
}

fn check(name: &str, expected: &str) {
    let mut command = Command::new(binary(name));
    let (status, printed, complaint) = run(name, command.env_remove("CONDUCTOR_SERVER_URL"));
    check_end(name, expected, status, &printed, &complaint);
}

/// For an example that only a real server can serve.
#[expect(clippy::disallowed_methods, reason = "only a test that needs the real server asks where it is")]
fn check_on_real_server(name: &str, expected: &str) {
    let mut command = Command::new(binary(name));
    if env::var("CONDUCTOR_SERVER_URL").is_ok_and(|url| !url.trim().is_empty()) {
        let (status, printed, complaint) = run(name, &mut command);
        return check_end(name, expected, status, &printed, &complaint);
    }
    let (status, printed, complaint) = run(name, &mut command);
    assert!(!status.success(), "{name} has no server: {printed}");
    assert!(complaint.contains("CONDUCTOR_SERVER_URL"), "{name} did not say what it needs: {complaint}");
}

fn check_end(name: &str, expected: &str, status: ExitStatus, printed: &str, complaint: &str) {
    assert!(status.success(), "{name}: {status}\n{printed}\nstandard error:\n{complaint}");
    assert!(printed.lines().any(|line| line.contains(expected)), "{name} did not print `{expected}`:\n{printed}");
}

/// How the program ended, what it printed, and what it complained about.
fn run(name: &str, command: &mut Command) -> (ExitStatus, String, String) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (read_all(child.stdout.take()), read_all(child.stderr.take()));
    // Both pipes are the child's alone: the first is closed when it ends.
    let printed = stdout.recv_timeout(DEADLINE);
    if printed.is_err() {
        kill(&mut child);
    }
    let complaint = stderr.recv_timeout(DEADLINE).unwrap_or_default();
    let printed =
        printed.unwrap_or_else(|_| panic!("{name} had not ended after {DEADLINE:?}; standard error:\n{complaint}"));
    (child.wait().unwrap(), printed, complaint)
}

#[test]
fn quickstart_prices_three_orders() {
    check("quickstart", "apple: 3.00");
}

#[test]
fn long_running_takes_three_calls() {
    check("long_running", "COMPLETED: 25 pages in 3 calls");
}

#[test]
fn blocking_and_cpu_does_both() {
    check("blocking_and_cpu", "8 calls of a second and 4 computations took");
}

#[test]
fn update_from_outside_completes_the_order() {
    check("update_from_outside", "the order is COMPLETED with {\"parcel\":\"P-17\"}");
}

#[cfg(feature = "metrics")]
#[test]
fn metrics_prints_what_was_counted() {
    check("metrics", "task_execute_time_count{taskType=\"metrics_divide\"} 3");
}

#[test]
fn graceful_stop_loses_nothing() {
    check("graceful_stop", "none lost");
}

#[test]
fn draw_writes_five_pictures() {
    check("draw", "five pictures of draw_linear (COMPLETED) are in ");
}

#[test]
fn test_your_worker_passes() {
    check("test_your_worker", "2 tests passed");
}

#[test]
fn steer_does_all_that_can_be_done_to_a_workflow() {
    check_on_real_server("steer", "after a signal: COMPLETED with {\"by\":\"Grace\"}");
}

#[test]
fn search_and_bulk_finds_and_removes_its_workflows() {
    check_on_real_server("search_and_bulk", "removed: 5, left: 0");
}

#[test]
fn schedule_fires_twice() {
    check_on_real_server("schedule", "at least two runs: true");
}

/// The server may need a minute to listen.
#[test]
fn events_starts_the_delivery() {
    check_on_real_server("events", "P-17: the delivery is COMPLETED with {\"result\":\"P-17 is on its way\"}");
}

#[test]
fn a2a_orders_a_pizza() {
    check_on_real_server("a2a", "the order is completed");
}

#[test]
fn workflows_prints_receipts() {
    check("workflows", "{\"cents\":90,\"receipt\":\"apple: 0.90\"}");
}

/// The embedded server does not run it, so it prints what it would register.
#[test]
fn control_flow_is_checked() {
    check("control_flow", "checked: look, look_join, which, each_guest");
}

#[test]
fn every_example_is_run_here() {
    let here = include_str!("examples.rs");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_run =
            ["check", "check_on_real_server"].iter().any(|check| here.contains(&format!("{check}(\"{name}\"")));
        assert!(is_run, "{name} is not run by this test");
    }
}
