//! Delivery: a report is offered to the server until it is acknowledged, known to be unwanted, or set aside. The bytes
//! are made once; every try sends the same.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, select};

use crate::{
    client::Client,
    error::{Error, ErrorKind},
    json::RawJson,
    runner::{
        calls::{extend_lease, look, update_task},
        crew::Crew,
        register::{End, Held, Register},
        report::{FailedLooks, Kind, LateBeat, Refusals, Report, Seen, UndeliverableResult, small_body},
        retry::{Allowed, Limit, Notice, RetryQueue, Trouble},
        slot::Places,
        verdict::{Verdict, is_gone, verdict},
    },
    task::{FAR, TaskResult, TaskResultStatus},
    worker::{
        callback::{Callback, discard},
        outcome::shorten,
    },
};

/// While the runner stops, no pause is longer, unless the server asks for it: each report shall have another try within the
/// grace.
const STOPPING_CAP: Duration = Duration::from_millis(500);

/// And so many reports are not tried more often than one in this time.
const STOPPING_GAP: Duration = Duration::from_millis(20);

/// A result that a heartbeat has undone is sent again; a server where it still does not show after so many looks ignores it.
const MOST_UNDONE: u32 = 5;

/// A heartbeat that got no answer may still be at work in a server that answers again, for about this long.
const LATE_BEAT: Duration = Duration::from_millis(500);

/// A server that does not answer looks is not waited for longer than this.
const LATE_BEAT_MOST: Duration = Duration::from_secs(5);

/// It may also come to its end after the first look at the result, so there is a second.
const SECOND_LOOK_AFTER: Duration = Duration::from_secs(1);

/// This many refusals, while as many other reports got through, show that it is the report and not the server: if it is so
/// for long, since a server may fail for some of the tasks and not for others.
const SUSPECT_AFTER: u64 = 8;

/// Percent of the other tries that must have got through for that; a server that fails now and then is no reason.
const OTHERS_GET_THROUGH: u64 = 90;

/// Without enough others to compare with, a heartbeat of the same task, which the server has to write as well, must get
/// through after so long.
const SUSPECT_ALONE_AFTER: Duration = Duration::from_secs(300);

/// A body of this size that never gets an answer may be what a proxy refuses by closing the connection: many take 1 MB.
const LARGE_BODY_BYTES: usize = 1_000_000;

/// An updater without work ends after this, unless it is the last.
const IDLE_END: Duration = Duration::from_secs(10);

/// What is called with a result that the server does not take.
pub(crate) type OnUndeliverable = Arc<Callback<dyn Fn(&UndeliverableResult) + Send + Sync>>;

/// What all updaters share.
pub(crate) struct Delivery {
    pub(crate) client: Client,
    pub(crate) register: Arc<Register>,
    pub(crate) on_undeliverable: Option<OnUndeliverable>,
    /// Set when the runner stops: when every report that still waits shall have had its last try.
    pub(crate) last_try: Arc<Mutex<Option<Instant>>>,
    /// How many times a report was sent, and how many were acknowledged: tells a report that is refused from a server that
    /// refuses many.
    n_tries: AtomicU64,
    n_settled: AtomicU64,
    patience: Duration,
    /// How many of those had failed before.
    n_recovered: AtomicU64,
    /// How many reports wait without a place, and how many may.
    n_aside: AtomicU64,
    most_aside: usize,
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
    /// Results that are set aside.
    aside: Mutex<Limit>,
}

impl Delivery {
    pub(crate) fn new(
        client: Client,
        register: Arc<Register>,
        on_undeliverable: Option<OnUndeliverable>,
        last_try: Arc<Mutex<Option<Instant>>>,
        most_aside: usize,
        patience: Duration,
    ) -> Self {
        Self {
            client,
            register,
            on_undeliverable,
            last_try,
            n_tries: AtomicU64::new(0),
            n_settled: AtomicU64::new(0),
            patience,
            n_recovered: AtomicU64::new(0),
            n_aside: AtomicU64::new(0),
            most_aside,
            n_undelivered: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            in_trouble: AtomicBool::new(false),
            trouble: Mutex::default(),
            unshown: Mutex::new(Limit::new(5)),
            aside: Mutex::new(Limit::new(20)),
        }
    }

    /// When every report that still waits shall have had its last try; `None` before the runner stops.
    fn last_try(&self) -> Option<Instant> {
        *self.last_try.lock().unwrap_or_else(PoisonError::into_inner)
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
        if report.late_beat.is_acknowledged() {
            return self.verify(report);
        }
        let is_final = matches!(report.kind, Kind::Final | Kind::Substitute);
        if report.ambiguous_since.is_some() && !is_final {
            match self.see(&mut report) {
                Seen::Ours => {}
                Seen::Ended | Seen::LetGo => return self.settle(report),
                Seen::Gone(error) => return self.not_taken(report, Verdict::Gone, &error),
                Seen::Later(error) => return self.again(report, &error),
                // No call can look it up.
                Seen::Unknown(error) if error.kind() == ErrorKind::Invalid => {}
                Seen::Unknown(error) if report.kind == Kind::GiveBack => {
                    self.tell_unshown(&format!("a task that may be in other hands is let go: {error}"), &report.held);
                    return self.settle(report);
                }
                Seen::Unknown(error) => {
                    let why = format!("it may have been taken, and the server does not say: {error}");
                    self.set_aside(&report.held, &report.body, &why);
                    return self.settle(report);
                }
            }
        }
        let has_to_end = || self.last_try().is_some_and(|last_try| last_try <= Instant::now());
        if report.held.begin_report(has_to_end) {
            report.late_beat.suspect();
        }
        if let LateBeat::Awaited(since) = report.late_beat {
            if let Some(pause) = self.late_beat_pause(&mut report, since) {
                report.held.end_report();
                return Some(report.wait(pause));
            }
        }
        self.n_tries.fetch_add(1, Ordering::Relaxed);
        let outcome = update_task(&self.client, &report);
        match (verdict(&outcome), outcome) {
            (Verdict::Settled, _) => {
                let kept_after_a_try = report.ambiguous_since.is_some_and(|at| report.held.was_kept_after(at));
                report.held.metrics.updated(now.elapsed());
                if report.held.lease_is_over(Instant::now()) {
                    report.held.metrics.late();
                }
                self.n_settled.fetch_add(1, Ordering::Relaxed);
                self.n_recovered.fetch_add(u64::from(report.has_failed), Ordering::Relaxed);
                if is_final && (kept_after_a_try || report.late_beat != LateBeat::None) {
                    report.late_beat = LateBeat::Acknowledged;
                    report.held.set_acknowledged(true);
                    // It holds up no other.
                    self.step_aside(&mut report);
                    return self.verify(report);
                }
                self.settle(report)
            }
            (verdict, outcome) => {
                let error = outcome.err().unwrap_or_else(|| Error::new(ErrorKind::Server, "update task", "refused"));
                match error.is_ambiguous() {
                    true => report.held.end_unanswered_report(),
                    false => report.held.end_report(),
                }
                report.held.metrics.update_failed(now.elapsed(), error.kind().as_str());
                report.has_failed = true;
                // A refusal that is known as one is none of these, whatever its status.
                if verdict != Verdict::Refused {
                    report.may_have_been_taken(&error);
                }
                let is_too_large = error.is_ambiguous() && report.body.len() >= LARGE_BODY_BYTES;
                self.not_taken(report, if is_too_large { Verdict::Suspect } else { verdict }, &error)
            }
        }
    }

    /// Gives a heartbeat that got no answer time to end on the server: until that answers, and a little longer. Says how long,
    /// if it shall be waited for.
    fn late_beat_pause(&self, report: &mut Report, since: Instant) -> Option<Duration> {
        match look(&self.client, &report.held) {
            Err(error) if error.is_retryable() && since.elapsed() < LATE_BEAT_MOST => {
                Some(report.backoff.pause(error.retry_after(), fastrand::f64()).min(LATE_BEAT_MOST))
            }
            outcome => {
                report.late_beat = LateBeat::Outwaited;
                outcome.is_ok().then_some(LATE_BEAT)
            }
        }
    }

    /// Looks what became of a task whose report the server may have taken. One that may be handed out again is neither sent
    /// twice nor given up because a server in trouble gives no answer.
    fn see(&self, report: &mut Report) -> Seen {
        let error = match look(&self.client, &report.held) {
            Ok(task) => {
                report.failed_looks = FailedLooks::default();
                return Seen::of(&task, &report.held);
            }
            Err(error) => error,
        };
        let is_in_trouble = error.is_retryable() || error.kind() == ErrorKind::Server;
        let is_awaited = is_in_trouble && matches!(report.kind, Kind::InProgress | Kind::GiveBack);
        match error {
            error if is_gone(&error) => Seen::Gone(error),
            error if report.failed_looks.permit_another(&error) || is_awaited => Seen::Later(error),
            error => Seen::Unknown(error),
        }
    }

    /// Looks whether a heartbeat that was still under way on the server has overwritten an acknowledged result, which 3.32.1
    /// loses then.
    fn verify(&self, mut report: Report) -> Option<(Report, Duration)> {
        match self.see(&mut report) {
            Seen::Ended if report.late_beat == LateBeat::SeenUndisturbed => self.settle(report),
            Seen::Ended => {
                report.late_beat = LateBeat::SeenUndisturbed;
                Some(report.wait(SECOND_LOOK_AFTER))
            }
            Seen::Ours | Seen::LetGo => {
                report.n_undone += 1;
                if report.n_undone >= MOST_UNDONE {
                    self.tell_unshown("a result was acknowledged, and its task still runs", &report.held);
                    return self.settle(report);
                }
                report.late_beat = LateBeat::Outwaited;
                report.held.set_acknowledged(false);
                report.held.end_report();
                // The server works, so that what was waited before counts no more.
                if report.n_undone == 1 {
                    report.backoff.reset();
                }
                Some(self.after_a_pause(report, None))
            }
            Seen::Gone(_) => self.settle(report),
            Seen::Later(error) => Some(self.after_a_pause(report, error.retry_after())),
            Seen::Unknown(error) => {
                let what =
                    format!("a result was acknowledged, and whether a heartbeat has undone it is not known: {error}");
                self.tell_unshown(&what, &report.held);
                self.settle(report)
            }
        }
    }

    /// Tells of a task whose state is in doubt, now and then.
    fn tell_unshown(&self, what: &str, held: &Held) {
        match self.unshown.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now()) {
            Allowed::No => log::debug!("{what} {held}"),
            _ => log::warn!("{what} {held}"),
        }
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
        let fresh = || Refusals {
            n: 0,
            since: Instant::now(),
            tries_before: n_tries - 1,
            settled_before: n_settled,
            recovered_before: n_recovered,
        };
        let refusals = report.refusals.get_or_insert_with(fresh);
        refusals.n += 1;
        if refusals.n < SUSPECT_AFTER {
            return false;
        }
        let n_others_settled = n_settled - refusals.settled_before;
        let n_others_tried = (n_tries - refusals.tries_before).saturating_sub(refusals.n);
        let nearly_all = n_others_settled * 100 >= n_others_tried * OTHERS_GET_THROUGH;
        // Of a server that fails now and then, some that have failed get through.
        let none_recovered = n_recovered == refusals.recovered_before;
        if n_others_settled >= SUSPECT_AFTER && (nearly_all || none_recovered) {
            let is_over = refusals.since.elapsed() >= self.patience;
            if !is_over {
                self.step_aside(report);
            }
            return is_over;
        }
        if !none_recovered || refusals.since.elapsed() < SUSPECT_ALONE_AFTER {
            self.step_aside(report);
            return false;
        }
        let heartbeat = extend_lease(&self.client, &report.held, FAR);
        if heartbeat.as_ref().is_err_and(Error::may_have_been_done) {
            report.held.doubt_beat();
        }
        heartbeat.is_ok()
    }

    /// Gives the place of a report that is refused again and again to another, so that there are others to compare with; not
    /// without bound.
    fn step_aside(&self, report: &mut Report) {
        let most = u64::try_from(self.most_aside).unwrap_or(u64::MAX);
        if report.place.is_some() && self.n_aside.load(Ordering::Relaxed) < most {
            self.n_aside.fetch_add(1, Ordering::Relaxed);
            report.is_aside = true;
            report.place = None;
        }
    }

    /// Sets a refused report aside and fails the task in its place, so that the workflow does not hang.
    fn replace(&self, mut report: Report, error: &Error) -> Option<(Report, Duration)> {
        // What was taken already must not be overwritten.
        let is_ours = report.ambiguous_since.is_none()
            || match self.see(&mut report) {
                Seen::Ended => return self.settle(report),
                Seen::Later(e) => return self.again(report, &e),
                Seen::Ours | Seen::Gone(_) => true,
                Seen::LetGo | Seen::Unknown(_) => false,
            };
        let held = Arc::clone(&report.held);
        if matches!(report.kind, Kind::Substitute | Kind::GiveBack) {
            self.tell_set_aside(&held, &error.to_string());
            return self.settle(report);
        }
        self.set_aside(&held, &report.body, &error.to_string());
        if !is_ours {
            return self.settle(report);
        }
        let status = TaskResultStatus::FailedWithTerminalError;
        let reason = shorten(&format!("the server refuses the result: {error}"));
        report.body = small_body(&TaskResult::new(&held.workflow_id, &held.task_id, status).reason(reason));
        report.kind = Kind::Substitute;
        (report.ambiguous_since, report.has_failed) = (None, false);
        report.refusals = None;
        report.backoff.reset();
        Some((report, Duration::ZERO))
    }

    /// Counts and logs what is set aside: where a server refuses all there is, the first of many at ERROR.
    fn tell_set_aside(&self, held: &Held, reason: &str) {
        held.metrics.set_aside();
        let allowed = self.aside.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        let level = if allowed == Allowed::No { log::Level::Info } else { log::Level::Error };
        log::log!(level, "result set aside: {reason} {held}");
        if allowed == Allowed::Last {
            log::error!("further results are set aside; those of the next half minute are logged at INFO");
        }
    }

    /// Gives a handler's result up, and hands it to the user's callback, whose panic ends here.
    fn set_aside(&self, held: &Held, body: &[u8], reason: &str) {
        self.tell_set_aside(held, reason);
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

    fn again(&self, report: Report, error: &Error) -> Option<(Report, Duration)> {
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
        report.asked_to_wait = asked == Some(pause);
        let Some(last_try) = self.last_try() else {
            return (report, pause);
        };
        if report.asked_to_wait {
            let left = last_try.saturating_duration_since(Instant::now());
            // After the last try comes none.
            return (report, if left.is_zero() { pause } else { pause.min(left) });
        }
        let n_others = u32::try_from(self.n_undelivered.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        let cap = STOPPING_CAP.max(STOPPING_GAP.saturating_mul(n_others));
        (report, pause.min(cap.mul_f64(1.0 - fastrand::f64() / 2.0)))
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
        self.n_aside.fetch_sub(u64::from(report.is_aside), Ordering::Relaxed);
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
            let left = crew.busy(|| self.delivery.offer(report));
            let got_through = left.as_ref().is_none_or(|(report, _)| report.late_beat.is_acknowledged())
                && self.delivery.n_settled.load(Ordering::Relaxed) != settled_before;
            // Nobody reads only when the runner is over, and then a report is listed as undelivered.
            if got_through && self.delivery.works() {
                drop(self.retries.send(Retry::Recovered));
            }
            if let Some((report, pause)) = left {
                drop(self.retries.send(Retry::At(Instant::now() + pause, Box::new(report))));
            }
        }
    }
}

/// Holds reports until their next try is due, until `over` closes. A stop brings all of them forward once.
pub(crate) fn hold_retries(retries: &Receiver<Retry>, reports: &Sender<Report>, over: &Receiver<()>) {
    let mut queue = RetryQueue::new();
    let mut last_try = None::<Instant>;
    loop {
        while let Some(report) = queue.pop_due(Instant::now()) {
            if reports.send(report).is_err() {
                return;
            }
        }
        let timer = queue.next_due().map_or_else(crossbeam_channel::never, crossbeam_channel::at);
        select! {
            recv(retries) -> retry => match retry {
                // It may have begun to wait before the stop.
                Ok(Retry::At(at, report)) => {
                    let now = Instant::now();
                    let last = last_try.filter(|last| *last > now && report.not_before.is_none_or(|at| at <= now));
                    queue.push(last.map_or(at, |last| at.min(last)), *report);
                }
                Ok(Retry::Recovered) => queue.hurry(Instant::now(), Duration::from_secs(1), Report::hurry),
                Ok(Retry::Stop(last)) => {
                    let now = Instant::now();
                    let n_waiting = u32::try_from(queue.len()).unwrap_or(u32::MAX);
                    let within = (last.saturating_duration_since(now) / 2).min(STOPPING_GAP.saturating_mul(n_waiting));
                    queue.hurry(now, within, Report::may_be_early);
                    queue.hurry(last, Duration::ZERO, |report| report.asked_to_wait);
                    last_try = Some(last);
                }
                Err(_) => return,
            },
            recv(timer) -> _ => {}
            recv(over) -> _ => return,
        }
    }
}
