//! A workflow written in Rust: built and checked, registered, run, waited for, printed.
//!
//! `cargo run --example workflows --features embedded` needs no server. With `CONDUCTOR_SERVER_URL` set, the same program
//! runs on that server.

#![allow(clippy::print_stdout)]

use std::{error::Error, time::Duration};

use conductor_sync::{
    Client, Config, RetryLogic, StartWorkflowRequest, TaskDef, TaskRunner, TypedTask, WorkflowBuilder, WorkflowStatus,
    embedded::EmbeddedServer, workflow_input,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
struct Order {
    item: String,
    pieces: u32,
}

#[derive(Serialize, Deserialize)]
struct Price {
    cents: u32,
}

#[derive(Serialize, Deserialize)]
struct Receipt {
    item: String,
    cents: u32,
}

/// Name and types of a task in one place: its worker and its place in the workflow are made from it.
const PRICE: TypedTask<Order, Price> = TypedTask::new("workflows_price");
const RECEIPT: TypedTask<Receipt, String> = TypedTask::new("workflows_receipt");

fn order() -> WorkflowBuilder {
    let retried = |name| TaskDef::new(name).retries(2, RetryLogic::Fixed, Duration::from_secs(1));
    let price = PRICE
        .node("price")
        .input("item", workflow_input("item"))
        .input("pieces", workflow_input("pieces"))
        .definition(retried(PRICE.name()));
    let receipt = RECEIPT
        .node("receipt")
        .input("item", workflow_input("item"))
        .input("cents", price.output("cents"))
        .definition(retried(RECEIPT.name()));
    WorkflowBuilder::new("workflows_order")
        .inputs(["item", "pieces"])
        .task(&price)
        .task(&receipt)
        .output("receipt", receipt.output("result"))
        .output("cents", price.output("cents"))
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let embedded; // Lives as long as the program does.
    let config = match Config::from_env_if_set()? {
        Some(config) => config,
        None => {
            embedded = EmbeddedServer::start()?;
            Config::new(&embedded.url())?
        }
    };
    let client = Client::new(config)?;

    // What is wrong is told before anything is sent, all of it at once.
    let broken = order().task(PRICE.node("price").input("itme", workflow_input("name")));
    println!("refused: {}", broken.build().err().map(|error| error.to_string()).unwrap_or_default());

    // The task definitions first, then the workflow.
    let def = order().register(&client.metadata())?;
    println!("registered {} with {} tasks", def.name, def.tasks.len());

    let runner = TaskRunner::new(&client)
        .worker(PRICE.worker(|_, order| Ok(Price { cents: 30 * order.pieces })))
        .worker(RECEIPT.worker(|_, r| Ok(format!("{}: {}.{:02}", r.item, r.cents / 100, r.cents % 100))))
        .start()?;

    for (item, pieces, expected) in [
        ("apple", 3, json!({"cents": 90, "receipt": "apple: 0.90"})),
        ("pear", 11, json!({"cents": 330, "receipt": "pear: 3.30"})),
    ] {
        let request = StartWorkflowRequest::new(&*def.name).input(json!({"item": item, "pieces": pieces}));
        let id = client.workflows().start(&request)?;
        let done = client.workflows().wait(&id, Duration::from_secs(60))?;
        println!("{} {}", done.status, done.output);
        for task in &done.tasks {
            println!("  {} {} {}", task.reference_task_name, task.status, task.output_data);
        }
        if done.status != WorkflowStatus::Completed || done.output.to_value()? != expected {
            return Err(format!("{id} should be COMPLETED with {expected}").into());
        }
    }
    let report = runner.stop(Duration::from_secs(10));
    println!("stopped, clean: {}", report.is_clean());
    if report.is_clean() { Ok(()) } else { Err(format!("the stop left something undone: {report:?}").into()) }
}
