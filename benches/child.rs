//! A worker process of its own: this program, started again with an argument. Part of `figures`.

use std::{
    env, fs,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use conductor_sync::{Client, Config, TaskContext, TaskError, TaskRunner, Worker};
use serde_json::Value;

use crate::site::{Outcome, rest};

/// The first argument of a worker process; then come the server, the number of threads, the time of a task in ms, and the
/// task types.
pub(crate) const ARGUMENT: &str = "--worker";

/// Is the worker process. It ends on SIGTERM, and well if nothing was left undone.
pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let [url, n_threads, ms, task_types @ ..] = arguments else {
        return Err("expected the server, the number of threads, the time of a task and task types".into());
    };
    let time = Duration::from_millis(ms.parse()?);
    let block = move |_: &TaskContext, input: Value| -> Result<Value, TaskError> {
        if !time.is_zero() {
            rest(time);
        }
        Ok(input)
    };
    let client = Client::new(Config::new(url)?)?;
    let mut runner = TaskRunner::new(&client).threads(n_threads.parse()?);
    for task_type in task_types {
        runner = runner.worker(Worker::new(task_type, block));
    }
    let report = runner.run_until_signal()?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A worker process that was started here. It is killed when it is dropped before it has ended.
pub(crate) struct WorkerProcess(Child);

impl WorkerProcess {
    pub(crate) fn start(url: &str, n_threads: usize, time: Duration, task_types: &[String]) -> Outcome<Self> {
        let child = Command::new(env::current_exe()?)
            .args([ARGUMENT, url, &n_threads.to_string(), &time.as_millis().to_string()])
            .args(task_types)
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(&mut self, within: Duration) -> Outcome<ExitStatus> {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        if !sent.success() {
            return Err("SIGTERM could not be sent".into());
        }
        let end = Instant::now() + within;
        while Instant::now() < end {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            rest(Duration::from_millis(10));
        }
        Err(format!("the worker process had not ended after {within:?}").into())
    }

    /// The processor time that its threads have used so far.
    pub(crate) fn processor_time(&self) -> Outcome<Duration> {
        let mut used = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            // In nanoseconds, while /proc/PID/stat counts in hundredths of a second, of which an idle worker uses none.
            // A thread may end in this moment.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            used += Duration::from_nanos(text.split(' ').next().unwrap_or_default().parse()?);
        }
        Ok(used)
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // It has ended already when all went well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
