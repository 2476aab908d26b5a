//! Delivery: a report is offered to the server until it is acknowledged, known to be unwanted, or set aside. The bytes
//! are made once; every try sends the same.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, select};

use crate::{
    client::Client,
    error::{Error, ErrorKind, Result, excerpt},
    http::{Method, Request},
    json::RawJson,
    runner::{
        crew::Crew,
        execute::discard,
        register::{End, GONE_AGAIN_AFTER, Held, Register},
        retry::{Allowed, Backoff, Limit, Notice, RetryQueue, Trouble},
        slot::{Places, Token},
    },
    task::{FAR, Task, TaskResult, TaskResultStatus},
    worker::{TaskContext, outcome::shorten},
};

/// The longest pause between two tries.
const PAUSE_CAP: Duration = Duration::from_secs(30);

/// While the runner stops, no pause is longer, unless the server asks for it: each report shall have another try within the
/// grace.
const STOPPING_CAP: Duration = Duration::from_millis(500);

/// A report that failed is tried at once when others get through again, but no more often than this: it may be the report.
const MOST_HURRIES: u32 = 3;

/// A result that a heartbeat has undone is sent again; a server where it still does not show after so many looks ignores it.
const MOST_LOOKS: u32 = 5;

/// A server that acknowledges a result and does not let its task be looked at is believed after so many tries.
const MOST_FAILED_LOOKS: u32 = 20;

/// This many refusals, while as many other reports got through, show that it is the report and not the server.
const SUSPECT_AFTER: u64 = 8;

/// Percent of the other tries that must have got through for that; a server that fails now and then is no reason.
const OTHERS_GET_THROUGH: u64 = 90;

/// Without enough others to compare with, a heartbeat of the same task, which the server has to write as well, must get
/// through after so many refusals: some ten seconds.
const SUSPECT_ALONE_AFTER: u64 = 9;

/// An updater without work ends after this, unless it is the last.
const IDLE_END: Duration = Duration::from_secs(10);

/// What an answer to a report means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Acknowledged.
    Settled,
    /// The server knows no such task or workflow.
    Gone,
    /// The server can't take this report, now or later.
    Refused,
    /// The server refuses in a way that may be its own fault or the report's.
    Suspect,
    /// Worth another try.
    Retry,
}

/// Classifies the outcome of a report or a heartbeat. Conductor 3.32.1 answers malformed reports with 500 as well as 400,
/// so texts decide where they are known.
pub(crate) fn verdict(outcome: &Result<()>) -> Verdict {
    let Err(error) = outcome else {
        return Verdict::Settled;
    };
    let said = error.server_message();
    match (error.kind(), error.status()) {
        (ErrorKind::NotFound, _) if is_gone(error) => Verdict::Gone,
        (_, Some(413)) => Verdict::Refused,
        (ErrorKind::Rejected, Some(400)) if said.is_some_and(|m| m.starts_with("Validation failed")) => {
            Verdict::Refused
        }
        (ErrorKind::Rejected, Some(408 | 425)) => Verdict::Retry,
        (ErrorKind::Rejected, _) => Verdict::Suspect,
        (ErrorKind::Server, Some(500)) if said.is_some_and(|m| m.starts_with("JSON parse error")) => Verdict::Refused,
        (ErrorKind::Server, Some(500)) if !error.is_retryable() => Verdict::Suspect,
        _ => Verdict::Retry,
    }
}

/// The task as the server has it. An answer about another task says nothing about this one.
pub(crate) fn look(client: &Client, held: &Held) -> Result<Task> {
    let task = client.tasks().get(&held.task_id)?;
    if task.task_id == held.task_id {
        return Ok(task);
    }
    let message = format!("the answer is about another task, `{}`", excerpt(&task.task_id));
    Err(Error::new(ErrorKind::Decode, format!("get task {}", excerpt(&held.task_id)), message))
}

/// One heartbeat.
pub(crate) fn extend_lease(client: &Client, held: &Held, limit: Duration) -> Result<()> {
    let mut extension = TaskResult::new(&held.workflow_id, &held.task_id, "IN_PROGRESS");
    extension.extend_lease = true;
    let request = Request::new(Method::Post, "/tasks", &[], ("extend lease of task", &held.task_id))?;
    let request = request.json(&extension)?.small_answer().within(limit);
    client.http().send(&request)?.done()
}

pub(crate) fn is_gone(error: &Error) -> bool {
    error.is_not_found() && error.server_message().is_some_and(|message| message.starts_with("No such "))
}

/// A finished task on its way to the server.
#[derive(Debug)]
pub(crate) struct Report {
    held: Arc<Held>,
    body: Vec<u8>,
    kind: Kind,
    backoff: Backoff,
    /// When it was first offered.
    first_try: Option<Instant>,
    /// A try got no whole answer, so the server may have taken it.
    ambiguous: bool,
    /// When the server first said that it knows no such task.
    gone: Option<Instant>,
    /// The server asked for the pause that it waits out.
    asked_to_wait: bool,
    n_hurries: u32,
    /// A heartbeat got no clear answer, so it may undo the result when that has been acknowledged already.
    doubtful: bool,
    n_looks: u32,
    n_failed_looks: u32,
    refusals: Option<Refusals>,
    /// What it stands for, until that was told.
    unfit: Option<Unfit>,
    /// The right to be undelivered; taken by an updater, given back when the report is settled.
    place: Option<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Ends the task; sending it twice is safe.
    Final,
    /// Puts the task back into the queue; sending it twice may take it from whoever has it then.
    InProgress,
    /// Puts a task back that was not started.
    GiveBack,
    /// Fails the task in place of a report that the server refused.
    Substitute,
}

#[derive(Debug)]
struct Refusals {
    n: u64,
    /// How many reports had been tried and had got through before.
    tries_before: u64,
    settled_before: u64,
    /// How many reports had got through after a refusal before.
    recovered_before: u64,
}

impl Report {
    pub(crate) fn new(held: Arc<Held>, body: Vec<u8>, in_progress: bool) -> Self {
        Self::of_kind(held, body, if in_progress { Kind::InProgress } else { Kind::Final })
    }

    /// Hands a task that was not started back to the server, for another worker to have at once.
    pub(crate) fn give_back(context: &TaskContext, held: Arc<Held>) -> Self {
        let mut result = context.result(TaskResultStatus::InProgress);
        // The report replaces the output on the server, so what was there goes along.
        result.output_data = context.output_so_far().cloned();
        held.set_reporting(true);
        Self::of_kind(held, small_body(&result), Kind::GiveBack)
    }

    /// What is left of the second in which the server is not asked again about a task that it does not know.
    fn gone_pause(&self) -> Duration {
        self.gone.map_or(Duration::ZERO, |at| (at + GONE_AGAIN_AFTER).saturating_duration_since(Instant::now()))
    }

    /// Whether its pause is of our own choice.
    fn may_be_early(&mut self) -> bool {
        !self.asked_to_wait && self.gone_pause().is_zero()
    }

    /// Whether its pause may be cut short since others get through again.
    fn hurry(&mut self) -> bool {
        let may = self.may_be_early() && self.n_hurries < MOST_HURRIES;
        self.n_hurries += u32::from(may);
        may
    }

    pub(crate) fn in_place_of(mut self, unfit: Option<Unfit>) -> Self {
        self.unfit = unfit;
        self
    }

    fn of_kind(held: Arc<Held>, body: Vec<u8>, kind: Kind) -> Self {
        Self {
            held,
            body,
            kind,
            backoff: Backoff::new(PAUSE_CAP),
            first_try: None,
            ambiguous: false,
            gone: None,
            asked_to_wait: false,
            n_hurries: 0,
            doubtful: false,
            n_looks: 0,
            n_failed_looks: 0,
            refusals: None,
            unfit: None,
            place: None,
        }
    }
}

/// A handler's result that no server would take.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) body: Vec<u8>,
    pub(crate) reason: String,
}

/// A body of texts and JSON that was checked before, which can always be written.
pub(crate) fn small_body(result: &TaskResult) -> Vec<u8> {
    serde_json::to_vec(result).unwrap_or_default()
}

/// A result that the server does not take.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UndeliverableResult {
    /// The task it belongs to.
    pub task_id: String,
    /// The workflow of the task.
    pub workflow_id: String,
    /// What the server said.
    pub reason: String,
    /// The whole report as it was sent: see [`TaskResult`].
    pub result: RawJson,
}

/// What is called with a result that the server does not take.
pub(crate) type OnUndeliverable = Arc<dyn Fn(&UndeliverableResult) + Send + Sync>;

/// What all updaters share.
pub(crate) struct Delivery {
    pub(crate) client: Client,
    pub(crate) register: Arc<Register>,
    pub(crate) on_undeliverable: Option<OnUndeliverable>,
    /// Set when the runner stops: when every report that still waits shall have had its last try.
    pub(crate) last_try: Arc<OnceLock<Instant>>,
    /// How many times a report was sent, and how many were acknowledged: tells a report that is refused from a server that
    /// refuses many.
    n_tries: AtomicU64,
    n_settled: AtomicU64,
    /// How many of those had been refused before.
    n_recovered: AtomicU64,
    /// How many reports are on their way.
    n_undelivered: AtomicU64,
    /// Whether the last answer was no acknowledgement.
    is_failing: AtomicBool,
    /// Whether there is a trouble to look at.
    in_trouble: AtomicBool,
    /// Never held over a request.
    trouble: Mutex<Trouble>,
    /// Lines about results that were acknowledged and do not show.
    unshown: Mutex<Limit>,
}

impl Delivery {
    pub(crate) fn new(
        client: Client,
        register: Arc<Register>,
        on_undeliverable: Option<OnUndeliverable>,
        last_try: Arc<OnceLock<Instant>>,
    ) -> Self {
        Self {
            client,
            register,
            on_undeliverable,
            last_try,
            n_tries: AtomicU64::new(0),
            n_settled: AtomicU64::new(0),
            n_recovered: AtomicU64::new(0),
            n_undelivered: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            in_trouble: AtomicBool::new(false),
            trouble: Mutex::default(),
            unshown: Mutex::new(Limit::new(5)),
        }
    }

    /// Whether reports get through.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }

    /// One try; returns the report with a pause where another is needed.
    fn offer(&self, mut report: Report) -> Option<(Report, Duration)> {
        let now = Instant::now();
        if report.first_try.is_none() {
            report.first_try = Some(now);
            report.held.metrics.undelivered_changed(1);
            self.n_undelivered.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(unfit) = report.unfit.take() {
            self.set_aside(&report.held, &unfit.body, &unfit.reason);
        }
        if !report.held.is_wanted() {
            return self.drop_report(report, End::Dropped);
        }
        if report.ambiguous && matches!(report.kind, Kind::InProgress | Kind::GiveBack) {
            match self.is_still_ours(&report) {
                Ok(true) => {}
                Ok(false) => return self.settle(report),
                Err(error) if is_gone(&error) => return self.not_taken(report, Verdict::Gone, &error),
                // An id that no call can look up.
                Err(error) if error.kind() == ErrorKind::Invalid => {}
                Err(error) => return self.again(report, &error),
            }
        }
        report.doubtful |= report.held.begin_report();
        let outcome = self.post(&report);
        let begun = now;
        match verdict(&outcome) {
            Verdict::Settled => {
                if report.doubtful && matches!(report.kind, Kind::Final | Kind::Substitute) {
                    match self.was_undone(&mut report) {
                        Ok(false) => {}
                        Ok(true) => {
                            report.held.end_report();
                            // The server works, so that what was waited before counts no more.
                            if report.n_looks == 1 {
                                report.backoff.reset();
                            }
                            return Some(self.after_a_pause(report, None));
                        }
                        Err(error) => {
                            report.held.end_report();
                            return self.again(report, &error);
                        }
                    }
                }
                report.held.metrics.updated(begun.elapsed());
                if report.held.lease_is_over(Instant::now()) {
                    report.held.metrics.late();
                }
                self.n_settled.fetch_add(1, Ordering::Relaxed);
                self.n_recovered.fetch_add(u64::from(report.refusals.is_some()), Ordering::Relaxed);
                self.settle(report)
            }
            other => {
                let error = outcome.err().unwrap_or_else(|| Error::new(ErrorKind::Server, "update task", "refused"));
                report.held.end_report();
                report.held.metrics.update_failed(begun.elapsed(), error.kind().as_str());
                report.ambiguous |= error.may_have_been_done();
                self.not_taken(report, other, &error)
            }
        }
    }

    fn post(&self, report: &Report) -> Result<()> {
        let about = ("update task", report.held.task_id.as_str());
        let request = Request::new(Method::Post, "/tasks", &[], about)?.json_bytes(report.body.clone()).small_answer();
        self.n_tries.fetch_add(1, Ordering::Relaxed);
        let answer = self.client.http().send(&request)?;
        let id = &report.held.task_id;
        if answer.body == id.as_bytes() {
            return Ok(());
        }
        let text = answer.text()?;
        if text.is_empty() || text == *id {
            return Ok(());
        }
        let message =
            format!("the answer is not the task's id but `{}`, so it counts as not delivered", excerpt(&text));
        Err(Error::new(ErrorKind::Decode, format!("{} {}", about.0, about.1), message))
    }

    /// Whether a task that was reported IN_PROGRESS without a clear answer is still in our hands.
    fn is_still_ours(&self, report: &Report) -> Result<bool> {
        let task = look(&self.client, &report.held)?;
        let same_hand_out = u32::try_from(task.poll_count).is_ok_and(|n| n == report.held.poll_count);
        Ok(task.status == crate::task::TaskStatus::InProgress && same_hand_out)
    }

    /// Whether a heartbeat that was still under way on the server has overwritten the result (3.32.1 loses it then).
    fn was_undone(&self, report: &mut Report) -> Result<bool> {
        match look(&self.client, &report.held) {
            Ok(task) if task.status.is_terminal() => return Ok(false),
            Ok(_) => report.n_looks += 1,
            // An id that no call can look up, or a task that is not there any more.
            Err(error) if error.is_not_found() || error.kind() == ErrorKind::Invalid => return Ok(false),
            Err(error) if report.n_failed_looks < MOST_FAILED_LOOKS => {
                report.n_failed_looks += 1;
                return Err(error);
            }
            Err(error) => {
                log::debug!("{error} {}", report.held);
                return Ok(false);
            }
        }
        if report.n_looks < MOST_LOOKS {
            return Ok(true);
        }
        let mut lines = self.unshown.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.take(Instant::now()) != Allowed::No {
            log::warn!("a result was acknowledged, and its task still runs {}", report.held);
        }
        Ok(false)
    }

    fn not_taken(&self, mut report: Report, verdict: Verdict, error: &Error) -> Option<(Report, Duration)> {
        match verdict {
            Verdict::Gone if report.gone.is_some() && report.gone_pause().is_zero() => {
                log::info!("result not wanted: {error} {}", report.held);
                report.held.metrics.unwanted();
                self.settle(report)
            }
            Verdict::Gone => {
                report.gone.get_or_insert_with(Instant::now);
                let pause = report.gone_pause();
                Some((report, pause))
            }
            Verdict::Refused => self.replace(report, error),
            Verdict::Suspect if self.is_poison(&mut report) => self.replace(report, error),
            _ => self.again(report, error),
        }
    }

    /// Whether enough refusals have come that it must be the report: others got through meanwhile, and either nearly all did
    /// or none that had been refused; or, without enough others, a heartbeat of the same task gets through.
    fn is_poison(&self, report: &mut Report) -> bool {
        let (n_tries, n_settled) = (self.n_tries.load(Ordering::Relaxed), self.n_settled.load(Ordering::Relaxed));
        let n_recovered = self.n_recovered.load(Ordering::Relaxed);
        let fresh =
            || Refusals { n: 0, tries_before: n_tries - 1, settled_before: n_settled, recovered_before: n_recovered };
        let refusals = report.refusals.get_or_insert_with(fresh);
        refusals.n += 1;
        if refusals.n < SUSPECT_AFTER {
            return false;
        }
        let n_others_settled = n_settled - refusals.settled_before;
        let n_others_tried = (n_tries - refusals.tries_before).saturating_sub(refusals.n);
        let nearly_all = n_others_settled * 100 >= n_others_tried * OTHERS_GET_THROUGH;
        // Of a server that fails now and then, some refused reports get through.
        let none_recovered = n_recovered == refusals.recovered_before;
        if n_others_settled >= SUSPECT_AFTER && (nearly_all || none_recovered) {
            return true;
        }
        if !none_recovered || refusals.n < SUSPECT_ALONE_AFTER {
            return false;
        }
        let heartbeat = extend_lease(&self.client, &report.held, FAR);
        report.doubtful |= heartbeat.as_ref().is_err_and(Error::may_have_been_done);
        heartbeat.is_ok()
    }

    /// Sets a refused report aside and fails the task in its place, so that the workflow does not hang.
    fn replace(&self, mut report: Report, error: &Error) -> Option<(Report, Duration)> {
        let held = Arc::clone(&report.held);
        if matches!(report.kind, Kind::Substitute | Kind::GiveBack) {
            log::error!("result set aside: {error} {held}");
            held.metrics.set_aside();
            return self.settle(report);
        }
        self.set_aside(&held, &report.body, &error.to_string());
        let status = TaskResultStatus::FailedWithTerminalError;
        let reason = shorten(&format!("the server refuses the result: {error}"));
        report.body = small_body(&TaskResult::new(&held.workflow_id, &held.task_id, status).reason(reason));
        report.kind = Kind::Substitute;
        report.refusals = None;
        report.backoff.reset();
        Some((report, Duration::ZERO))
    }

    /// Gives a handler's result up, and hands it to the user's callback, whose panic ends here.
    fn set_aside(&self, held: &Held, body: &[u8], reason: &str) {
        log::error!("result set aside: {reason} {held}");
        held.metrics.set_aside();
        let Some(callback) = &self.on_undeliverable else {
            return;
        };
        let text = String::from_utf8_lossy(body);
        let result = UndeliverableResult {
            task_id: held.task_id.clone(),
            workflow_id: held.workflow_id.clone(),
            reason: reason.to_owned(),
            result: text.parse().unwrap_or_else(|_| RawJson::from(&*text)),
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| callback(&result))) {
            log::error!("the callback for undeliverable results panicked {held}");
            discard(panic);
        }
    }

    fn again(&self, mut report: Report, error: &Error) -> Option<(Report, Duration)> {
        report.ambiguous |= error.may_have_been_done();
        self.is_failing.store(true, Ordering::Release);
        let notice = {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            self.in_trouble.store(true, Ordering::Release);
            trouble.failed(Instant::now())
        };
        match notice {
            Some(Notice::Began) => log::warn!("results can't be delivered and are kept: {error}"),
            Some(Notice::GoesOn(since, n)) => {
                log::warn!("results still can't be delivered for_s={} n_failures={n}: {error}", since.as_secs());
            }
            _ => log::debug!("{error}"),
        }
        Some(self.after_a_pause(report, error.retry_after()))
    }

    fn after_a_pause(&self, mut report: Report, asked: Option<Duration>) -> (Report, Duration) {
        let pause = report.backoff.pause(asked, fastrand::f64());
        report.asked_to_wait = asked.is_some();
        let pause = match self.last_try.get() {
            None => pause,
            Some(at) if report.asked_to_wait => {
                let left = at.saturating_duration_since(Instant::now());
                // After the last try comes none.
                if left.is_zero() { pause } else { pause.min(left) }
            }
            Some(_) => pause.min(STOPPING_CAP),
        };
        (report, pause)
    }

    /// Lets the task go, its report settled.
    fn settle(&self, report: Report) -> Option<(Report, Duration)> {
        let given_back = report.kind == Kind::GiveBack;
        if given_back {
            report.held.metrics.given_back();
        }
        self.drop_report(report, if given_back { End::GivenBack } else { End::Reported })
    }

    fn drop_report(&self, report: Report, end: End) -> Option<(Report, Duration)> {
        report.held.metrics.undelivered_changed(-1);
        if self.n_undelivered.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.is_failing.store(false, Ordering::Release);
        }
        self.register.settle(&report.held, end);
        None
    }

    /// Notes that the server takes reports; says whether it did not before.
    fn works(&self) -> bool {
        let was_failing = self.is_failing.swap(false, Ordering::AcqRel);
        self.tell_the_end_of_a_trouble();
        was_failing
    }

    /// Logs that a trouble is over once nothing has failed for a while.
    fn tell_the_end_of_a_trouble(&self) {
        if !self.is_stuck() && self.in_trouble.load(Ordering::Acquire) {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Notice::Over(after, n)) = trouble.worked(Instant::now()) {
                self.in_trouble.store(false, Ordering::Release);
                log::info!("results are delivered again after_s={} n_failures={n}", after.as_secs());
            }
        }
    }
}

/// What updaters tell the thread that holds the retries.
pub(crate) enum Retry {
    /// Offer it again at this time.
    At(Instant, Box<Report>),
    /// The server takes reports again, so the others need not wait out their pauses.
    Recovered,
    /// The runner stops: those that may be are tried at once, the others at this time.
    Stop(Instant),
}

/// The way of a finished task out of a stage.
#[derive(Clone)]
pub(crate) struct Outbox {
    /// The bound on undelivered results. Without a place the pools wait, their slots stay out, and polling stops.
    pub(crate) places: Places,
    /// Read by the updaters. Unbounded, as no more reports exist than there are places, and tasks given back.
    pub(crate) reports: Sender<Report>,
    /// Closes when the runner is over and nothing is delivered any more.
    pub(crate) over: Receiver<()>,
}

impl Outbox {
    /// Hands a handler's result over, as soon as there is a place for it.
    pub(crate) fn deliver(&self, mut report: Report) {
        select! {
            recv(self.places.free()) -> _ => report.place = Some(self.places.token()),
            recv(self.over) -> _ => {}
        }
        self.give_back(report);
    }

    /// Hands over what was not run, which needs no place.
    pub(crate) fn give_back(&self, report: Report) {
        // The updaters outlive all others, so this fails only when the runner is over; the report lists the task then.
        if let Err(unsent) = self.reports.send(report) {
            log::error!("a result is lost since the runner is over {}", unsent.0.held);
        }
    }
}

/// What an updater works with.
pub(crate) struct Updater {
    pub(crate) delivery: Arc<Delivery>,
    /// Written by the pools, the pollers and the thread that holds the retries; closes when all of them have ended.
    pub(crate) reports: Receiver<Report>,
    /// Unbounded, as `reports` is.
    pub(crate) retries: Sender<Retry>,
}

impl Updater {
    /// Delivers until there can be no more reports, or this updater is not needed.
    pub(crate) fn run(&self, crew: &Arc<Crew>) {
        loop {
            let report = match self.reports.recv_timeout(IDLE_END) {
                Ok(report) => report,
                Err(e) => {
                    self.delivery.tell_the_end_of_a_trouble();
                    if e.is_disconnected() || crew.leave() {
                        return;
                    }
                    continue;
                }
            };
            let settled_before = self.delivery.n_settled.load(Ordering::Relaxed);
            match crew.busy(|| self.delivery.offer(report)) {
                // Nobody reads only when the runner is over, and then the report is listed as undelivered.
                Some((report, pause)) => drop(self.retries.send(Retry::At(Instant::now() + pause, Box::new(report)))),
                None => {
                    let acknowledged = self.delivery.n_settled.load(Ordering::Relaxed) != settled_before;
                    if acknowledged && self.delivery.works() {
                        drop(self.retries.send(Retry::Recovered));
                    }
                }
            }
        }
    }
}

/// Holds reports until their next try is due, until `over` closes. A stop brings all of them forward once.
pub(crate) fn hold_retries(retries: &Receiver<Retry>, reports: &Sender<Report>, over: &Receiver<()>) {
    let mut queue = RetryQueue::new();
    loop {
        while let Some(report) = queue.pop_due(Instant::now()) {
            if reports.send(report).is_err() {
                return;
            }
        }
        let timer = queue.next_due().map_or_else(crossbeam_channel::never, crossbeam_channel::at);
        select! {
            recv(retries) -> retry => match retry {
                Ok(Retry::At(at, report)) => queue.push(at, *report),
                Ok(Retry::Recovered) => queue.hurry(Instant::now(), Duration::from_secs(1), Report::hurry),
                Ok(Retry::Stop(last_try)) => {
                    queue.hurry(Instant::now(), Duration::ZERO, Report::may_be_early);
                    queue.hurry(last_try, Duration::ZERO, |report| report.asked_to_wait);
                }
                Err(_) => return,
            },
            recv(timer) -> _ => {}
            recv(over) -> _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: ErrorKind, status: u16, message: Option<&str>) -> Result<()> {
        let error = Error::new(kind, "update task", "x").with_status(status);
        Err(error.with_server_message(message.map(str::to_owned), false))
    }

    #[test]
    fn answers_fall_into_their_classes() {
        use ErrorKind as K;
        for (kind, status, message, expected) in [
            (K::NotFound, 404, Some("No such task found by id: x"), Verdict::Gone),
            (K::NotFound, 404, Some("nothing here"), Verdict::Retry),
            (K::WrongAddress, 404, None, Verdict::Retry),
            (K::WrongAddress, 302, None, Verdict::Retry),
            (K::Rejected, 400, Some("Validation failed, check below errors for detail."), Verdict::Refused),
            (K::Rejected, 400, None, Verdict::Suspect),
            (K::Rejected, 400, Some("odd"), Verdict::Suspect),
            (K::Rejected, 413, None, Verdict::Refused),
            (K::Server, 500, Some("JSON parse error: x"), Verdict::Refused),
            (K::Server, 500, Some("Cannot invoke"), Verdict::Suspect),
            (K::Server, 503, None, Verdict::Retry),
            (K::Server, 429, None, Verdict::Retry),
            (K::Unauthorized, 401, None, Verdict::Retry),
            (K::Conflict, 409, Some("x"), Verdict::Retry),
        ] {
            assert_eq!(verdict(&failure(kind, status, message)), expected, "{status} {message:?}");
        }
        assert_eq!(verdict(&Ok(())), Verdict::Settled);
        assert_eq!(verdict(&Err(Error::new(K::NoAnswer, "update task", "x"))), Verdict::Retry);
    }
}
