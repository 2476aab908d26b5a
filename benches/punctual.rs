//! Figures about doing things in time. Part of `figures`.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use conductor_sync::{
    TaskContext, TaskError, TaskRunner, Worker, WorkflowStatus,
    embedded::{EmbeddedServer, SeenRequest},
};
use serde_json::Value;

use crate::{
    Figure, ended,
    site::{Outcome, Site, TASK, request, rest},
};

/// 100 blocking tasks of 300 ms on 20 threads: from the start of the runner until the server has the last result.
pub(crate) fn blocking() -> Outcome<Figure> {
    const BAR: Duration = Duration::from_millis(1800);
    let site = Site::open()?;
    let name = site.define("figures_blocking", |task| task)?;
    let ids = site.start(&name, 100)?;
    let (begun_in, begun) = crossbeam_channel::unbounded();
    let block = move |_: &TaskContext, input: Value| -> Result<Value, TaskError> {
        begun_in.send(Instant::now())?;
        rest(Duration::from_millis(300));
        Ok(input)
    };
    let started = Instant::now();
    let runner = TaskRunner::new(&site.client).threads(20).worker(Worker::new(&name, block)).start()?;
    let until_first = begun.recv_timeout(Duration::from_secs(10))? - started;
    (1..ids.len()).try_for_each(|_| begun.recv_timeout(Duration::from_secs(10)).map(drop))?;
    let workflows = ended(&site, &ids, Duration::from_secs(20))?;
    drop(runner);
    let tasks = || workflows.iter().filter_map(|workflow| workflow.task(TASK));
    // By the server's clock, so that asking it does not count.
    let first = tasks().map(|task| task.start_time).min().unwrap_or_default();
    let last = tasks().map(|task| task.end_time).max().unwrap_or_default();
    let took = until_first + Duration::from_millis(u64::try_from(last - first)?);
    Ok(Figure { measured: format!("{:.2} s", took.as_secs_f64()), holds: took <= BAR })
}

/// Tasks that burn the processor for three times their response timeout, one for each core.
pub(crate) fn heartbeats() -> Outcome<Figure> {
    const LEASE: Duration = Duration::from_secs(2);
    /// One is due at 1.6 s, at 3.2 s and at 4.8 s.
    const N_BEATS: usize = 3;
    let burn = |_: &TaskContext, input: Value| -> Result<Value, TaskError> {
        let begun = Instant::now();
        while begun.elapsed() < LEASE * 3 {
            std::hint::spin_loop();
        }
        Ok(input)
    };
    let n_cores = thread::available_parallelism()?.get();
    let server = EmbeddedServer::start()?;
    let site = Site::at(&server.url())?;
    let name = site.define("figures_heartbeats", |task| task.response_timeout(LEASE))?;
    let ids = site.start(&name, n_cores)?;
    let runner = TaskRunner::new(&site.client).threads(n_cores).worker(Worker::new(&name, burn)).start()?;
    let workflows = ended(&site, &ids, LEASE * 10)?;
    let report = runner.stop(Duration::from_secs(5));
    let n_redelivered = workflows.iter().filter(|w| w.tasks.len() != 1 || w.tasks[0].poll_count != 1).count();
    let requests = server.requests();
    let polled = requests.iter().find(|r| r.path.contains("/tasks/poll/")).ok_or("no poll was seen")?.at;
    let mut beats: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for (task, at) in requests.iter().filter_map(heartbeat) {
        beats.entry(task).or_insert_with(|| vec![polled]).push(at);
    }
    let longest = beats.values().flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0])).max();
    let longest = longest.ok_or("no heartbeat was seen")?;
    let n_beats: usize = beats.values().map(|times| times.len() - 1).sum();
    let measured = format!(
        "{n_beats} of {} sent, at most {:.2} s apart, {n_redelivered} redelivered",
        N_BEATS * n_cores,
        longest.as_secs_f64()
    );
    let holds = n_beats >= N_BEATS * n_cores && longest < LEASE && n_redelivered == 0 && report.is_clean();
    Ok(Figure { measured, holds })
}

/// The task whose lease a request extends, and when.
fn heartbeat(request: &SeenRequest) -> Option<(String, Duration)> {
    let body: Value = serde_json::from_str(&request.body).ok()?;
    let extends = request.method == "POST" && body["extendLease"] == true;
    extends.then(|| Some((body["taskId"].as_str()?.to_owned(), request.at)))?
}

/// The stop of a runner whose poll the server has just begun to hold.
pub(crate) fn stop() -> Outcome<Figure> {
    const BAR: Duration = Duration::from_millis(2500);
    let server = EmbeddedServer::start()?;
    let site = Site::at(&server.url())?;
    let name = site.define("figures_stop", |task| task)?;
    let echo = |_: &TaskContext, input: Value| -> Result<Value, TaskError> { Ok(input) };
    let runner = TaskRunner::new(&site.client).worker(Worker::new(&name, echo)).start()?;
    server.wait_until("a poll that is held for 2 s", Duration::from_secs(20), |view| {
        view.requests().last().is_some_and(|r| r.status.is_none() && r.path.contains("timeout=2000"))
    })?;
    let begun = Instant::now();
    let report = runner.stop(Duration::from_secs(20));
    let took = begun.elapsed();
    Ok(Figure { measured: format!("{:.2} s", took.as_secs_f64()), holds: took <= BAR && report.is_clean() })
}

/// How long after its end a workflow that ran for seconds is told of, at worst: when it ends right after a look.
pub(crate) fn wait() -> Outcome<Figure> {
    const BAR: Duration = Duration::from_millis(1200);
    /// Pauses between looks grow up to this many.
    const N_LOOKS: usize = 9;
    let server = EmbeddedServer::start()?;
    let site = Site::at(&server.url())?;
    let name = site.define("figures_wait", |task| task)?;
    let id = site.client.workflows().start(&request(&name, 0))?;
    let (ended, told) = thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let ended = site.client.workflows().wait(&id, Duration::from_secs(60));
            ended.map(|workflow| (workflow, Instant::now()))
        });
        server.wait_until("looks that are far apart", Duration::from_secs(30), |view| {
            let looks = view.requests().iter().filter(|r| r.path.contains("/status"));
            looks.filter(|r| r.status.is_some()).count() >= N_LOOKS
        })?;
        site.client.workflows().terminate(&id, Some("it has run for long enough"))?;
        let ended = Instant::now();
        let (workflow, told) = waiting.join().map_err(|_| "the wait has panicked")??;
        if workflow.status != WorkflowStatus::Terminated {
            return Err(format!("it is {}", workflow.status).into());
        }
        Outcome::Ok((ended, told))
    })?;
    let took = told.saturating_duration_since(ended);
    Ok(Figure { measured: format!("{:.2} s", took.as_secs_f64()), holds: took <= BAR })
}
