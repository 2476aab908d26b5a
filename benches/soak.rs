//! Runs many tasks under conditions in which some could be lost or damaged, and looks at every one afterwards. It ends with
//! 1 when one was.
//!
//! - `soak heartbeats [SEED]`: 500 short tasks whose heartbeats are as frequent as their results.
//! - `soak outage COMMAND [SEED]`: 500 tasks, in the midst of which the server is killed with `COMMAND kill` and started
//!   again with `COMMAND restart`: `.ci/server` is such a command.
//!
//! It runs on the server of `CONDUCTOR_SERVER_URL`, and without that on the embedded one, which can have no outage:
//! `cargo run --release --example soak --features embedded -- heartbeats`. The seed of a run is printed; it decides how long
//! each task takes.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is what the program is for")]

mod site;

use std::{
    env,
    process::{Command, ExitCode},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use conductor_sync::{
    Client, Config, Metrics, RetryLogic, RunnerHandle, Task, TaskContext, TaskError, TaskRunner, TaskStatus, Worker,
    Workflow, WorkflowStatus,
};
use crossbeam_channel::Receiver;
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::Deserialize;
use serde_json::{Value, json};

use site::{Outcome, Site, TASK, rest};

const N_TASKS: usize = 500;
const N_THREADS: usize = 20;

/// A server that was killed and runs again needs this long, and then so long to find out about tasks it had handed out.
const PATIENCE: Duration = Duration::from_secs(300);

/// Counts what is logged at WARN and above, and shows it.
struct Complaints(AtomicUsize);

static COMPLAINTS: Complaints = Complaints(AtomicUsize::new(0));

impl Log for Complaints {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.fetch_add(1, Ordering::Relaxed);
            eprintln!("{} {}", record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

fn main() -> Outcome<ExitCode> {
    log::set_logger(&COMPLAINTS)?;
    log::set_max_level(LevelFilter::Warn);
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let all_well = match arguments.as_slice() {
        ["heartbeats", seed @ ..] => heartbeats(seeded(seed)?)?,
        ["outage", command, seed @ ..] => outage(command, seeded(seed)?)?,
        _ => return Err("expected `heartbeats [SEED]` or `outage COMMAND [SEED]`".into()),
    };
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Times from 0 to 60 ms for each task, and the seed they come from.
fn seeded(argument: &[&str]) -> Outcome<fastrand::Rng> {
    let seed = match argument {
        [] => fastrand::u64(..),
        [seed] => seed.parse()?,
        [_, unknown, ..] => return Err(format!("unknown argument: {unknown}").into()),
    };
    println!("seed {seed}");
    Ok(fastrand::Rng::with_seed(seed))
}

/// A heartbeat every 20 ms, and one that every second handler asks for when it is about to return: some meet the result.
fn heartbeats(times: fastrand::Rng) -> Outcome<bool> {
    let site = Site::open()?;
    let every = Duration::from_millis(20);
    let plan = Plan { name: "soak_heartbeats", most_ms: 60, heartbeat: Some(every) };
    let work = Work::start(&site, plan, times)?;
    let n_damaged = n_damaged(&work.ended(&site, Duration::from_secs(60)));
    let (n_sent, n_failed) =
        (work.counted(&["task_heartbeat_total{"]), work.counted(&["task_heartbeat_total{", "FAILURE"]));
    println!("{N_TASKS} tasks, {n_sent} heartbeats sent, {n_failed} of them failed: {n_damaged} tasks damaged");
    Ok(work.ends_cleanly() && n_damaged == 0)
}

/// What is run.
#[derive(Clone, Copy)]
struct Plan {
    name: &'static str,
    /// The longest time of a task.
    most_ms: u64,
    /// How often heartbeats are sent; `None` leaves that to the runner.
    heartbeat: Option<Duration>,
}

/// What runs: workflows with one task each, and the runner for their tasks.
struct Work {
    runner: RunnerHandle,
    metrics: Metrics,
    /// The workflows, in the order of the numbers they hand to their tasks.
    ids: Vec<String>,
    /// The number of each task whose handler was begun.
    begun: Receiver<usize>,
}

impl Work {
    fn start(site: &Site, plan: Plan, mut times: fastrand::Rng) -> Outcome<Self> {
        let times: Vec<u64> = (0..N_TASKS).map(|_| times.u64(0..=plan.most_ms)).collect();
        let (begun_in, begun) = crossbeam_channel::unbounded();
        let handler = move |cx: &TaskContext, Input { n }: Input| -> Result<Value, TaskError> {
            begun_in.send(n)?;
            rest(Duration::from_millis(times[n]));
            if plan.heartbeat.is_some() && n % 2 == 0 {
                cx.heartbeat();
            }
            Ok(output(n))
        };
        let name = site.define(plan.name, |task| task.retries(3, RetryLogic::Fixed, Duration::from_secs(1)))?;
        let ids = site.start(&name, N_TASKS)?;
        let metrics = Metrics::new();
        let client = Client::with_metrics(Config::new(site.client.server_url())?, metrics.clone())?;
        let worker = Worker::new(&name, handler).dedicated_threads(N_THREADS);
        // None is written as 0, which leaves it to the runner.
        let worker = worker.heartbeat_every(plan.heartbeat.unwrap_or_default());
        Ok(Self { runner: TaskRunner::new(&client).worker(worker).start()?, metrics, ids, begun })
    }

    /// The workflows, once they have ended or the time is over; without those that can't be had.
    fn ended(&self, site: &Site, within: Duration) -> Vec<(usize, Workflow)> {
        let end = Instant::now() + within;
        let get = |(n, id): (usize, &String)| {
            let left = end.saturating_duration_since(Instant::now());
            let workflow = site.client.workflows().wait(id, left).or_else(|_| site.client.workflows().get(id));
            workflow.inspect_err(|error| println!("lost: {error}")).ok().map(|workflow| (n, workflow))
        };
        self.ids.iter().enumerate().filter_map(get).collect()
    }

    /// The sum of the series of a metric whose lines hold all of `words`.
    fn counted(&self, words: &[&str]) -> f64 {
        let text = self.metrics.render();
        let lines = text.lines().filter(|line| words.iter().all(|word| line.contains(word)));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    fn ends_cleanly(self) -> bool {
        let report = self.runner.stop(Duration::from_secs(20));
        if !report.is_clean() {
            println!("the runner did not stop cleanly: {report:?}");
        }
        report.is_clean()
    }
}

#[derive(Deserialize)]
struct Input {
    n: usize,
}

fn output(n: usize) -> Value {
    json!({"n": n, "square": n * n})
}

/// How many workflows are missing, or have not ended as they should.
fn n_damaged(workflows: &[(usize, Workflow)]) -> usize {
    let wrong = workflows.iter().filter(|(n, workflow)| !is_right(*n, workflow)).inspect(|(_, workflow)| {
        let task = workflow.task(TASK).map(|task| (&task.status, task.output_data.get()));
        println!("damaged: {} {} {}: {task:?}", workflow.workflow_id, workflow.status, workflow.output);
    });
    wrong.count() + N_TASKS - workflows.len()
}

/// Whether the workflow, its task and both outputs agree.
fn is_right(n: usize, workflow: &Workflow) -> bool {
    let is_result = |task: &Task| task.output_data.to_value().is_ok_and(|value| value == output(n));
    workflow.status == WorkflowStatus::Completed
        && workflow.task(TASK).is_some_and(|task| task.status == TaskStatus::Completed && is_result(task))
        && workflow.output.to_value().is_ok_and(|value| value == json!({"result": output(n)}))
}

/// The server is killed when a third of the tasks has been begun, stays away for 10 s, and comes back.
fn outage(command: &str, times: fastrand::Rng) -> Outcome<bool> {
    const AWAY: Duration = Duration::from_secs(10);
    const N_BEFORE: usize = N_TASKS / 3;
    /// While nobody answers, each thread may try once a second, and so may the poller.
    const MOST_PER_SECOND: f64 = N_THREADS as f64 + 1.0;
    const MOST_COMPLAINTS: usize = 20;
    let site = Site::open()?;
    let work = Work::start(&site, Plan { name: "soak_outage", most_ms: 200, heartbeat: None }, times)?;
    let mut runs = vec![0_usize; N_TASKS];
    for _ in 0..N_BEFORE {
        runs[work.begun.recv_timeout(PATIENCE)?] += 1;
    }
    let unanswered = ["http_api_client_request_seconds_count{", "status=\"0\""];
    serve(command, "kill")?;
    let (away, n_before) = (Instant::now(), work.counted(&unanswered));
    println!("the server is killed after {N_BEFORE} tasks have begun");
    rest(AWAY);
    serve(command, "restart")?;
    let n_requests = work.counted(&unanswered) - n_before;
    let away = away.elapsed().as_secs_f64();
    println!("{n_requests} requests in the {away:.1} s that the server was away: {:.1} in a second", n_requests / away);
    let back = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let workflows = work.ended(&site, PATIENCE);
    let n_damaged = n_damaged(&workflows);
    println!("{N_TASKS} tasks, {n_damaged} lost or damaged");
    if workflows.is_empty() {
        return Ok(false);
    }
    // What a poll that the kill cut off would have brought is handed out again when the server's own timeout has passed.
    let tasks: Vec<&Task> = workflows.iter().filter_map(|(_, workflow)| workflow.task(TASK)).collect();
    let mut ends: Vec<f64> =
        tasks.iter().map(|task| Duration::from_millis(task.end_time.unsigned_abs()).as_secs_f64() - back).collect();
    ends.sort_by(f64::total_cmp);
    let (most, last) = (ends[ends.len() * 95 / 100], ends[ends.len() - 1]);
    println!("95 % were completed {most:.1} s after the server was back, the last one {last:.1} s after");
    println!("{} tasks timed out and were tried again", tasks.iter().filter(|task| task.retry_count > 0).count());
    work.begun.try_iter().for_each(|n| runs[n] += 1);
    for times in 0..=runs.iter().copied().max().unwrap_or_default() {
        println!("{} tasks whose handler was run {times} times", runs.iter().filter(|n| **n == times).count());
    }
    let ends_cleanly = work.ends_cleanly();
    let n_complaints = COMPLAINTS.0.load(Ordering::Relaxed);
    println!("{n_complaints} lines logged at WARN or above");
    Ok(ends_cleanly && n_damaged == 0 && n_requests / away <= MOST_PER_SECOND && n_complaints < MOST_COMPLAINTS)
}

/// Runs `command what`; it says on standard error what it does.
fn serve(command: &str, what: &str) -> Outcome<()> {
    let status = Command::new(command).arg(what).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command} {what}: {status}").into()) }
}
