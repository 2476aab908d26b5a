//! Workflows as code: what `build()` accepts and refuses, and, with `CONDUCTOR_SERVER_URL` set, what the real server makes
//! of both.

#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

mod common;
#[path = "builder/executed.rs"]
mod executed;
#[path = "builder/random.rs"]
mod random;
#[path = "builder/refused.rs"]
mod refused;

use std::{collections::BTreeSet, process};

use conductor_sync::{
    Client, Config, DoWhile, ErrorKind, Node, SubWorkflow, Switch, TaskDef, TypedTask, WorkflowBuilder, WorkflowDef,
    WorkflowTask, embedded::EmbeddedServer, task_reference, workflow_input,
};
use random::Maker;
use serde::{Deserialize, Serialize};

/// The real server, where the environment names one.
#[expect(clippy::disallowed_methods, reason = "only a test that needs the real server asks where it is")]
fn real() -> Option<Client> {
    let url = std::env::var("CONDUCTOR_SERVER_URL").ok()?;
    Some(Client::new(Config::new(&url).unwrap()).unwrap())
}

/// A name that no other run uses.
fn unique(name: &str) -> String {
    format!("{name}_{}_{}", process::id(), fastrand::u32(..))
}

const MANY: usize = 200;

#[test]
fn workflows_made_at_random_are_accepted() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let server = EmbeddedServer::start().unwrap();
    let embedded = Client::new(Config::new(&server.url()).unwrap()).unwrap();
    let real = real();
    let mut maker = Maker::new(seed);
    let mut kinds = BTreeSet::new();
    for at in 0..MANY {
        let name = unique("builder_random");
        let linear = at % 4 == 0;
        let builder = maker.workflow(&name, linear);
        let def = builder.build().unwrap_or_else(|error| panic!("seed {seed}, workflow {at}: {error}\n{builder:?}"));
        let text = serde_json::to_string(&def).unwrap();
        let back: WorkflowDef = serde_json::from_str(&text).unwrap();
        assert_eq!(back, def, "seed {seed}, workflow {at}");
        WorkflowBuilder::from(back).build().unwrap_or_else(|error| panic!("seed {seed}, workflow {at}: {error}"));
        note_kinds(&def.tasks, &mut kinds);
        if linear {
            builder
                .register(&embedded.metadata())
                .unwrap_or_else(|e| panic!("seed {seed}, workflow {at}: {e}\n{text}"));
        }
        if let Some(real) = &real {
            let metadata = real.metadata();
            metadata.update_workflow(&def).unwrap_or_else(|e| panic!("seed {seed}, workflow {at}: {e}\n{text}"));
            metadata.delete_workflow(&name, 1).unwrap();
        }
    }
    assert!(kinds.len() > 15, "seed {seed}: only {kinds:?}");
}

fn note_kinds(tasks: &[WorkflowTask], kinds: &mut BTreeSet<String>) {
    for task in tasks {
        kinds.extend(task.task_type.clone());
        task.decision_cases.values().for_each(|case| note_kinds(case, kinds));
        task.fork_tasks.iter().for_each(|branch| note_kinds(branch, kinds));
        note_kinds(&task.loop_over, kinds);
    }
}

#[track_caller]
fn check(builder: &WorkflowBuilder, findings: &[&str]) {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    for finding in findings {
        assert!(error.to_string().contains(finding), "`{finding}` is not in: {error}");
    }
}

fn flow() -> WorkflowBuilder {
    WorkflowBuilder::new("flow")
}

#[test]
fn all_findings_come_at_once_each_with_its_place() {
    let builder = flow()
        .task(Node::simple("a", "one").input("x", serde_json::json!({"deep": ["at ${two.output.y}"]})))
        .task(Node::simple("b", "two").input("y", "${nobody.output}"))
        .task(Node::simple("b", "two"))
        .output("z", "${workflow.inptu.a}");
    check(
        &builder,
        &[
            "build workflow flow: 4 findings",
            "one, input `x` at `.deep[0]`: refers to `two`, which comes later",
            "two, input `y`: refers to `nobody`, which does not exist",
            "two: the reference name is used more than once",
            "workflow output `z`: `${workflow.inptu.a}`: a workflow has no `inptu`",
        ],
    );
}

#[test]
fn another_branch_can_not_be_referred_to_but_an_earlier_one_can() {
    let (a, b) = (Node::noop("a"), Node::noop("b"));
    let reads_a = Node::noop("reads_a").input("x", a.output("x"));
    check(&flow().task(Node::fork("fork", [[&a], [&reads_a]])), &["`a`, which is in another branch"]);
    check(
        &flow().task(Node::switch("switch", Switch::on(1).case("1", [&a]).otherwise([&reads_a]))),
        &["`a`, which is in another branch"],
    );
    flow().task(Node::fork("fork", [[&a], [&b]])).task(&reads_a).build().unwrap();
    flow().task(Node::switch("switch", Switch::on(1).case("1", [&a]).case("2", [&b]))).task(&reads_a).build().unwrap();
}

#[test]
fn in_a_loop_a_later_task_is_the_one_of_the_round_before() {
    let first = Node::noop("first").input("before", task_reference("last").output("x"));
    let item = Node::noop("last").input("item", task_reference("loop").output("loopItem"));
    flow().task(Node::do_while("loop", DoWhile::each(workflow_input("list"), [&first, &item]))).build().unwrap();
    check(&flow().task(first).task(Node::noop("last")), &["`last`, which comes later"]);
}

#[test]
fn inputs_that_a_sub_workflow_does_not_know_are_refused() {
    let named = WorkflowBuilder::new("child").inputs(["name"]).task(Node::noop("n"));
    let used = WorkflowBuilder::new("child").task(Node::noop("n").input("x", workflow_input("name")));
    for child in [SubWorkflow::inline(&named), SubWorkflow::inline(&used), SubWorkflow::registered(&named)] {
        let node = Node::sub_workflow("sub", child);
        flow().task(node.clone().input("name", "Ada")).build().unwrap();
        check(&flow().task(node.input("nmae", "Ada")), &["sub: the sub-workflow child has no input `nmae`"]);
    }
    let broken = WorkflowBuilder::new("child").task(Node::noop("n").input("x", "${gone.output}"));
    check(&flow().task(Node::sub_workflow("sub", SubWorkflow::inline(&broken))), &["child", "`gone`"]);
}

#[test]
fn scripts_read_inputs_that_exist() {
    check(&flow().task(Node::inline("sum", "$.a + $.b").input("a", 1)), &["sum: the script reads `$.b`"]);
    check(
        &flow().task(Node::switch("sw", Switch::javascript("$.b").case("x", [Node::noop("n")]))),
        &["sw: the script reads `$.b`"],
    );
    let body = [Node::noop("n")];
    check(&flow().task(Node::do_while("loop", DoWhile::condition("$.lop.iteration < 3", body))), &["`$.lop`"]);
}

#[test]
fn settings_on_the_wrong_task_are_refused() {
    for (node, finding) in [
        (Node::noop("n").join_on(["a"]), "only a fork has a join"),
        (Node::noop("n").workflow_output(1), "terminates"),
        (Node::noop("n").default_join(["n"]), "exclusive join"),
        (Node::simple("a", "n").definition(TaskDef::new("b")), "is for `b`, not for `a`"),
        (Node::do_while("n", DoWhile::times(0, [Node::noop("m")])), "at least once"),
    ] {
        check(&flow().task(node), &["n: ", finding]);
    }
}

#[derive(Serialize, Deserialize)]
struct Order {
    item: String,
}

#[derive(Serialize, Deserialize)]
struct Price {
    cents: u32,
}

#[test]
fn a_typed_task_knows_its_fields() {
    const PRICE: TypedTask<Order, Price> = TypedTask::new("price");
    const SHOUT: TypedTask<Order, String> = TypedTask::new("shout");
    let price = PRICE.node("p").input("item", "apple");
    let shout = SHOUT.node("s").input("item", price.output("cents"));
    flow().task(&price).task(&shout).output("x", shout.output("result")).build().unwrap();
    check(&flow().task(price.clone().input("itme", 1)), &["p: the input `itme` is not one of `item`"]);
    check(&flow().task(&price).output("x", price.output("cent")), &["`p` has no output `cent`, only `cents`"]);
    check(&flow().task(&shout).output("x", shout.output("text")), &["no output `text`, only `result`"]);
    assert_eq!(PRICE.worker(|_, order| Ok(Price { cents: order.item.len() as u32 })).task_type(), "price");
}

#[test]
fn everything_is_registered_in_order() {
    let server = EmbeddedServer::start().unwrap();
    let client = Client::new(Config::new(&server.url()).unwrap()).unwrap();
    let node = Node::simple("greet", "g").definition(TaskDef::new("greet").concurrent_exec_limit(3));
    flow().task(node).register(&client.metadata()).unwrap();
    assert_eq!(client.metadata().task("greet").unwrap().concurrent_exec_limit, Some(3));
    assert_eq!(client.metadata().workflow("flow").unwrap().tasks.len(), 1);
    let seen = server.requests();
    let paths: Vec<_> = seen.iter().take(2).map(|request| format!("{request:?}")).collect();
    assert!(paths[0].contains("taskdefs") && paths[1].contains("workflow"), "{paths:?}");
}
