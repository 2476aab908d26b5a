//! Measures the numbers this project promises to hold. It prints a table with a line for each and ends with 1 when one does
//! not hold.
//!
//! `cargo run --release --example figures --features embedded` needs no server. With `CONDUCTOR_SERVER_URL` set, the figures
//! that can be seen from outside are taken on that server. Names of figures as arguments take only those.

#![allow(clippy::print_stdout, reason = "it is what the program is for")]

mod child;
mod holding;
mod outside;
mod proxy;
mod punctual;
mod site;

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use conductor_sync::{Workflow, embedded::EmbeddedServer};

use site::{Outcome, Site, request};

/// A number as it was measured.
struct Figure {
    measured: String,
    holds: bool,
}

/// What is measured, what it must be, how.
type Row = (&'static str, &'static str, &'static str, fn() -> Outcome<Figure>);

const ROWS: &[Row] = &[
    ("blocking", "100 blocking tasks of 300 ms on 20 threads", "<= 1.8 s", punctual::blocking),
    ("dedicated", "tasks held by a worker with 1 dedicated thread", "1", holding::dedicated),
    ("shared", "tasks held by a pool of 4 threads that 3 task types share", "<= 7", holding::shared),
    ("sigterm", "tasks left IN_PROGRESS by SIGTERM with 20 tasks of 2 s running", "0", outside::sigterm),
    (
        "heartbeats",
        "heartbeats while tasks burn all cores, response timeout 2 s",
        "all, < 2 s apart",
        punctual::heartbeats,
    ),
    ("connections", "connections for 4,000 tasks on 20 threads", "<= 23", outside::connections),
    ("idle", "cost of 20 idle task types", "<= 12 requests/s, <= 0.5 % of a core", outside::idle),
    ("stop", "stop of an idle runner", "<= 2.5 s", punctual::stop),
    ("wait", "end of a workflow until a wait for it tells, at worst", "<= 1.2 s", punctual::wait),
    ("panics", "10,000 tasks, every third panics", "all end as they should, same threads", holding::panics),
];

fn main() -> Outcome<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == child::ARGUMENT) {
        return child::run(&arguments[1..]);
    }
    if let Some(unknown) = arguments.iter().find(|wanted| ROWS.iter().all(|row| row.0 != **wanted)) {
        let names: Vec<_> = ROWS.iter().map(|row| row.0).collect();
        return Err(format!("there is no figure `{unknown}`, only {}", names.join(", ")).into());
    }
    println!("| name | what | bar | measured | holds |");
    println!("|---|---|---|---|---|");
    let mut all_hold = true;
    for (name, what, bar, measure) in ROWS {
        if !arguments.is_empty() && !arguments.iter().any(|wanted| wanted == name) {
            continue;
        }
        let figure = measure().unwrap_or_else(|e| Figure { measured: format!("not measured: {e}"), holds: false });
        let holds = if figure.holds { "yes" } else { "**no**" };
        println!("| `{name}` | {what} | {bar} | {} | {holds} |", figure.measured);
        all_hold &= figure.holds;
    }
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The workflows, once all of them have ended.
fn ended(site: &Site, ids: &[String], within: Duration) -> Outcome<Vec<Workflow>> {
    let end = Instant::now() + within;
    let wait = |id: &String| Ok(site.client.workflows().wait(id, end.saturating_duration_since(Instant::now()))?);
    ids.iter().map(wait).collect()
}

/// Starts workflows with `n` from 0 without a request for each, since thousands take their time.
fn start_inside(server: &EmbeddedServer, name: &str, n_workflows: usize) -> Outcome<Vec<String>> {
    (0..n_workflows).map(|n| Ok(server.start_workflow(&request(name, n))?)).collect()
}

/// As [`ended`], for thousands.
fn ended_inside(server: &EmbeddedServer, ids: &[String], within: Duration) -> Outcome<Vec<Workflow>> {
    let end = Instant::now() + within;
    let wait = |id: &String| Ok(server.wait_for_workflow(id, end.saturating_duration_since(Instant::now()))?);
    ids.iter().map(wait).collect()
}
