//! One workflow starts another through an event: an order says that it is paid, and an event handler, whose condition looks
//! at the amount, starts the delivery.
//!
//! The server looks for new event handlers once a minute. What is sent before is not lost, so the program waits for up to a
//! minute. It needs a real server, since the embedded one has no events:
//! `CONDUCTOR_SERVER_URL=http://localhost:8080/api cargo run --example events`

#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::{error::Error, sync::mpsc, time::Duration};

use conductor_sync::{
    Client, Config, EventAction, EventHandler, Node, StartWorkflowAction, StartWorkflowRequest, TaskDef, TaskRunner,
    TypedTask, WorkflowBuilder, workflow_input,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Parcel {
    order: String,
}

const SHIP: TypedTask<Parcel, String> = TypedTask::new("events_ship");
const ORDER: &str = "events_order";
const DELIVERY: &str = "events_delivery";
const HANDLER: &str = "events_on_paid";
/// An event of the server's own queue is named after the workflow and the task that sends it.
const PAID: &str = "conductor:events_order:paid";

/// The workflow that sends and the one that is to be started.
fn register(client: &Client) -> Result<(), Box<dyn Error>> {
    let paid = Node::event("paid", "conductor")
        .input("order", workflow_input("order"))
        .input("cents", workflow_input("cents"));
    WorkflowBuilder::new(ORDER).inputs(["order", "cents"]).task(&paid).register(&client.metadata())?;
    let ship = SHIP.node("ship").input("order", workflow_input("order")).definition(TaskDef::new(SHIP.name()));
    WorkflowBuilder::new(DELIVERY).inputs(["order"]).task(&ship).register(&client.metadata())?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let config = Config::from_env_if_set()?.ok_or("this example needs a real server: set CONDUCTOR_SERVER_URL")?;
    let client = Client::new(config)?;
    let events = client.events();
    register(&client)?;

    let (shipped_in, shipped) = mpsc::channel();
    let ship = move |workflow_id: &str, parcel: Parcel| {
        // Nobody listens any more when the program ends.
        let _heard = shipped_in.send((workflow_id.to_owned(), parcel.order.clone()));
        format!("{} is on its way", parcel.order)
    };
    let worker = SHIP.worker(move |cx, parcel| Ok(ship(cx.workflow_id(), parcel)));
    let runner = TaskRunner::new(&client).worker(worker).start()?;

    // Texts of an action may refer to the event.
    let start = StartWorkflowAction::new(DELIVERY).input("order", "${order}");
    let handler = EventHandler::new(HANDLER, PAID)
        .condition("javascript", "$.cents > 0")
        .action(EventAction::start_workflow(start));
    // One from an earlier run that did not come to its end.
    match events.delete(HANDLER) {
        Err(error) if !error.is_not_found() => return Err(error.into()),
        _ => {}
    }
    events.register(&handler)?;
    println!("{} listens to {PAID}", events.active_of(PAID)?.len());

    for (order, cents) in [("free sample", 0), ("P-17", 1200)] {
        let input = serde_json::json!({"order": order, "cents": cents});
        let id = client.workflows().start(&StartWorkflowRequest::new(ORDER).input(input))?;
        let sent = client.workflows().wait(&id, Duration::from_secs(30))?;
        println!("{order}: the order is {}", sent.status);
    }

    let (id, order) = shipped.recv_timeout(Duration::from_secs(75))?;
    let done = client.workflows().wait(&id, Duration::from_secs(30))?;
    println!("{order}: the delivery is {} with {}", done.status, done.output);

    events.delete(HANDLER)?;
    let report = runner.stop(Duration::from_secs(10));
    println!("deleted, stopped, clean: {}", report.is_clean());
    Ok(())
}
