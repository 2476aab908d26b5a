//! When to try again, as data: [`Backoff`] says how long to wait, [`RetryQueue`] holds what waits, [`Trouble`] says what is
//! worth a log line. No clock and no thread in here.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashMap},
    time::{Duration, Instant},
};

/// Pauses that double from 100 ms up to a cap, with full jitter, and no end.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    cap: Duration,
    n_failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    /// Jitter near 0 would be no pause at all.
    const LEAST: Duration = Duration::from_millis(25);

    pub(crate) fn new(cap: Duration) -> Self {
        Self { cap, n_failures: 0 }
    }

    pub(crate) fn reset(&mut self) {
        self.n_failures = 0;
    }

    /// The pause after another failure; at least what the server asked for. `random` is from 0 to 1.
    pub(crate) fn pause(&mut self, asked: Option<Duration>, random: f64) -> Duration {
        let most = Self::FIRST.saturating_mul(1 << self.n_failures.min(20)).min(self.cap);
        self.n_failures = self.n_failures.saturating_add(1);
        most.mul_f64(random.clamp(0.0, 1.0)).max(Self::LEAST).max(asked.unwrap_or_default())
    }
}

/// Things that wait for their time.
#[derive(Debug)]
pub(crate) struct RetryQueue<T> {
    order: BinaryHeap<Reverse<(Instant, u64)>>,
    waiting: HashMap<u64, T>,
    n_pushed: u64,
}

impl<T> RetryQueue<T> {
    pub(crate) fn new() -> Self {
        Self { order: BinaryHeap::new(), waiting: HashMap::new(), n_pushed: 0 }
    }

    pub(crate) fn push(&mut self, due: Instant, item: T) {
        self.n_pushed += 1;
        self.order.push(Reverse((due, self.n_pushed)));
        self.waiting.insert(self.n_pushed, item);
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.order.peek().map(|Reverse((due, _))| *due)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse((_, key)) = self.order.pop()?;
        self.waiting.remove(&key)
    }

    /// Brings forward what `may` be, spread evenly over `within`, in the order it was due.
    pub(crate) fn hurry(&mut self, now: Instant, within: Duration, mut may: impl FnMut(&mut T) -> bool) {
        let mut entries: Vec<_> = std::mem::take(&mut self.order).into_iter().map(|Reverse(entry)| entry).collect();
        entries.sort_unstable();
        let mut may = |key: &u64| self.waiting.get_mut(key).is_some_and(&mut may);
        let (hurried, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(_, key)| may(key));
        let step = within / u32::try_from(hurried.len().max(1)).unwrap_or(u32::MAX);
        let mut at = now;
        for (due, key) in hurried {
            self.order.push(Reverse((due.min(at), key)));
            at += step;
        }
        self.order.extend(others.into_iter().map(Reverse));
    }
}

/// What to log about something that fails again and again: the first failure, a summary now and then, the recovery.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    since: Option<Since>,
    /// When the last one was over, and how long it had to be calm for that.
    over: Option<(Instant, Duration)>,
}

#[derive(Debug)]
struct Since {
    began: Instant,
    said: Instant,
    /// How long after that it is said again.
    say_again_after: Duration,
    failed: Instant,
    n_failures: u64,
    /// How long it must work before it counts as over.
    calm: Duration,
}

/// How many lines of a kind may be logged in a while, whoever has reason to.
#[derive(Debug)]
pub(crate) struct Limit {
    most: u32,
    window: Option<(Instant, u32)>,
}

/// Whether a line may be logged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Allowed {
    Yes,
    /// It is the last for a while.
    Last,
    No,
}

impl Limit {
    const WINDOW: Duration = Duration::from_secs(30);

    pub(crate) fn new(most: u32) -> Self {
        Self { most, window: None }
    }

    pub(crate) fn take(&mut self, now: Instant) -> Allowed {
        let (since, n) = self.window.filter(|(since, _)| now.duration_since(*since) < Self::WINDOW).unwrap_or((now, 0));
        self.window = Some((since, n.saturating_add(1)));
        match (n + 1).cmp(&self.most) {
            Ordering::Less => Allowed::Yes,
            Ordering::Equal => Allowed::Last,
            Ordering::Greater => Allowed::No,
        }
    }
}

/// What is worth saying.
#[derive(Debug, PartialEq)]
pub(crate) enum Notice {
    /// It fails since now.
    Began,
    /// It still fails: since when, how often.
    GoesOn(Duration, u64),
    /// It works again: how long it did not, how often it failed.
    Over(Duration, u64),
}

impl Trouble {
    /// Doubles with each summary: a long outage is worth few lines, too.
    const FIRST_SUMMARY_AFTER: Duration = Duration::from_secs(30);
    const SUMMARY_AT_LEAST_EVERY: Duration = Duration::from_secs(240);
    const CALM: Duration = Duration::from_secs(5);
    /// One that begins so soon after another has to be calm for twice as long, up to the second time: then a server that fails
    /// every few seconds, for ever, is one trouble.
    const SOON: Duration = Duration::from_secs(60);
    const LONGEST_CALM: Duration = Duration::from_secs(120);

    pub(crate) fn failed(&mut self, now: Instant) -> Option<Notice> {
        let Some(since) = &mut self.since else {
            let last = self.over.filter(|(over, _)| now.duration_since(*over) < Self::SOON);
            let calm = last.map_or(Self::CALM, |(_, calm)| (calm * 2).min(Self::LONGEST_CALM));
            self.since = Some(Since {
                began: now,
                said: now,
                say_again_after: Self::FIRST_SUMMARY_AFTER,
                failed: now,
                n_failures: 1,
                calm,
            });
            return Some(Notice::Began);
        };
        since.n_failures += 1;
        since.failed = now;
        if now.duration_since(since.said) < since.say_again_after {
            return None;
        }
        since.said = now;
        since.say_again_after = (since.say_again_after * 2).min(Self::SUMMARY_AT_LEAST_EVERY);
        Some(Notice::GoesOn(now.duration_since(since.began), since.n_failures))
    }

    /// Forgets a trouble that nothing has been heard of for so long, where whatever failed may have ended with its task.
    pub(crate) fn forget(&mut self, silence: Duration, now: Instant) {
        self.since.take_if(|since| now.duration_since(since.failed) >= silence);
    }

    /// It is over only once it has worked for a while: what fails now and then is one trouble, not many.
    pub(crate) fn worked(&mut self, now: Instant) -> Option<Notice> {
        let since = self.since.as_ref()?;
        if now.duration_since(since.failed) < since.calm {
            return None;
        }
        let over = Notice::Over(since.failed.duration_since(since.began), since.n_failures);
        self.over = Some((now, since.calm));
        self.since = None;
        Some(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_jitter_is_full() {
        let mut backoff = Backoff::new(Duration::from_secs(30));
        let most: Vec<u128> = (0..12).map(|_| backoff.pause(None, 1.0).as_millis()).collect();
        assert_eq!(most, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000]);
        assert_eq!(backoff.pause(None, 0.0), Backoff::LEAST);
        backoff.reset();
        assert_eq!(backoff.pause(None, 0.5), Duration::from_millis(50));
    }

    #[test]
    fn the_server_may_ask_for_a_longer_pause() {
        assert_eq!(
            Backoff::new(Duration::from_secs(1)).pause(Some(Duration::from_secs(7)), 0.3),
            Duration::from_secs(7)
        );
    }

    #[test]
    fn a_queue_gives_what_is_due_in_order() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut queue = RetryQueue::new();
        [(30, "c"), (10, "a"), (20, "b")].into_iter().for_each(|(ms, item)| queue.push(at(ms), item));
        assert_eq!((queue.pop_due(now), queue.next_due()), (None, Some(at(10))));
        assert_eq!((queue.pop_due(at(25)), queue.pop_due(at(25)), queue.pop_due(at(25))), (Some("a"), Some("b"), None));
    }

    #[test]
    fn hurry_spreads_what_waits() {
        let now = Instant::now();
        let mut queue = RetryQueue::new();
        (0..4).for_each(|n| queue.push(now + Duration::from_secs(60 + n), n));
        queue.push(now + Duration::from_secs(9), 7);
        queue.hurry(now, Duration::from_secs(1), |n| *n != 7);
        assert_eq!((queue.pop_due(now), queue.pop_due(now)), (Some(0), None));
        assert_eq!(queue.next_due(), Some(now + Duration::from_millis(250)));
        let later = now + Duration::from_secs(1);
        assert_eq!(std::iter::from_fn(|| queue.pop_due(later)).count(), 3);
        assert_eq!(queue.next_due(), Some(now + Duration::from_secs(9)));
    }

    #[test]
    fn a_trouble_that_nothing_is_heard_of_is_forgotten() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let (mut trouble, silence) = (Trouble::default(), Duration::from_secs(60));
        assert_eq!(trouble.failed(begun), Some(Notice::Began));
        trouble.forget(silence, at(59));
        assert_eq!(trouble.failed(at(59)), Some(Notice::GoesOn(Duration::from_secs(59), 2)));
        trouble.forget(silence, at(119));
        assert_eq!(trouble.failed(at(119)), Some(Notice::Began));
    }

    #[test]
    fn an_outage_of_ten_minutes_is_worth_five_lines() {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        let lines = (0..6000).filter(|n| trouble.failed(start + Duration::from_millis(n * 100)).is_some()).count();
        assert_eq!(lines, 5);
        assert_eq!(trouble.worked(start + Duration::from_secs(601)), None, "it may fail again at once");
        assert!(matches!(trouble.worked(start + Duration::from_secs(606)), Some(Notice::Over(_, 6000))));
        assert_eq!(trouble.worked(start), None);
    }

    #[test]
    fn what_fails_now_and_then_is_one_trouble() {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        let lines = (0..1000).filter(|n| {
            let now = start + Duration::from_millis(n * 20);
            trouble.worked(now).is_some() | (n % 2 == 0 && trouble.failed(now).is_some())
        });
        assert_eq!(lines.count(), 1);
    }

    #[test]
    fn a_server_that_fails_every_few_seconds_for_hours_is_worth_few_lines() {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        let hours = |n: u64| {
            let now = start + Duration::from_secs(n);
            [trouble.worked(now), (n % 10 == 0).then(|| trouble.failed(now)).flatten()]
        };
        let lines: Vec<_> = (0..3 * 3600).flat_map(hours).flatten().collect();
        assert!(lines.iter().filter(|line| **line == Notice::Began).count() <= 3, "{lines:?}");
        assert!(lines.len() < 60, "{lines:?}");
    }

    #[test]
    fn no_more_lines_than_allowed_in_a_while() {
        let start = Instant::now();
        let mut limit = Limit::new(5);
        let taken: Vec<_> = (0..500).map(|_| limit.take(start)).collect();
        assert_eq!(taken.iter().filter(|t| **t == Allowed::Yes).count(), 4);
        assert_eq!(taken.iter().filter(|t| **t == Allowed::Last).count(), 1);
        assert_eq!(limit.take(start + Limit::WINDOW), Allowed::Yes);
    }
}
