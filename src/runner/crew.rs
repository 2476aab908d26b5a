//! Threads of one kind that start when there is work and end when there is none; and the alarm that ends the runner when
//! a thread of ours panics.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{
    metrics::Metrics,
    runner::{readiness::Readiness, retry::Trouble},
};

/// Tells every thread of a runner to stop, once: its receivers see the channel close.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// The only sender of the stop channel; nothing is ever sent.
    stop: Mutex<Option<Sender<()>>>,
    /// What a thread of ours panicked with, to be raised again where the runner is stopped.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    metrics: Metrics,
    readiness: Arc<Readiness>,
}

impl Alarm {
    pub(crate) fn new(metrics: Metrics, readiness: Arc<Readiness>) -> (Arc<Self>, Receiver<()>) {
        let (sender, receiver) = bounded(0);
        (Arc::new(Self { stop: Mutex::new(Some(sender)), panic: Mutex::new(None), metrics, readiness }), receiver)
    }

    pub(crate) fn stop(&self) {
        self.readiness.stop();
        drop(self.stop.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs a thread's work; a panic in it stops the runner.
    pub(crate) fn guard(&self, name: &str, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            self.metrics.uncaught("RunnerPanic");
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            self.stop();
            // Last: it may be the program's logger that panics.
            log::error!("thread {name} of the runner panicked: the runner stops");
        }
    }
}

/// What each thread of a crew does.
type Work = dyn Fn(&Arc<Crew>) + Send + Sync;

/// Up to a number of threads that all do the same work. While there may be more of them, one is idle: work that comes
/// does not wait for a request that hangs.
pub(crate) struct Crew {
    name: &'static str,
    most: usize,
    n_started: AtomicUsize,
    /// Never held over anything that takes time.
    counts: Mutex<Counts>,
    work: Box<Work>,
    alarm: Arc<Alarm>,
    /// Closes when the last thread and the runner have let the crew go.
    _alive: Sender<()>,
}

#[derive(Debug, Default)]
struct Counts {
    n_threads: usize,
    n_idle: usize,
    /// The system had no thread for us; none is asked for before this.
    ask_again: Option<Instant>,
    trouble: Trouble,
}

/// How long a system that had no thread is not asked for another.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Crew {
    pub(crate) fn new(
        name: &'static str,
        most: usize,
        alarm: Arc<Alarm>,
        work: impl Fn(&Arc<Crew>) + Send + Sync + 'static,
    ) -> (Arc<Self>, Receiver<()>) {
        let (alive, ended) = bounded(0);
        let crew = Self {
            name,
            most,
            n_started: AtomicUsize::new(0),
            counts: Mutex::default(),
            work: Box::new(work),
            alarm,
            _alive: alive,
        };
        (Arc::new(crew), ended)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Plain numbers and times, so poisoning means nothing.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread where none is idle, unless there are enough. Says whether there is a thread.
    pub(crate) fn call(self: &Arc<Self>) -> bool {
        {
            let mut counts = self.counts();
            if counts.n_idle > 0 || counts.n_threads >= self.most {
                return true;
            }
            if counts.n_threads > 0 && counts.ask_again.is_some_and(|at| Instant::now() < at) {
                return true;
            }
            counts.n_threads += 1;
            counts.n_idle += 1;
        }
        let name = format!("{}:{}", self.name, self.n_started.fetch_add(1, Ordering::Relaxed));
        let crew = Arc::clone(self);
        let started = thread::Builder::new().name(name.clone()).spawn(move || {
            crew.alarm.guard(&name, || (crew.work)(&crew));
        });
        let (now, mut counts) = (Instant::now(), self.counts());
        let Err(e) = started else {
            counts.ask_again = None;
            counts.trouble.worked(now);
            return true;
        };
        counts.n_threads -= 1;
        counts.n_idle -= 1;
        counts.ask_again = Some(now + ASK_AGAIN_AFTER);
        match counts.trouble.failed(now) {
            None => log::debug!("no further thread for {}: {e}", self.name),
            Some(_) => log::warn!("no further thread for {}, so requests wait for each other: {e}", self.name),
        }
        counts.n_threads > 0
    }

    /// Does what may take a while on the calling thread, which is one of the crew's; another one waits for work meanwhile.
    pub(crate) fn busy<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        self.counts().n_idle -= 1;
        self.call();
        let outcome = work();
        self.counts().n_idle += 1;
        outcome
    }

    /// Whether the calling thread may end; the last idle one stays.
    pub(crate) fn leave(&self) -> bool {
        let mut counts = self.counts();
        let may = counts.n_idle > 1;
        if may {
            counts.n_idle -= 1;
            counts.n_threads -= 1;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm() -> (Arc<Alarm>, Receiver<()>) {
        let readiness = Readiness::new(std::iter::empty());
        Alarm::new(Metrics::new(), Arc::new(readiness))
    }

    /// Checks what a panic of a thread leaves: a runner that stops, is not ready and knows the first panic.
    #[track_caller]
    fn check_stopped(alarm: &Alarm, stop: &Receiver<()>, panic: &str) {
        assert!(stop.try_recv().is_err_and(|e| e.is_disconnected()), "nobody is told to stop");
        assert!(alarm.readiness.problems()[0].contains("stopping"), "{:?}", alarm.readiness.problems());
        let raised = alarm.take_panic().and_then(|panic| panic.downcast::<String>().ok());
        assert_eq!(raised.as_deref().map(String::as_str), Some(panic));
        if cfg!(feature = "metrics") {
            let text = alarm.metrics.render();
            assert!(text.contains("thread_uncaught_exceptions_total{exception=\"RunnerPanic\"} 2\n"), "{text}");
        }
    }

    #[test]
    fn work_that_ends_stops_nothing() {
        let (alarm, stop) = alarm();
        alarm.guard("poll:job", || {});
        assert!(stop.try_recv().is_err_and(|e| !e.is_disconnected()));
        assert!(alarm.readiness.problems().is_empty() && alarm.take_panic().is_none());
    }

    #[test]
    fn a_panic_stops_the_runner_and_the_first_is_kept() {
        let (alarm, stop) = alarm();
        for n in 0..2 {
            alarm.guard("poll:job", || panic!("panic {n}"));
        }
        check_stopped(&alarm, &stop, "panic 0");
    }

    #[test]
    fn a_panic_of_every_thread_of_a_crew_stops_the_runner_and_ends_the_crew() {
        let (alarm, stop) = alarm();
        let (crew, ended) = Crew::new("beat", 2, Arc::clone(&alarm), |crew| crew.busy(|| panic!("{}", crew.name)));
        assert!(crew.call(), "a thread is started, and it starts another before it works");
        drop(crew);
        let ended = ended.recv_timeout(Duration::from_secs(60));
        assert!(ended.is_err_and(|e| e.is_disconnected()), "threads are left");
        check_stopped(&alarm, &stop, "beat");
    }
}
