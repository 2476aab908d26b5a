//! The queues of tasks, by name: a task is either ready or waits until it is due. All operations are logarithmic, and
//! nothing here looks at a clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Millis;

/// Order of hand-out: the highest priority first, then the earliest due, then the earliest pushed.
type Order = (i32, Millis, u64);

/// All queues. A queue exists once something was pushed into it.
#[derive(Debug, Default)]
pub(super) struct Queues {
    by_name: HashMap<String, Queue>,
    /// Where each queued task is.
    places: HashMap<String, Place>,
    /// The tasks that wait, over all queues, so that the next due one is found without a scan.
    waiting: BTreeSet<(Millis, u64, String)>,
    n_pushed: u64,
}

#[derive(Debug, Default)]
struct Queue {
    ready: BTreeMap<Order, String>,
    n_waiting: usize,
}

#[derive(Debug)]
struct Place {
    queue: String,
    order: Order,
    is_ready: bool,
}

impl Queues {
    /// Puts a task into a queue, where it becomes ready at `due`. It is taken out of where it was before.
    pub(super) fn push(&mut self, queue: &str, task_id: &str, priority: i32, due: Millis, now: Millis) {
        self.remove(task_id);
        self.n_pushed += 1;
        let order = (-priority, due, self.n_pushed);
        let is_ready = due <= now;
        let entry = self.by_name.entry(queue.to_owned()).or_default();
        if is_ready {
            entry.ready.insert(order, task_id.to_owned());
        } else {
            entry.n_waiting += 1;
            self.waiting.insert((due, order.2, task_id.to_owned()));
        }
        self.places.insert(task_id.to_owned(), Place { queue: queue.to_owned(), order, is_ready });
    }

    /// Takes a task out of its queue, if it is in one.
    pub(super) fn remove(&mut self, task_id: &str) {
        let Some(Place { queue, order, is_ready }) = self.places.remove(task_id) else { return };
        let Some(entry) = self.by_name.get_mut(&queue) else { return };
        if is_ready {
            entry.ready.remove(&order);
        } else {
            entry.n_waiting -= 1;
            self.waiting.remove(&(order.1, order.2, task_id.to_owned()));
        }
    }

    /// Makes the tasks ready that are due.
    pub(super) fn promote(&mut self, now: Millis) {
        while self.waiting.first().is_some_and(|(due, ..)| *due <= now) {
            let Some((_, _, task_id)) = self.waiting.pop_first() else { return };
            let Some(place) = self.places.get_mut(&task_id) else { continue };
            place.is_ready = true;
            let Some(entry) = self.by_name.get_mut(&place.queue) else { continue };
            entry.n_waiting -= 1;
            entry.ready.insert(place.order, task_id);
        }
    }

    /// When the next waiting task is due.
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.waiting.first().map(|(due, ..)| *due)
    }

    /// Takes up to `most` ready tasks out of a queue, in order.
    pub(super) fn take(&mut self, queue: &str, most: usize) -> Vec<String> {
        let Some(entry) = self.by_name.get_mut(queue) else { return Vec::new() };
        let mut taken = Vec::with_capacity(most.min(entry.ready.len()));
        while taken.len() < most {
            let Some((_, task_id)) = entry.ready.pop_first() else { break };
            self.places.remove(&task_id);
            taken.push(task_id);
        }
        taken
    }

    /// Whether a queue holds a task that is ready.
    pub(super) fn has_ready(&self, queue: &str) -> bool {
        self.by_name.get(queue).is_some_and(|entry| !entry.ready.is_empty())
    }

    /// Whether a task waits in a queue, and which.
    pub(super) fn queue_of(&self, task_id: &str) -> Option<&str> {
        self.places.get(task_id).map(|place| place.queue.as_str())
    }

    /// How many tasks a queue holds, ready or not.
    pub(super) fn len(&self, queue: &str) -> usize {
        self.by_name.get(queue).map_or(0, Queue::len)
    }

    /// How many tasks each queue holds, by name.
    pub(super) fn sizes(&self) -> BTreeMap<&str, usize> {
        self.by_name.iter().map(|(name, queue)| (name.as_str(), queue.len())).collect()
    }
}

impl Queue {
    fn len(&self) -> usize {
        self.ready.len() + self.n_waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_come_by_priority_then_due_time_then_order_of_arrival() {
        let mut queues = Queues::default();
        for (task, priority, due) in [("a", 0, 5), ("b", 0, 3), ("c", 9, 8), ("d", 0, 3)] {
            queues.push("q", task, priority, due, 10);
        }
        assert_eq!(queues.take("q", 9), ["c", "b", "d", "a"]);
        assert_eq!(queues.len("q"), 0);
    }

    #[test]
    fn a_waiting_task_counts_but_is_not_handed_out_until_due() {
        let mut queues = Queues::default();
        queues.push("q", "a", 0, 20, 10);
        assert_eq!((queues.len("q"), queues.next_due(), queues.has_ready("q")), (1, Some(20), false));
        queues.promote(19);
        assert!(queues.take("q", 1).is_empty());
        queues.promote(20);
        assert_eq!((queues.next_due(), queues.has_ready("q")), (None, true));
        assert_eq!(queues.take("q", 1), ["a"]);
    }

    #[test]
    fn a_task_is_in_one_place_only() {
        let mut queues = Queues::default();
        queues.push("q", "a", 0, 20, 10);
        queues.push("r", "a", 0, 5, 10);
        assert_eq!((queues.len("q"), queues.len("r"), queues.next_due()), (0, 1, None));
        queues.remove("a");
        assert_eq!((queues.len("r"), queues.queue_of("a")), (0, None));
        assert_eq!(queues.sizes(), BTreeMap::from([("q", 0), ("r", 0)]));
    }
}
