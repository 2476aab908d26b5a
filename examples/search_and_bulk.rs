//! Many workflows at once: start them, find them again by what is known of them, look at pages of results, wait for all, and
//! terminate and remove them in one call each.
//!
//! It needs a real server, since the embedded one has no search:
//! `CONDUCTOR_SERVER_URL=http://localhost:8080/api cargo run --example search_and_bulk`

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{
    error::Error,
    time::{Duration, Instant, SystemTime},
};

use conductor_sync::{
    Client, Config, Removal, SearchField, SearchQuery, SearchRequest, StartWorkflowRequest, TaskDef, WorkflowDef,
    WorkflowTask,
};
use serde_json::json;

const NAME: &str = "search_and_bulk_order";

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let config = Config::from_env_if_set()?.ok_or("this example needs a real server: set CONDUCTOR_SERVER_URL")?;
    let client = Client::new(config)?;
    let (workflows, bulk) = (client.workflows(), client.workflows().bulk());
    client.metadata().register_task(&TaskDef::new("search_and_bulk_ship"))?;
    let def = WorkflowDef::new(NAME).task(WorkflowTask::simple("search_and_bulk_ship", "ship"));
    client.metadata().update_workflow(&def)?;

    // The correlation id is how these are known, whoever looks for them later.
    let begun = SystemTime::now() - Duration::from_secs(60);
    let customer = format!("customer {}-{}", std::process::id(), SystemTime::UNIX_EPOCH.elapsed()?.as_millis());
    let mut ids = Vec::new();
    for n in 1..=5 {
        let order = StartWorkflowRequest::new(NAME).correlation_id(&customer).input(json!({"order": n}));
        ids.push(workflows.start(&order)?);
    }

    // Conditions as code: fields are known to exist, and values that the server would misread are refused.
    let of_customer = || {
        SearchQuery::new()
            .is(SearchField::WorkflowType, NAME)
            .is(SearchField::CorrelationId, &customer)
            .after(SearchField::StartTime, begun)
    };
    let request = SearchRequest::new().query(of_customer()).newest_first().page_size(2);
    // Some indexes take a moment.
    let end = Instant::now() + Duration::from_secs(30);
    while workflows.search(request.clone()).first_page()?.total_hits < 5 && Instant::now() < end {
        crossbeam_channel::after(Duration::from_millis(500)).recv()?;
    }
    for (n, page) in workflows.search(request.clone()).pages().enumerate() {
        let page = page?;
        println!("page {}: {} of {}", n + 1, page.results.len(), page.total_hits);
    }
    for workflow in workflows.search(request) {
        let workflow = workflow?;
        println!("{} is {} with {}", workflow.workflow_id, workflow.status, workflow.input);
    }
    let known = workflows.correlated(NAME, &customer)?;
    println!("known by the customer: {}", known.len());

    // One call for many; what failed is told by id.
    let (first_two, others) = ids.split_at(2);
    println!("paused: {}", bulk.pause(first_two)?.successes.len());
    println!("resumed: {}", bulk.resume(first_two)?.successes.len());
    let outcome = bulk.terminate(&[others, &["no-such-workflow".to_owned()]].concat(), Some("sold out"))?;
    for (id, reason) in &outcome.errors {
        println!("not terminated: {id}: {reason}");
    }

    // Waiting for many costs little more than waiting for one.
    let ended = workflows.wait_all(&ids, Duration::from_secs(1));
    for error in ended.iter().filter_map(|outcome| outcome.as_ref().err()) {
        println!("not ended: {error}");
    }
    println!("ended: {}", ended.iter().filter(|outcome| outcome.is_ok()).count());

    let removed = bulk.terminate_and_remove(&ids[..2], None, Removal::Delete)?.successes.len()
        + bulk.remove(others, Removal::Delete)?.successes.len();
    let left = workflows.search_workflows(of_customer()).into_iter().count();
    println!("removed: {removed}, left: {left}");
    Ok(())
}
