//! The worker for comparisons with other SDKs. It echoes its input and stops gracefully on SIGTERM.
//!
//! `BENCH_URL` (…/api), `BENCH_CONC` (tasks in flight for each type), `BENCH_TYPES` (number of types `bench_task_0…`),
//! `BENCH_WORK` (`noop`, `burn:MS` of thread CPU time, `sleep:MS`), `BENCH_MODE` (`default`, `tuned`, `longpoll`).
//! Everything else comes from the environment as `Config` reads it; logs go through env_logger (`RUST_LOG`).

use std::{env, error::Error, time::Duration};

use conductor_sync::{Client, Config, RawJson, TaskContext, TaskError, TaskRunner, Worker};

/// A SIGTERM must end the program within 25 s whatever the server does: this, and 3 s for what is under way.
const GRACE: Duration = Duration::from_secs(15);

#[derive(Clone, Copy)]
enum Work {
    Noop,
    Burn(Duration),
    Sleep(Duration),
}

impl Work {
    fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        match text.split_once(':') {
            None if text == "noop" => Ok(Self::Noop),
            Some(("burn", ms)) => Ok(Self::Burn(Duration::from_millis(ms.parse()?))),
            Some(("sleep", ms)) => Ok(Self::Sleep(Duration::from_millis(ms.parse()?))),
            _ => Err(format!("BENCH_WORK: `{text}` is none of noop, burn:MS, sleep:MS").into()),
        }
    }

    fn run(self, _: &TaskContext, input: RawJson) -> Result<RawJson, TaskError> {
        match self {
            Self::Noop => {}
            Self::Burn(time) => burn(time),
            Self::Sleep(time) => {
                // It delivers once, when the time is over.
                let _over = crossbeam_channel::after(time).recv();
            }
        }
        Ok(input)
    }
}

#[cfg(unix)]
fn burn(time: Duration) {
    use rustix::time::{ClockId, clock_gettime};
    let used = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.try_into().unwrap_or(0))
    };
    let end = used() + time;
    while used() < end {
        std::hint::spin_loop();
    }
}

#[cfg(not(unix))]
fn burn(time: Duration) {
    let begun = std::time::Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn setting(name: &str, default: &str) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the variables of the comparison are no configuration of the library"
    )]
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

fn tuning(mode: &str) -> Result<fn(Worker) -> Worker, String> {
    match mode {
        "default" => Ok(|worker| worker),
        "tuned" => Ok(|worker| worker.pollers(3)),
        "longpoll" => Ok(|worker| worker.poll_timeout(Duration::from_secs(1))),
        _ => Err(format!("BENCH_MODE: `{mode}` is none of default, tuned, longpoll")),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let mut config = Config::from_env()?;
    let url = setting("BENCH_URL", "");
    if !url.is_empty() {
        config = config.with_server_url(&url)?;
    }
    let client = Client::new(config)?;
    let n_at_once: usize = setting("BENCH_CONC", "10").parse()?;
    let n_types: usize = setting("BENCH_TYPES", "1").parse()?;
    let work = Work::parse(&setting("BENCH_WORK", "noop"))?;
    let tune = tuning(&setting("BENCH_MODE", "default"))?;
    let mut runner = TaskRunner::new(&client).threads(n_at_once * n_types).grace(GRACE);
    for n in 0..n_types {
        let mut worker = Worker::new(format!("bench_task_{n}"), move |cx: &TaskContext, input| work.run(cx, input));
        if n_types > 1 {
            worker = worker.max_concurrent(n_at_once);
        }
        runner = runner.worker(tune(worker));
    }
    let report = runner.run_until_signal()?;
    log::info!("{report:?}");
    if report.is_clean() { Ok(()) } else { Err(format!("not a clean stop: {report:?}").into()) }
}
