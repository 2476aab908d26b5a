//! Figures about tasks in the hands of a worker. Part of `figures`.

use std::time::{Duration, Instant};

use conductor_sync::{TaskContext, TaskError, TaskRunner, Worker};
use serde_json::Value;

use crate::{
    Figure,
    site::{Outcome, Site, TASK, rest},
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
    let workflows = site.ended(&ids, Duration::from_secs(20))?;
    drop(runner);
    let tasks = || workflows.iter().filter_map(|workflow| workflow.task(TASK));
    // By the server's clock, so that asking it does not count.
    let first = tasks().map(|task| task.start_time).min().unwrap_or_default();
    let last = tasks().map(|task| task.end_time).max().unwrap_or_default();
    let took = until_first + Duration::from_millis(u64::try_from(last - first)?);
    Ok(Figure { measured: format!("{:.2} s", took.as_secs_f64()), holds: took <= BAR })
}
