//! What `build()` must refuse, one by one; on the real server each is refused too or runs wrongly.

use std::{thread, time::Duration};

use conductor_sync::{Node, StartWorkflowRequest, WorkflowBuilder, WorkflowDef};
use serde_json::{Value, json};

use super::{real, unique};

/// What a broken workflow should have come to, had it been right: every case has `{"ok": true}` as its output.
const CASES: &[(&str, &str)] = &[
    (
        "used more than once",
        r#"[{"name":"n","taskReferenceName":"r","type":"NOOP"},{"name":"n","taskReferenceName":"r","type":"NOOP"}]"#,
    ),
    (
        "which does not exist",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${gone.output.ok}"}}]"#,
    ),
    (
        "which comes later",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${later.output.result}"}},{"name":"n","taskReferenceName":"later","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]"#,
    ),
    (
        "the task itself",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${r.output.result}"}}]"#,
    ),
    (
        "is in another branch",
        r#"[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"b"},"decisionCases":{"a":[{"name":"n","taskReferenceName":"a","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}],"b":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${a.output.result}"}}]}}]"#,
    ),
    (
        "no join follows",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]]}]"#,
    ),
    (
        "waits for `gone`, which does not exist",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["gone"]}]"#,
    ),
    (
        "branch 1 is empty",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[],[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["r"]}]"#,
    ),
    (
        "loop is empty",
        r#"[{"name":"l","taskReferenceName":"r","type":"DO_WHILE","loopCondition":"false","loopOver":[]}]"#,
    ),
    (
        "there are no branches",
        r#"[{"name":"f","taskReferenceName":"r","type":"FORK_JOIN","forkTasks":[]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":[]}]"#,
    ),
    (
        "there are no cases",
        r#"[{"name":"s","taskReferenceName":"r","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":1}}]"#,
    ),
    ("there are no tasks", "[]"),
    (
        "no input `w`",
        r#"[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"w","inputParameters":{"v":"a"},"decisionCases":{"a":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]}}]"#,
    ),
    (
        "the script reads `$.ko`",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ko","ok":true}}]"#,
    ),
    ("there is no sink", r#"[{"name":"n","taskReferenceName":"r","type":"EVENT"}]"#),
    (
        "the duration must be",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"duration":"2 fortnights"}}]"#,
    ),
    (
        "for a duration and until a time",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"duration":"2s","until":"2020-01-01"}}]"#,
    ),
    (
        "the time must be",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"until":"tomorrow"}}]"#,
    ),
    (
        "the status must be",
        r#"[{"name":"n","taskReferenceName":"r","type":"TERMINATE","inputParameters":{"terminationStatus":"DONE"}}]"#,
    ),
    (
        "can't be optional",
        r#"[{"name":"n","taskReferenceName":"r","type":"TERMINATE","optional":true,"inputParameters":{"terminationStatus":"COMPLETED"}}]"#,
    ),
    (
        "can't be reached",
        r#"[{"name":"n","taskReferenceName":"t","type":"TERMINATE","inputParameters":{"terminationStatus":"COMPLETED"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]"#,
    ),
    ("there is no request", r#"[{"name":"n","taskReferenceName":"r","type":"HTTP"}]"#),
    ("there is no message", r#"[{"name":"n","taskReferenceName":"r","type":"KAFKA_PUBLISH"}]"#),
    ("there is no jq", r#"[{"name":"n","taskReferenceName":"r","type":"JSON_JQ_TRANSFORM"}]"#),
    ("there is no script", r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","retryCount":0}]"#),
    ("there is no sub-workflow", r#"[{"name":"n","taskReferenceName":"r","type":"SUB_WORKFLOW"}]"#),
    ("no workflow to start", r#"[{"name":"n","taskReferenceName":"r","type":"START_WORKFLOW"}]"#),
    (
        "that names the task",
        r#"[{"name":"n","taskReferenceName":"r","type":"DYNAMIC","dynamicTaskNameParam":"which"}]"#,
    ),
    (
        "that holds the tasks",
        r#"[{"name":"f","taskReferenceName":"r","type":"FORK_JOIN_DYNAMIC"},{"name":"j","taskReferenceName":"j","type":"JOIN"}]"#,
    ),
    (
        "there is no condition",
        r#"[{"name":"l","taskReferenceName":"r","type":"DO_WHILE","loopOver":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}]"#,
    ),
    ("the start delay", r#"[{"name":"n","taskReferenceName":"r","type":"NOOP","startDelay":-1}]"#),
    ("it needs one", r#"[{"name":"n","taskReferenceName":"","type":"NOOP"}]"#),
    ("the name is empty", r#"[{"name":"","taskReferenceName":"r","type":"NOOP"}]"#),
    (
        "means the workflow itself",
        r#"[{"name":"n","taskReferenceName":"workflow","type":"NOOP"},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.v == 1","v":"${workflow.version}"}}]"#,
    ),
    (
        "can't be used in references",
        r#"[{"name":"n","taskReferenceName":"x.y","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${x.y.output.result}"}}]"#,
    ),
    (
        "mistaken for the round",
        r#"[{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"false","loopOver":[{"name":"n","taskReferenceName":"r__r","type":"NOOP"}]}]"#,
    ),
    (
        "a task has no `ouptut`",
        r#"[{"name":"n","taskReferenceName":"x","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${x.ouptut.result}"}}]"#,
    ),
    (
        "not for what follows in its branches",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"a"},"decisionCases":{"a":[{"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"2s"}}]}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["s"]},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok == 'COMPLETED'","ok":"${w.status}"}}]"#,
    ),
];

fn definition(name: &str, tasks: &str) -> WorkflowDef {
    let tasks: Value = serde_json::from_str(tasks).unwrap();
    let def = json!({"name": name, "version": 1, "schemaVersion": 2, "tasks": tasks,
        "outputParameters": {"ok": "${r.output.result}"}});
    // The output is not to add findings of its own.
    serde_json::from_value(def).unwrap()
}

#[test]
fn what_build_must_refuse_is_refused_and_would_not_have_worked() {
    let wrong: Vec<String> = thread::scope(|scope| {
        let told: Vec<_> = CASES.iter().map(|case| scope.spawn(|| tell(*case))).collect();
        told.into_iter().filter_map(|told| told.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn tell((finding, tasks): (&str, &str)) -> Option<String> {
    let name = unique("builder_refused");
    let def = definition(&name, tasks);
    match WorkflowBuilder::from(def.clone()).build() {
        Ok(_) => return Some(format!("`{finding}` is not found")),
        Err(error) if !error.to_string().contains(finding) => return Some(format!("`{finding}` is not in: {error}")),
        Err(_) => {}
    }
    let client = real()?;
    if client.metadata().update_workflow(&def).is_err() {
        return None;
    }
    let started = client.workflows().start(&StartWorkflowRequest::new(&*name));
    let outcome = started.and_then(|id| client.workflows().wait(&id, Duration::from_secs(8)));
    let works = match outcome {
        Ok(done) if done.output.get() == r#"{"ok":true}"# => Some(format!("`{finding}`: the server runs it as meant")),
        Err(error) if error.kind() == conductor_sync::ErrorKind::Deadline => {
            let id = error.operation().rsplit(' ').next().unwrap().to_owned();
            client.workflows().terminate(&id, Some("a test")).unwrap();
            None
        }
        _ => None,
    };
    client.metadata().delete_workflow(&name, 1).unwrap();
    works
}

#[test]
fn names_that_can_not_be_part_of_an_address_are_refused() {
    for name in ["", " ", "a/b", "a\\b", "..", "a\nb", "names"] {
        let error = WorkflowBuilder::new(name).task(Node::noop("n")).build().unwrap_err();
        assert!(error.to_string().contains("the name"), "{name}: {error}");
    }
}
