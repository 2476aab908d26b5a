//! Names of any characters: the real server finds by them what `build()` lets through, and not what it refuses.

use std::time::Duration;

use conductor_sync::{
    Client, JsonMap, Node, RawJson, StartWorkflowRequest, WorkflowBuilder, WorkflowDef, task_reference, workflow_input,
};
use serde_json::Value;

use super::{real, unique};

/// Each of these between two letters.
fn odd_names() -> impl Iterator<Item = String> {
    let ascii = (' '..='~').filter(|c| !c.is_ascii_alphanumeric());
    ascii.chain("éß名🙂\u{301}".chars()).map(|c| format!("a{c}b"))
}

fn one_task(reference: &str) -> WorkflowBuilder {
    let node = Node::inline(reference, "true");
    WorkflowBuilder::new(unique("builder_names")).task(&node).output(reference, node.output("result"))
}

/// The output of a run of a definition, whoever has checked it; `None` where the server refuses.
fn output(client: &Client, def: &WorkflowDef, input: RawJson) -> Option<JsonMap> {
    client.metadata().update_workflow(def).ok()?;
    let id = client.workflows().start(&StartWorkflowRequest::new(&*def.name).input(input)).ok();
    let done = id.map(|id| client.workflows().wait(&id, Duration::from_secs(30)).unwrap());
    client.metadata().delete_workflow(&def.name, 1).unwrap();
    done?.output.decode().ok()
}

#[test]
fn reference_names_are_taken_as_the_server_finds_them() {
    let (good, bad): (Vec<_>, Vec<_>) = odd_names().partition(|name| one_task(name).build().is_ok());
    assert_eq!(bad.concat(), "a ba(ba.ba/ba[ba\\ba{ba}b");
    let Some(client) = real() else { return };
    let mut flow = WorkflowBuilder::new(unique("builder_names"));
    for name in &good {
        flow = flow.task(Node::inline(name, "true"));
    }
    for name in &good {
        flow = flow.output(name, task_reference(name).output("result"));
    }
    let found = output(&client, &flow.build().unwrap(), RawJson::default()).unwrap();
    let lost: Vec<_> = good.iter().filter(|name| found[*name].get() != "true").collect();
    assert!(lost.is_empty(), "{lost:?}");
    // A slash is found, but can't be part of the addresses that name a task.
    for name in bad.iter().filter(|name| !name.contains(['/', '\\'])) {
        let mut def = one_task("x").build().unwrap();
        def.tasks[0].task_reference_name = name.clone();
        def.output_parameters = JsonMap::from([("x".to_owned(), task_reference(name).output("result").into())]);
        let found = output(&client, &def, RawJson::default());
        assert_ne!(found.map(|found| found["x"].get().to_owned()).as_deref(), Some("true"), "{name}");
    }
}

#[test]
fn fields_of_any_name_are_found() {
    let mut flow = WorkflowBuilder::new(unique("builder_names"));
    let mut input = JsonMap::new();
    // A dot, brackets and a star are parts of a path.
    for name in odd_names().filter(|name| !name.contains(['.', '[', ']', '*'])) {
        // A brace ends the reference; one that is open makes it plain text.
        if name.contains(['{', '}']) {
            let built = flow.clone().output(&*name, workflow_input("in").field(&name)).task(Node::noop("n")).build();
            assert_eq!(built.is_err(), name.contains('}'), "{name}");
            continue;
        }
        flow = flow.output(&*name, workflow_input("in").field(&name));
        input.insert(name, true.into());
    }
    let def = flow.task(Node::noop("n")).build().unwrap();
    let Some(client) = real() else { return };
    let given = RawJson::new(&JsonMap::from([("in".to_owned(), RawJson::new(&input).unwrap())])).unwrap();
    let found = output(&client, &def, given).unwrap();
    let lost: Vec<_> = input.keys().filter(|name| found[*name].decode::<Value>().unwrap() != true).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn a_name_in_quotes_may_hold_dots_and_brackets() {
    let set = |name: &str| Node::set_variable("set", name, true);
    let flow = |name: &str, path: &str| {
        WorkflowBuilder::new(unique("builder_quoted"))
            .task(set(name))
            .output("found", format!("${{workflow.variables{path}}}"))
    };
    assert!(flow("a.b", ".a.b").build().unwrap_err().to_string().contains("no variable `a`"));
    for (name, path) in [("a.b", "['a.b']"), ("a[0]", "['a[0]']"), ("a]", "[\"a]\"]"), ("it's", "['it\\'s']")] {
        let def = flow(name, path).build().unwrap();
        let Some(client) = real() else { continue };
        let found = output(&client, &def, "{}".parse().unwrap()).unwrap();
        assert!(found["found"].decode::<bool>().unwrap(), "{path}");
    }
}
