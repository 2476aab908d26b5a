//! What each recording method moves, read from the rendered text as a scraper would.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use super::{
    MetricSet, Metrics, TaskMetrics,
    catalogue::{Family, Kind, Naming},
};
use crate::metrics::{MetricsServer, catalogue::CATALOGUE};

const TIME: Duration = Duration::from_millis(20);

/// Value by series, buckets and sums left out.
fn samples(metrics: &Metrics) -> BTreeMap<String, f64> {
    let text = metrics.render();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| line.rsplit_once(' ').unwrap());
    let is_count = |name: &str| !["_bucket", "_sum"].iter().any(|end| name.split('{').next().unwrap().ends_with(end));
    samples.filter(|(name, _)| is_count(name)).map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

/// `series +1` for each that `record` moves; the task type's label is left out, or `t` among others.
fn moved_by(record: impl FnOnce(&Metrics, &TaskMetrics)) -> BTreeSet<String> {
    let metrics = Metrics::new();
    let task = metrics.task("greet");
    let before = samples(&metrics);
    record(&metrics, &task);
    let after = samples(&metrics);
    assert!(before.keys().all(|name| after.contains_key(name)));
    let change = |(name, value): (String, f64)| {
        let by = value - before.get(&name).copied().unwrap_or_default();
        let name = name.replace("{taskType=\"greet\"}", "").replace("taskType=\"greet\"", "t");
        (by != 0.0).then(|| format!("{name} {by:+}"))
    };
    after.into_iter().filter_map(change).collect()
}

fn check(record: impl FnOnce(&Metrics, &TaskMetrics), expected: &[&str]) {
    assert_eq!(moved_by(record), expected.iter().map(|line| (*line).to_owned()).collect());
}

#[test]
fn an_answered_poll_moves_its_counters_and_times() {
    check(
        |_, task| task.polled(TIME),
        &[
            "task_poll_counter +1",
            "task_poll_time_count +1",
            "task_poll_total +1",
            "task_poll_time_seconds_count{status=\"SUCCESS\",t} +1",
        ],
    );
}

#[test]
fn a_failed_poll_counts_as_a_poll_too() {
    check(
        |_, task| task.poll_failed(TIME, 503, "Server"),
        &[
            "task_poll_counter +1",
            "task_poll_time_count +1",
            "task_poll_error{includeRetries=\"false\",status=\"503\",t} +1",
            "task_poll_total +1",
            "task_poll_time_seconds_count{status=\"FAILURE\",t} +1",
            "task_poll_error_total{exception=\"Server\",t} +1",
        ],
    );
    check(|_, task| task.poll_ambiguous(), &["task_poll_ambiguous_total +1"]);
}

#[test]
fn polls_that_are_not_made_are_counted_by_their_reason() {
    check(|_, task| task.queue_full(), &["task_execution_queue_full_total +1"]);
    check(|_, task| task.paused(), &["task_paused_total +1"]);
}

#[test]
fn an_execution_is_active_from_its_start_to_its_end() {
    check(|_, task| task.execution_started(), &["task_execution_started_total +1", "active_workers +1"]);
    check(
        |_, task| task.executed(TIME),
        &[
            "task_execute_time_count +1",
            "task_execute_time_seconds_count{status=\"SUCCESS\",t} +1",
            "active_workers -1",
        ],
    );
    check(
        |_, task| task.execution_failed(TIME, "Panic"),
        &[
            "task_execute_time_count +1",
            "task_execute_error +1",
            "task_execute_time_seconds_count{status=\"FAILURE\",t} +1",
            "task_execute_error_total{exception=\"Panic\",t} +1",
            "active_workers -1",
        ],
    );
}

#[test]
fn a_delivery_counts_its_size_its_failed_tries_and_its_end() {
    check(|_, task| task.result_size(5), &["task_result_size_count +1", "task_result_size_bytes_count +1"]);
    check(|_, task| task.updated(TIME), &["task_update_time_seconds_count{status=\"SUCCESS\",t} +1"]);
    check(
        |_, task| task.update_failed(TIME, "Connect"),
        &[
            "task_update_error +1",
            "task_update_time_seconds_count{status=\"FAILURE\",t} +1",
            "task_update_error_total{exception=\"Connect\",t} +1",
        ],
    );
    check(|_, task| task.undelivered_changed(3), &["task_results_undelivered +3"]);
    check(|_, task| task.undelivered_changed(-1), &["task_results_undelivered -1"]);
    check(|_, task| task.unwanted(), &["task_unwanted_total +1"]);
    check(|_, task| task.set_aside(), &["task_set_aside_total +1"]);
}

#[test]
fn leases_and_tasks_that_come_to_nothing_are_counted() {
    check(|_, task| task.heartbeat(), &["task_heartbeat_total{status=\"SUCCESS\",t} +1"]);
    check(|_, task| task.heartbeat_failed(), &["task_heartbeat_total{status=\"FAILURE\",t} +1"]);
    check(|_, task| task.given_back(), &["task_given_back_total +1"]);
    check(|_, task| task.cancelled(), &["task_cancelled_total +1"]);
    check(|_, task| task.late(), &["task_late_total +1"]);
}

#[test]
fn what_no_task_type_owns_is_counted_once() {
    check(
        |metrics, _| metrics.http_request("POST", "/tasks/{taskId}/log", 204, TIME),
        &["http_api_client_request_seconds_count{method=\"POST\",status=\"204\",uri=\"/tasks/{taskId}/log\"} +1"],
    );
    check(
        |metrics, _| metrics.workflow_start_error("order", "Connect"),
        &["workflow_start_error_total{exception=\"Connect\",workflowType=\"order\"} +1"],
    );
    check(
        |metrics, _| metrics.workflow_input_size("order", None, 7),
        &["workflow_input_size_bytes_count{version=\"\",workflowType=\"order\"} +1"],
    );
    check(|metrics, _| metrics.uncaught("Panic"), &["thread_uncaught_exceptions_total{exception=\"Panic\"} +1"]);
}

#[test]
fn labels_that_read_the_same_when_put_together_are_different_series() {
    check(
        |metrics, _| {
            metrics.workflow_input_size("order", Some(12), 7);
            metrics.workflow_input_size("order1", Some(2), 7);
        },
        &[
            "workflow_input_size_bytes_count{version=\"12\",workflowType=\"order\"} +1",
            "workflow_input_size_bytes_count{version=\"2\",workflowType=\"order1\"} +1",
        ],
    );
}

#[test]
fn times_are_in_seconds_and_sizes_in_bytes_under_the_bounds_of_the_other_sdks() {
    let metrics = Metrics::new();
    let task = metrics.task("greet");
    task.polled(Duration::from_millis(1500));
    task.result_size(2_000);
    let text = metrics.render();
    for line in [
        "task_poll_time_sum{taskType=\"greet\"} 1.5",
        "task_poll_time_bucket{taskType=\"greet\",le=\"0.001\"} 0",
        "task_poll_time_bucket{taskType=\"greet\",le=\"1\"} 0",
        "task_poll_time_bucket{taskType=\"greet\",le=\"2.5\"} 1",
        "task_poll_time_bucket{taskType=\"greet\",le=\"10\"} 1",
        "task_poll_time_bucket{taskType=\"greet\",le=\"+Inf\"} 1",
        "task_poll_time_seconds_sum{status=\"SUCCESS\",taskType=\"greet\"} 1.5",
        "task_result_size_sum{taskType=\"greet\"} 2000",
        "task_result_size_bytes_bucket{taskType=\"greet\",le=\"1000\"} 0",
        "task_result_size_bytes_bucket{taskType=\"greet\",le=\"10000\"} 1",
        "task_result_size_bytes_bucket{taskType=\"greet\",le=\"10000000\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("task_poll_time_bucket")).count(), 13);
    assert_eq!(text.lines().filter(|line| line.starts_with("task_result_size_bucket")).count(), 7);
}

#[test]
fn the_series_of_a_task_type_begin_at_zero() {
    let metrics = Metrics::new();
    metrics.task("greet");
    let samples = samples(&metrics);
    let open = ["exception", "includeRetries", "method", "workflowType"];
    let begins = |family: &&&Family| !family.labels.iter().any(|label| open.contains(label));
    for family in CATALOGUE.iter().filter(begins) {
        let series = samples.iter().filter(|(name, _)| {
            let rest = name.strip_prefix(family.name).and_then(|rest| rest.split('{').next());
            rest.is_some_and(|rest| rest.is_empty() || rest == "_count")
        });
        let values: Vec<f64> = series.map(|(_, value)| *value).collect();
        let n_statuses = if family.labels.contains(&"status") { 2 } else { 1 };
        assert_eq!(values, vec![0.0; n_statuses], "{}", family.name);
    }
}

#[test]
fn a_task_type_is_found_again_and_odd_names_are_escaped() {
    let metrics = Metrics::new();
    metrics.task("a\"b\\c\nd").polled(TIME);
    metrics.clone().task("a\"b\\c\nd").polled(TIME);
    assert!(metrics.render().contains("task_poll_total{taskType=\"a\\\"b\\\\c\\nd\"} 2\n"), "{}", metrics.render());
}

#[test]
fn task_types_beyond_the_first_thousand_share_the_series_other() {
    let metrics = Metrics::with_set(MetricSet::Guide);
    for n in 0..1_100 {
        metrics.task(&format!("t{n}")).polled(TIME);
    }
    metrics.task("t1099").polled(TIME);
    metrics.task("t7").polled(TIME);
    let samples = samples(&metrics);
    let polls = |name: &str| samples[&format!("task_poll_counter{{taskType=\"{name}\"}}")];
    assert_eq!((polls("other"), polls("t7"), polls("t999")), (101.0, 2.0, 1.0));
    assert_eq!(samples.keys().filter(|name| name.starts_with("task_poll_counter")).count(), 1_001);
}

#[test]
fn workflow_types_are_capped_too() {
    let metrics = Metrics::with_set(MetricSet::Canonical);
    for n in 0..1_100 {
        metrics.workflow_start_error(&format!("w{n}"), "Connect");
        metrics.workflow_input_size(&format!("w{n}"), Some(n), 1);
    }
    let samples = samples(&metrics);
    for name in ["workflow_start_error_total", "workflow_input_size_bytes_count"] {
        let series: Vec<_> = samples.iter().filter(|(series, _)| series.starts_with(name)).collect();
        assert_eq!(series.len(), 1_001, "{name}");
        assert!(series.iter().any(|(series, n)| series.contains("=\"other\"") && **n == 100.0), "{name}");
    }
}

/// Metrics in which every family has a series.
fn all_recorded(set: MetricSet) -> Metrics {
    let metrics = Metrics::with_set(set);
    let task = metrics.task("greet");
    task.poll_failed(TIME, 500, "Server");
    task.execution_failed(TIME, "Panic");
    task.update_failed(TIME, "Connect");
    metrics.http_request("GET", "/health", 200, TIME);
    metrics.workflow_start_error("order", "Connect");
    metrics.workflow_input_size("order", Some(1), 7);
    metrics.uncaught("Panic");
    metrics
}

#[test]
fn the_text_holds_the_families_of_the_chosen_set_with_their_types_and_labels() {
    for (set, is_in) in [
        (MetricSet::Both, (|_| true) as fn(Naming) -> bool),
        (MetricSet::Guide, |naming| naming == Naming::Guide),
        (MetricSet::Canonical, |naming| naming == Naming::Canonical),
    ] {
        let text = all_recorded(set).render();
        let types: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let chosen: Vec<_> = CATALOGUE.iter().filter(|family| is_in(family.naming)).collect();
        let expected: Vec<String> = chosen.iter().map(|f| format!("{} {}", f.name, type_of(f.kind))).collect();
        assert_eq!(types, expected.iter().map(String::as_str).collect(), "{set:?}");
        for family in chosen {
            assert!(text.contains(&format!("# HELP {} {}\n", family.name, family.help)), "{}", family.name);
            let series = |line: &&str| line.starts_with(family.name) && line.contains('{');
            let line = text.lines().find(series).unwrap();
            for label in family.labels {
                assert!(line.contains(&format!("{label}=\"")), "no {label} in {line}");
            }
        }
    }
}

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Seconds | Kind::Bytes => "histogram",
    }
}

#[test]
fn the_guides_seven_names_and_labels_are_exactly_those_it_lists() {
    let guide: BTreeMap<&str, &[&str]> =
        CATALOGUE.iter().filter(|f| f.naming == Naming::Guide).map(|f| (f.name, f.labels)).collect();
    let expected: BTreeMap<&str, &[&str]> = [
        ("task_poll_error", ["taskType", "includeRetries", "status"].as_slice()),
        ("task_execute_error", &["taskType"]),
        ("task_update_error", &["taskType"]),
        ("task_poll_counter", &["taskType"]),
        ("task_poll_time", &["taskType"]),
        ("task_execute_time", &["taskType"]),
        ("task_result_size", &["taskType"]),
    ]
    .into_iter()
    .collect();
    assert_eq!(guide, expected);
}

#[test]
fn all_of_the_guides_names_are_there_at_0_before_anything_happens() {
    let metrics = Metrics::with_set(MetricSet::Guide);
    metrics.task("greet");
    let text = metrics.render();
    let families: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let expected: BTreeSet<&str> =
        CATALOGUE.iter().filter(|f| f.naming == Naming::Guide).map(|family| family.name).collect();
    assert_eq!(families, expected);
    let line = "task_poll_error{includeRetries=\"false\",status=\"0\",taskType=\"greet\"} 0";
    assert!(text.lines().any(|other| other == line), "{text}");
}

#[test]
fn the_table_in_the_documentation_is_the_catalogue() {
    let row = |family: &Family| {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Seconds => "histogram, s",
            Kind::Bytes => "histogram, bytes",
        };
        format!("/// | `{}` | {kind} | {} | {} |", family.name, labels.join(", "), family.help)
    };
    let expected: Vec<String> = CATALOGUE.iter().map(|family| row(family)).collect();
    let documented: Vec<&str> =
        include_str!("../../metrics.rs").lines().filter(|line| line.starts_with("/// | `")).collect();
    assert_eq!(documented, expected, "the table should be:\n{}\n", expected.join("\n"));
}

#[test]
fn threads_that_record_at_once_lose_no_count() {
    let metrics = Metrics::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let task = metrics.task("greet");
                for _ in 0..1_000 {
                    task.poll_failed(TIME, 500, "Server");
                    metrics.http_request("GET", "/health", 200, TIME);
                }
            });
        }
    });
    let samples = samples(&metrics);
    assert_eq!(samples["task_poll_total{taskType=\"greet\"}"], 4_000.0);
    assert_eq!(samples["task_poll_error_total{exception=\"Server\",taskType=\"greet\"}"], 4_000.0);
    let requests = "http_api_client_request_seconds_count{method=\"GET\",status=\"200\",uri=\"/health\"}";
    assert_eq!(samples[requests], 4_000.0);
}

#[test]
fn the_summary_has_a_line_for_each_task_type() {
    let metrics = Metrics::new();
    let task = metrics.task("greet");
    metrics.task("bill");
    task.polled(TIME);
    task.poll_failed(TIME, 0, "Connect");
    task.execution_started();
    task.executed(TIME);
    task.execution_started();
    task.updated(TIME);
    task.undelivered_changed(2);
    let expected = "bill: 0 polls (0 failed), 0 executions (0 failed), 0 running, 0 results acknowledged, 0 waiting\n\
        greet: 2 polls (1 failed), 1 executions (0 failed), 1 running, 1 results acknowledged, 2 waiting\n";
    assert_eq!(metrics.summary(), expected);
}

#[test]
fn metrics_and_their_server_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Metrics>();
    crosses::<TaskMetrics>();
    crosses::<MetricsServer>();
}
