//! Polls that wait for tasks. A poll is kept until it has as many tasks as it asked for or its time is over; those that
//! came first are served first. Nothing here looks at a clock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Instant,
};

use super::{
    engine::{Millis, queue_name},
    routes::PollOrder,
};

/// Waiting polls, each with what is needed to answer it.
#[derive(Debug)]
pub(super) struct Parked<R> {
    polls: BTreeMap<u64, Waiting<R>>,
    /// In the order of their arrival.
    by_queue: HashMap<String, VecDeque<u64>>,
    ends: BTreeSet<(Instant, u64)>,
    ends_by_server: BTreeSet<(Millis, u64)>,
    n_parked: u64,
}

/// A poll that waits.
#[derive(Debug)]
pub(super) struct Waiting<R> {
    pub(super) order: PollOrder,
    /// Tasks taken for it so far.
    pub(super) taken: Vec<String>,
    /// When its time is over, in real time and by the clock of the server; the first that passes counts.
    pub(super) end: Instant,
    pub(super) end_by_server: Millis,
    pub(super) request: R,
}

impl<R> Default for Parked<R> {
    fn default() -> Self {
        Self {
            polls: BTreeMap::new(),
            by_queue: HashMap::new(),
            ends: BTreeSet::new(),
            ends_by_server: BTreeSet::new(),
            n_parked: 0,
        }
    }
}

impl<R> Parked<R> {
    pub(super) fn park(&mut self, poll: Waiting<R>) {
        self.n_parked += 1;
        let key = self.n_parked;
        self.ends.insert((poll.end, key));
        self.ends_by_server.insert((poll.end_by_server, key));
        self.by_queue.entry(poll.queue()).or_default().push_back(key);
        self.polls.insert(key, poll);
    }

    /// The queues that polls wait for.
    pub(super) fn queues(&self) -> Vec<String> {
        self.by_queue.keys().cloned().collect()
    }

    /// How many tasks the first poll of a queue still waits for.
    pub(super) fn wanted(&self, queue: &str) -> Option<usize> {
        let poll = self.polls.get(self.by_queue.get(queue)?.front()?)?;
        Some(poll.order.count - poll.taken.len())
    }

    /// Gives tasks to the first poll of a queue, which comes back when it has all it asked for.
    pub(super) fn give(&mut self, queue: &str, task_ids: Vec<String>) -> Option<Waiting<R>> {
        let key = *self.by_queue.get(queue)?.front()?;
        let poll = self.polls.get_mut(&key)?;
        poll.taken.extend(task_ids);
        if poll.taken.len() < poll.order.count { None } else { self.unpark(key) }
    }

    /// A poll whose time is over.
    pub(super) fn expired(&mut self, now: Instant, now_by_server: Millis) -> Option<Waiting<R>> {
        let first = self.ends.first().filter(|(end, _)| *end <= now).map(|(_, key)| *key);
        let by_server = || self.ends_by_server.first().filter(|(end, _)| *end <= now_by_server).map(|(_, key)| *key);
        self.unpark(first.or_else(by_server)?)
    }

    /// Any poll, for the end of the server.
    pub(super) fn any(&mut self) -> Option<Waiting<R>> {
        let key = *self.polls.keys().next()?;
        self.unpark(key)
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }

    pub(super) fn next_end_by_server(&self) -> Option<Millis> {
        self.ends_by_server.first().map(|(end, _)| *end)
    }

    fn unpark(&mut self, key: u64) -> Option<Waiting<R>> {
        let poll = self.polls.remove(&key)?;
        self.ends.remove(&(poll.end, key));
        self.ends_by_server.remove(&(poll.end_by_server, key));
        let queue = poll.queue();
        if let Some(keys) = self.by_queue.get_mut(&queue) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_queue.remove(&queue);
            }
        }
        Some(poll)
    }
}

impl<R> Waiting<R> {
    pub(super) fn queue(&self) -> String {
        queue_name(&self.order.poll.task_type, self.order.poll.domain.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::engine::Poll, *};

    fn poll(request: u8, count: usize, hold: u64, from: Instant) -> Waiting<u8> {
        let poll = Poll { task_type: "q".to_owned(), ..Poll::default() };
        let order = PollOrder { poll, count, hold: 0, is_single: false };
        let end = from + Duration::from_millis(hold);
        Waiting { order, taken: Vec::new(), end, end_by_server: Millis::MAX, request }
    }

    #[test]
    fn a_poll_comes_back_full_and_in_order_of_arrival() {
        let now = Instant::now();
        let mut parked = Parked::default();
        parked.park(poll(1, 2, 10, now));
        parked.park(poll(2, 1, 5, now));
        assert_eq!((parked.wanted("q"), parked.wanted("r")), (Some(2), None));
        assert!(parked.give("q", vec!["a".to_owned()]).is_none());
        let full = parked.give("q", vec!["b".to_owned()]).unwrap();
        assert_eq!((full.request, full.taken), (1, vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(parked.wanted("q"), Some(1));
    }

    #[test]
    fn a_poll_comes_back_when_its_time_is_over() {
        let now = Instant::now();
        let mut parked = Parked::default();
        parked.park(poll(1, 1, 10, now));
        parked.park(poll(2, 1, 5, now));
        assert_eq!(parked.next_end(), Some(now + Duration::from_millis(5)));
        assert!(parked.expired(now, 0).is_none());
        assert_eq!(parked.expired(now + Duration::from_millis(5), 0).unwrap().request, 2);
        assert_eq!(parked.expired(now, Millis::MAX).unwrap().request, 1);
        assert!(parked.queues().is_empty() && parked.any().is_none());
    }
}
