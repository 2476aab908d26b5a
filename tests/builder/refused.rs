//! What `build()` must refuse, one by one; on the real server each is refused too or runs wrongly.

use std::{thread, time::Duration};

use conductor_sync::{
    Client, ErrorKind, JsonMap, Node, RawJson, StartWorkflowRequest, TaskDef, TimeoutPolicy, WorkflowBuilder,
    WorkflowDef,
};
use serde_json::{Value, json};

use super::{real, unique};

/// What is found, the tasks, and what the real server makes of them unchecked: had they been right, the workflow would
/// have been COMPLETED with `{"ok":true}`.
const CASES: &[(&str, &str, &str)] = &[
    (
        "used more than once",
        r#"[{"name":"n","taskReferenceName":"r","type":"NOOP"},{"name":"n","taskReferenceName":"r","type":"NOOP"}]"#,
        "r should be unique across tasks",
    ),
    (
        "which does not exist",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${gone.output.ok}"}}]"#,
        "${gone.output.ok} is not defined in workflow definition",
    ),
    (
        "which comes later",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${later.output.result}"}},{"name":"n","taskReferenceName":"later","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "the task itself",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${r.output.result}"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "is in another branch",
        r#"[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"b"},"decisionCases":{"a":[{"name":"n","taskReferenceName":"a","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}],"b":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${a.output.result}"}}]}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "no join follows",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]]}]"#,
        "FAILED {} Fork task definition is not followed by a join task",
    ),
    (
        "waits for `gone`, which does not exist",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["gone"]}]"#,
        "stuck: f COMPLETED, r COMPLETED, j IN_PROGRESS",
    ),
    (
        "waits for `r`, which each round of a loop makes anew: wait for the loop itself",
        r#"[{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"false","loopOver":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["r"]}]"#,
        "stuck: l COMPLETED, r__1 COMPLETED, j IN_PROGRESS",
    ),
    (
        "waits for `r`, which each round of a loop makes anew: wait for the loop itself",
        r#"[{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"false","loopOver":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]},{"name":"j","taskReferenceName":"j","type":"EXCLUSIVE_JOIN","joinOn":["r"]}]"#,
        "stuck: l COMPLETED, r__1 COMPLETED, j IN_PROGRESS",
    ),
    (
        "waits for `r`, which the rounds of the loop around it do not make",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"false","loopOver":[{"name":"n","taskReferenceName":"x","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["r"]}]}]"#,
        "stuck: r COMPLETED, l IN_PROGRESS, x__1 COMPLETED, j__1 IN_PROGRESS",
    ),
    (
        "waits for `l`, which the rounds of the loop around it do not make",
        r#"[{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"false","loopOver":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["l"]}]}]"#,
        "stuck: l IN_PROGRESS, r__1 COMPLETED, j__1 IN_PROGRESS",
    ),
    (
        "waits for `r`, which comes later",
        r#"[{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"false","loopOver":[{"name":"n","taskReferenceName":"x","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["r"]},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]}]"#,
        "stuck: l IN_PROGRESS, x__1 COMPLETED, j__1 IN_PROGRESS",
    ),
    (
        "has the default `r`, which each round of a loop makes anew",
        r#"[{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"false","loopOver":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"b"},"decisionCases":{"a":[{"name":"n","taskReferenceName":"x","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]}},{"name":"j","taskReferenceName":"j","type":"EXCLUSIVE_JOIN","joinOn":["x"],"defaultExclusiveJoinTask":["r"]}]}]"#,
        "stuck: l IN_PROGRESS, r__1 COMPLETED, s__1 COMPLETED, j__1 IN_PROGRESS",
    ),
    (
        "has the default `r`, which each round of a loop makes anew",
        r#"[{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"false","loopOver":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]},{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"b"},"decisionCases":{"a":[{"name":"n","taskReferenceName":"x","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]}},{"name":"j","taskReferenceName":"j","type":"EXCLUSIVE_JOIN","joinOn":["x"],"defaultExclusiveJoinTask":["r"]}]"#,
        "stuck: l COMPLETED, r__1 COMPLETED, s COMPLETED, j IN_PROGRESS",
    ),
    (
        "branch 1 is empty",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[],[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["r"]}]"#,
        "not started:",
    ),
    (
        "the inputs of the tasks must be a list",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN_DYNAMIC","inputParameters":{"forkTaskName":"x","forkTaskInputs":5}},{"name":"j","taskReferenceName":"j","type":"JOIN"},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]"#,
        "has no dynamic tasks to be scheduled",
    ),
    (
        "the inputs of the tasks must be a list",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN_DYNAMIC","inputParameters":{"forkTaskName":"x","forkTaskInputs":"${workflow.input} "}},{"name":"j","taskReferenceName":"j","type":"JOIN"},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]"#,
        "Dynamic tasks could not be created",
    ),
    (
        "the input of the workflow to start must be an object",
        r#"[{"name":"n","taskReferenceName":"r","type":"START_WORKFLOW","retryCount":0,"inputParameters":{"startWorkflow":{"name":"x","input":"x${workflow.input}"}}}]"#,
        "Error reading StartWorkflowRequest",
    ),
    (
        "the input of the workflow to start must be an object",
        r#"[{"name":"n","taskReferenceName":"r","type":"START_WORKFLOW","retryCount":0,"inputParameters":{"startWorkflow":{"name":"x","input":[1]}}}]"#,
        "Error reading StartWorkflowRequest",
    ),
    (
        "the items must be a reference to a list",
        r#"[{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"true","items":"[1]","loopOver":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.item == 1","item":"${l.output.loopItem}"}}]}]"#,
        r#"COMPLETED {"ok":false}"#,
    ),
    (
        "the items must be a reference to a list",
        r#"[{"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"true","items":" ${workflow.input}","loopOver":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.item == 1","item":"${l.output.loopItem}"}}]}]"#,
        r#"COMPLETED {"ok":false}"#,
    ),
    (
        "loop is empty",
        r#"[{"name":"l","taskReferenceName":"r","type":"DO_WHILE","loopCondition":"false","loopOver":[]}]"#,
        "loopOver field is required",
    ),
    (
        "there are no branches",
        r#"[{"name":"f","taskReferenceName":"r","type":"FORK_JOIN","forkTasks":[]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":[]}]"#,
        "forkTasks should have atleast one task",
    ),
    (
        "there are no cases",
        r#"[{"name":"s","taskReferenceName":"r","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":1}}]"#,
        "decisionCases should have atleast one task",
    ),
    ("there are no tasks", "[]", "WorkflowTask list cannot be empty"),
    (
        "no input `w`",
        r#"[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"w","inputParameters":{"v":"a"},"decisionCases":{"a":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "the script reads `$.ko`",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ko","ok":true}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    ("there is no sink", r#"[{"name":"n","taskReferenceName":"r","type":"EVENT"}]"#, "sink field is required"),
    (
        "the duration must be",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"duration":"2 fortnights"}}]"#,
        "Either date or duration is passed as null",
    ),
    (
        "for a duration and until a time",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"duration":"2s","until":"2020-01-01"}}]"#,
        "Both 'duration' and 'until' specified",
    ),
    (
        "the time must be",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"until":"tomorrow"}}]"#,
        "Unable to parse date",
    ),
    (
        "the status must be",
        r#"[{"name":"n","taskReferenceName":"r","type":"TERMINATE","inputParameters":{"terminationStatus":"DONE"}}]"#,
        "must have an terminationStatus parameter",
    ),
    (
        "can't be optional",
        r#"[{"name":"n","taskReferenceName":"r","type":"TERMINATE","optional":true,"inputParameters":{"terminationStatus":"COMPLETED"}}]"#,
        "terminate task cannot be optional",
    ),
    (
        "can't be reached",
        r#"[{"name":"n","taskReferenceName":"t","type":"TERMINATE","inputParameters":{"terminationStatus":"COMPLETED"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]"#,
        "COMPLETED {} Workflow is COMPLETED by TERMINATE task",
    ),
    (
        "there is no request",
        r#"[{"name":"n","taskReferenceName":"r","type":"HTTP"}]"#,
        "inputParameters.uri field is required",
    ),
    (
        "there is no message",
        r#"[{"name":"n","taskReferenceName":"r","type":"KAFKA_PUBLISH"}]"#,
        "kafka_request field is required",
    ),
    (
        "there is no jq",
        r#"[{"name":"n","taskReferenceName":"r","type":"JSON_JQ_TRANSFORM"}]"#,
        "queryExpression field is required",
    ),
    (
        "there is no script",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","retryCount":0}]"#,
        "Empty 'expression' in Inline task",
    ),
    (
        "there is no sub-workflow",
        r#"[{"name":"n","taskReferenceName":"r","type":"SUB_WORKFLOW"}]"#,
        "subWorkflowParam field is required",
    ),
    (
        "no workflow to start",
        r#"[{"name":"n","taskReferenceName":"r","type":"START_WORKFLOW"}]"#,
        "Missing 'startWorkflow' in input data",
    ),
    (
        "that names the task",
        r#"[{"name":"n","taskReferenceName":"r","type":"DYNAMIC","dynamicTaskNameParam":"which"}]"#,
        "FAILED {} Cannot map a dynamic task",
    ),
    (
        "that holds the tasks",
        r#"[{"name":"f","taskReferenceName":"r","type":"FORK_JOIN_DYNAMIC"},{"name":"j","taskReferenceName":"j","type":"JOIN"}]"#,
        "dynamicForkTasksInputParamName field is required",
    ),
    (
        "there is no condition",
        r#"[{"name":"l","taskReferenceName":"r","type":"DO_WHILE","loopOver":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}]"#,
        "loopCondition field is required",
    ),
    (
        "the start delay",
        r#"[{"name":"n","taskReferenceName":"r","type":"NOOP","startDelay":-1}]"#,
        "startDelay: must be greater than or equal to 0",
    ),
    (
        "it needs one",
        r#"[{"name":"n","taskReferenceName":"","type":"NOOP"}]"#,
        "taskReferenceName name cannot be empty",
    ),
    (
        "the name is empty",
        r#"[{"name":"","taskReferenceName":"r","type":"NOOP"}]"#,
        "WorkflowTask name cannot be empty",
    ),
    (
        "means the workflow itself",
        r#"[{"name":"n","taskReferenceName":"workflow","type":"NOOP"},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.v == 1","v":"${workflow.version}"}}]"#,
        r#"COMPLETED {"ok":false}"#,
    ),
    (
        "can't be used in references",
        r#"[{"name":"n","taskReferenceName":"x.y","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${x.y.output.result}"}}]"#,
        "${x.y.output.result} is not defined in workflow definition",
    ),
    (
        "a task has no `ouptut`",
        r#"[{"name":"n","taskReferenceName":"x","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${x.ouptut.result}"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "not for what follows in its branches",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"a"},"decisionCases":{"a":[{"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"2s"}}]}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["s"]},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok == 'COMPLETED'","ok":"${w.status}"}}]"#,
        r#"COMPLETED {"ok":false}"#,
    ),
    (
        "a loop inside a loop",
        r#"[{"name":"l","taskReferenceName":"o","type":"DO_WHILE","loopCondition":"$.o.iteration < 2","loopOver":[{"name":"l","taskReferenceName":"i","type":"DO_WHILE","loopCondition":"$.i.iteration < 2","loopOver":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]}]}]"#,
        "Unable to evaluate condition $.i.iteration < 2",
    ),
    (
        "refers to nothing",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${}"}}]"#,
        "input parameter value:  is not valid",
    ),
    (
        "is no path",
        r#"[{"name":"n","taskReferenceName":"x","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${x.output[}"}}]"#,
        r#"COMPLETED {"ok":{"result":true}}"#,
    ),
    (
        "a workflow has no `inptu`",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${workflow.inptu.ok}"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "has no input `kay`",
        r#"[{"name":"s","taskReferenceName":"s","type":"SUB_WORKFLOW","inputParameters":{"kay":true},"subWorkflowParam":{"name":"c","version":1,"workflowDefinition":{"name":"c","version":1,"schemaVersion":2,"inputParameters":["ok"],"tasks":[{"name":"n","taskReferenceName":"n","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${workflow.input.ok}"}}],"outputParameters":{"result":"${n.output.result}"}}}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${s.output.result}"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "the join behind it waits for nothing",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"w","taskReferenceName":"w","type":"WAIT","inputParameters":{"duration":"3s"}}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":[]},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok == 'COMPLETED'","ok":"${w.status}"}}]"#,
        r#"COMPLETED {"ok":false}"#,
    ),
    (
        "there is no HTTP method `get`",
        r#"[{"name":"n","taskReferenceName":"r","type":"HTTP","retryCount":0,"inputParameters":{"http_request":{"method":"get","uri":"http://127.0.0.1:1"}}}]"#,
        r#"Invalid HTTP method: get"#,
    ),
    (
        "the request has no method",
        r#"[{"name":"n","taskReferenceName":"r","type":"HTTP","retryCount":0,"inputParameters":{"http_request":{"uri":"http://127.0.0.1:1"}}}]"#,
        r#"No HTTP method specified"#,
    ),
    (
        "the method of the request is empty",
        r#"[{"name":"n","taskReferenceName":"r","type":"HTTP","retryCount":0,"inputParameters":{"http_request":{"method":"","uri":"http://127.0.0.1:1"}}}]"#,
        r#"Invalid HTTP method: "#,
    ),
    (
        "the request has no uri",
        r#"[{"name":"n","taskReferenceName":"r","type":"HTTP","retryCount":0,"inputParameters":{"http_request":{"method":"GET"}}}]"#,
        r#"Missing HTTP URI"#,
    ),
    (
        "the uri of the request is empty",
        r#"[{"name":"n","taskReferenceName":"r","type":"HTTP","retryCount":0,"inputParameters":{"http_request":{"method":"GET","uri":""}}}]"#,
        r#"Target host is not specified"#,
    ),
    (
        "knows the sink `nope:x`",
        r#"[{"name":"n","taskReferenceName":"r","type":"EVENT","sink":"nope:x","retryCount":0}]"#,
        r#"Unknown queue type nope"#,
    ),
    (
        "knows the sink `sqs`",
        r#"[{"name":"n","taskReferenceName":"r","type":"EVENT","sink":"sqs","retryCount":0}]"#,
        r#"Illegal event sqs"#,
    ),
    (
        "the duration or the time is empty",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"duration":""}}]"#,
        r#"stuck: r IN_PROGRESS"#,
    ),
    (
        "the duration or the time is empty",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"until":" "}}]"#,
        r#"stuck: r IN_PROGRESS"#,
    ),
    (
        "one of the calendar",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"until":"20-01-01"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "one of the calendar",
        r#"[{"name":"n","taskReferenceName":"r","type":"WAIT","inputParameters":{"until":"2020-01-01 17:30 Asia/Tokyo"}}]"#,
        r#"Unable to parse date"#,
    ),
    (
        "for which there is no case",
        r#"[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"q"},"decisionCases":{"":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "the name of the task is empty",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN_DYNAMIC","inputParameters":{"forkTaskName":"","forkTaskInputs":[{"a":1}]}},{"name":"j","taskReferenceName":"j","type":"JOIN"},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]"#,
        r#"stuck: f COMPLETED, __0 SCHEDULED, j IN_PROGRESS"#,
    ),
    (
        "the name of the workflow is empty",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN_DYNAMIC","inputParameters":{"forkTaskWorkflow":"","forkTaskInputs":[{"a":1}]}},{"name":"j","taskReferenceName":"j","type":"JOIN"},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}}]"#,
        r#"has no workflow definition available"#,
    ),
    (
        "the name of the task is empty",
        r#"[{"name":"n","taskReferenceName":"r","type":"DYNAMIC","dynamicTaskNameParam":"t","inputParameters":{"t":""}}]"#,
        r#"stuck: r SCHEDULED"#,
    ),
    (
        "the name of the workflow to start is empty",
        r#"[{"name":"n","taskReferenceName":"r","type":"START_WORKFLOW","retryCount":0,"inputParameters":{"startWorkflow":{"version":1}}}]"#,
        r#"Workflow name cannot be null or empty"#,
    ),
    (
        "the priority must be 0 to 99",
        r#"[{"name":"n","taskReferenceName":"r","type":"START_WORKFLOW","retryCount":0,"inputParameters":{"startWorkflow":{"name":"x","priority":100}}}]"#,
        r#"should be maximum 99"#,
    ),
    (
        "the priority must be 0 to 99",
        r#"[{"name":"n","taskReferenceName":"r","type":"SUB_WORKFLOW","retryCount":0,"subWorkflowParam":{"name":"c","priority":-1,"workflowDefinition":{"name":"c","version":1,"schemaVersion":2,"tasks":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}}}]"#,
        r#"priority MUST be between 0 and 99"#,
    ),
    (
        "is not looked up in a script",
        r#"[{"name":"s","taskReferenceName":"r","type":"SWITCH","evaluatorType":"javascript","expression":"${workflow.input.n} > 2 ? 'a' : 'b'","decisionCases":{"a":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}}]"#,
        r#"Expression is not well formatted"#,
    ),
    (
        "is not looked up in a condition",
        r#"[{"name":"l","taskReferenceName":"r","type":"DO_WHILE","loopCondition":"$.r.iteration < ${workflow.input.n}","loopOver":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}]"#,
        r#"Unable to evaluate condition"#,
    ),
    (
        "`s`, which the first task of a branch knows nothing of yet",
        r#"[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"q"},"decisionCases":{"q":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${s.output.selectedCase}"}}]}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "`f`, which the first task of a branch knows nothing of yet",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"q"},"decisionCases":{"q":[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${f.status}"}}]}},{"name":"n","taskReferenceName":"n","type":"NOOP"}]]},{"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["n"]}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "needs a version",
        r#"[{"name":"n","taskReferenceName":"r","type":"SUB_WORKFLOW","subWorkflowParam":{"name":"${workflow.input.name}"}}]"#,
        r#"has no workflow definition available"#,
    ),
    (
        "the jq expression is empty",
        r#"[{"name":"n","taskReferenceName":"r","type":"JSON_JQ_TRANSFORM","retryCount":0,"inputParameters":{"queryExpression":" "}}]"#,
        r#"Encountered "<EOF>""#,
    ),
    (
        "the message has no bootstrap servers",
        r#"[{"name":"n","taskReferenceName":"r","type":"KAFKA_PUBLISH","retryCount":0,"inputParameters":{"kafka_request":{"bootStrapServers":"","topic":"t","value":"v"}}}]"#,
        r#"No boot strap servers specified"#,
    ),
    (
        "the message has no topic",
        r#"[{"name":"n","taskReferenceName":"r","type":"KAFKA_PUBLISH","retryCount":0,"inputParameters":{"kafka_request":{"bootStrapServers":"127.0.0.1:1","topic":"","value":"v"}}}]"#,
        r#"Missing Kafka topic"#,
    ),
    (
        "there is nothing that the cases are for",
        r#"[{"name":"n","taskReferenceName":"r","type":"DECISION","decisionCases":{"q":[{"name":"n","taskReferenceName":"n","type":"NOOP"}]}}]"#,
        r#"caseValueParam or caseExpression field is required"#,
    ),
    (
        "there is no script",
        r#"[{"name":"n","taskReferenceName":"r","type":"LAMBDA","retryCount":0}]"#,
        r#"Empty 'scriptExpression' in Lambda task"#,
    ),
    (
        "its type is null",
        r#"[{"name":"n","taskReferenceName":"r","type":null}]"#,
        r#"Unexpected exception during isValid call"#,
    ),
    (
        "the workflow has no variable `nobody`",
        r#"[{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${workflow.variables.nobody}"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "of which a switch runs one at most",
        r#"[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[[{"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"value-param","expression":"v","inputParameters":{"v":"q"},"decisionCases":{"q":[{"name":"n","taskReferenceName":"a","type":"NOOP"}]},"defaultCase":[{"name":"n","taskReferenceName":"b","type":"NOOP"}]}]]},{"name":"j","taskReferenceName":"r","type":"JOIN","joinOn":["a","b"]}]"#,
        r#"stuck: f COMPLETED, s COMPLETED, a COMPLETED, r IN_PROGRESS"#,
    ),
    (
        "is no path",
        r#"[{"name":"n","taskReferenceName":"x","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${x['output'].result}"}}]"#,
        r#"taskReferenceName: x['output'] for given task"#,
    ),
    (
        "can't be used in references",
        r#"[{"name":"n","taskReferenceName":"$","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"true"}},{"name":"n","taskReferenceName":"r","type":"INLINE","inputParameters":{"evaluatorType":"javascript","expression":"$.ok","ok":"${$.output.result}"}}]"#,
        r#"COMPLETED {"ok":null}"#,
    ),
    (
        "retry_logic is `OFTEN`",
        r#"[{"name":"n","taskReferenceName":"r","type":"NOOP","taskDefinition":{"name":"n","retryLogic":"OFTEN"}}]"#,
        r#"JSON parse error"#,
    ),
    (
        "timeout_policy is `OFTEN`",
        r#"[{"name":"n","taskReferenceName":"r","type":"NOOP","taskDefinition":{"name":"n","timeoutPolicy":"OFTEN"}}]"#,
        r#"JSON parse error"#,
    ),
    (
        "join_mode is `OFTEN`",
        r#"[{"name":"n","taskReferenceName":"r","type":"NOOP","joinMode":"OFTEN"}]"#,
        r#"JSON parse error"#,
    ),
    (
        "schema_type is `OFTEN`",
        r#"[{"name":"n","taskReferenceName":"r","type":"NOOP","taskDefinition":{"name":"n","inputSchema":{"name":"s","type":"OFTEN"}}}]"#,
        r#"JSON parse error"#,
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

fn tell((finding, tasks, expected): (&str, &str, &str)) -> Option<String> {
    let name = unique("builder_refused");
    let def = definition(&name, tasks);
    match WorkflowBuilder::from(def.clone()).build() {
        Ok(_) => return Some(format!("`{finding}` is not found")),
        Err(error) if !error.to_string().contains(finding) => return Some(format!("`{finding}` is not in: {error}")),
        Err(_) => {}
    }
    // What is stuck stays so; the rest may be slow on a busy server.
    let limit = Duration::from_secs(if expected.starts_with("stuck") { 5 } else { 60 });
    let seen = unchecked(&real()?, &def, limit);
    (!seen.contains(expected)).then(|| format!("`{finding}`: not `{expected}` but {seen}"))
}

/// What the real server makes of a definition that nobody has checked.
fn unchecked(client: &Client, def: &WorkflowDef, limit: Duration) -> String {
    if let Err(error) = client.metadata().update_workflow(def) {
        return format!("refused: {error}");
    }
    let seen = match client.workflows().start(&StartWorkflowRequest::new(&*def.name)) {
        Err(error) => format!("not started: {error}"),
        Ok(id) => ended(client, &id, limit),
    };
    client.metadata().delete_workflow(&def.name, 1).unwrap();
    seen
}

fn ended(client: &Client, id: &str, limit: Duration) -> String {
    match client.workflows().wait(id, limit) {
        Ok(done) => {
            let reason = done.reason_for_incompletion.unwrap_or_default();
            format!("{} {} {reason}", done.status, done.output.get())
        }
        Err(error) if error.kind() == ErrorKind::Deadline => {
            let seen = client.workflows().get(id).unwrap();
            client.workflows().terminate(id, Some("a test")).unwrap();
            let tasks = seen.tasks.iter().map(|task| format!("{} {}", task.reference_task_name, task.status));
            format!("stuck: {}", tasks.collect::<Vec<_>>().join(", "))
        }
        Err(error) => format!("{error}"),
    }
}

#[test]
fn names_that_can_not_be_part_of_an_address_are_refused() {
    for name in ["", " ", "a/b", "a\\b", "..", "a\nb", "names"] {
        let error = WorkflowBuilder::new(name).task(Node::noop("n")).build().unwrap_err();
        assert!(error.to_string().contains("the name"), "{name}: {error}");
    }
}

/// Fields, what is found, and what the real server says; `None` where it takes the definition and passes the value over.
fn bad_fields() -> Vec<(Value, &'static str, Option<&'static str>)> {
    vec![
        (json!({"retryCount": -1}), "the retry count must not be negative", Some("retryCount: 0 must be >= 0")),
        (json!({"backoffScaleFactor": 0}), "the backoff scale factor must be 1 or more", Some("Backoff scale factor")),
        (
            json!({"pollTimeoutSeconds": -1}),
            "the poll timeout must not be negative",
            Some("pollTimeoutSeconds: 0 must"),
        ),
        (
            json!({"totalTimeoutSeconds": -1}),
            "the total timeout must not be negative",
            Some("totalTimeoutSeconds: 0 must"),
        ),
        (json!({"maxRetryDelaySeconds": -1}), "the longest retry delay must not", Some("maxRetryDelaySeconds: 0 must")),
        (json!({"backoffJitterMs": -1}), "the jitter must not be negative", Some("backoffJitterMs: 0 must")),
        (
            json!({"responseTimeoutSeconds": 0}),
            "the response timeout must be 1 s or more",
            Some("should be minimum 1 second"),
        ),
        (
            json!({"timeoutSeconds": 10, "responseTimeoutSeconds": 11}),
            "the response timeout (11 s, 3600 s unless set) is longer than the timeout (10 s)",
            Some("responseTimeoutSeconds: 11 must be less than timeoutSeconds: 10"),
        ),
        (
            json!({"timeoutSeconds": 10, "responseTimeoutSeconds": 3, "totalTimeoutSeconds": 9}),
            "the timeout (10 s) is longer than the total timeout (9 s)",
            Some("timeoutSeconds: 10 must be less than or equal to totalTimeoutSeconds: 9"),
        ),
        (json!({"retryLogic": "OFTEN"}), "retry_logic is `OFTEN`", Some("JSON parse error")),
        (json!({"timeoutPolicy": "OFTEN"}), "timeout_policy is `OFTEN`", Some("JSON parse error")),
        (json!({"timeoutSeconds": -1}), "the timeout must not be negative", None),
    ]
}

#[test]
fn task_definitions_that_the_server_refuses_are_refused_all_at_once() {
    let cases = bad_fields();
    let real = real();
    let (mut all, mut findings) = (JsonMap::new(), Vec::new());
    for (fields, finding, refusal) in &cases {
        let name = unique("builder_refused");
        let fields: JsonMap = serde_json::from_value(fields.clone()).unwrap();
        let task = task_of(&name, &fields);
        let error = WorkflowBuilder::new("w").task(Node::noop("n")).task_definition(task.clone()).build().unwrap_err();
        let told = format!("task definition {name}: {finding}");
        assert!(error.to_string().contains(&told), "`{told}` is not in: {error}");
        if fields.len() == 1 {
            all.extend(fields);
            findings.push(*finding);
        }
        let Some(client) = &real else { continue };
        match (refusal, client.metadata().register_task(&task)) {
            (Some(refusal), Err(error)) => assert!(error.to_string().contains(refusal), "{finding}: {error}"),
            (None, Ok(())) => client.metadata().delete_task(&name).unwrap(),
            (_, outcome) => panic!("{finding}: {outcome:?}"),
        }
    }
    let node = Node::simple("a", "n").definition(task_of("a", &all));
    let error = WorkflowBuilder::new("w").task(node).output("x", "${gone.output}").build().unwrap_err().to_string();
    findings.push("`gone`, which does not exist");
    let lost: Vec<_> = findings.iter().filter(|finding| !error.contains(**finding)).collect();
    assert!(lost.is_empty(), "{lost:?} are not in: {error}");
}

fn task_of(name: &str, fields: &JsonMap) -> TaskDef {
    let mut fields = fields.clone();
    fields.insert("name".to_owned(), name.into());
    RawJson::new(&fields).unwrap().decode().unwrap()
}

type Spoil = fn(&mut WorkflowDef);

/// The settings of a whole workflow; what the real server makes of them.
#[test]
fn settings_of_a_workflow_that_the_server_refuses_or_passes_over_are_refused() {
    let real = real();
    let wait = r#"[{"name":"n","taskReferenceName":"r","type":"WAIT"}]"#;
    let cases: [(&str, Spoil, &str); 4] = [
        ("the timeout must not be negative", |def| def.timeout_seconds = Some(-1), "stuck: r IN_PROGRESS"),
        (
            "timeout_policy is `OFTEN`",
            |def| def.timeout_policy = Some(TimeoutPolicy::from("OFTEN")),
            "JSON parse error",
        ),
        (
            "policy is `OFTEN`",
            |def| {
                def.rate_limit_config = serde_json::from_value(json!({"rateLimitKey": "a", "policy": "OFTEN"})).unwrap()
            },
            "JSON parse error",
        ),
        (
            "schema_type is `OFTEN`",
            |def| def.input_schema = serde_json::from_value(json!({"name": "s", "type": "OFTEN"})).unwrap(),
            "JSON parse error",
        ),
    ];
    for (finding, spoil, expected) in cases {
        let mut def = definition(&unique("builder_refused"), wait);
        def.timeout_policy = Some(TimeoutPolicy::TimeOutWf);
        spoil(&mut def);
        let error = WorkflowBuilder::from(def.clone()).build().unwrap_err();
        assert!(error.to_string().contains(&format!("workflow: {finding}")), "`{finding}` is not in: {error}");
        if let Some(client) = &real {
            let seen = unchecked(client, &def, Duration::from_secs(4));
            assert!(seen.contains(expected), "`{finding}`: not `{expected}` but {seen}");
        }
    }
}

/// The server waits until another day than the text says, which can't be told from the outcome of a run.
#[test]
fn a_day_that_is_not_in_the_calendar_is_refused_and_would_be_another_day() {
    let wait = |text: &str| Node::wait_until_text("wait", text);
    for text in ["2999-13-01", "2999-12-32", "2999-12-31 25:00"] {
        let error = WorkflowBuilder::new("w").task(wait(text)).build().unwrap_err();
        assert!(error.to_string().contains("wait: the time must be one of the calendar"), "{text}: {error}");
    }
    WorkflowBuilder::new("w").task(wait("${workflow.input.year}-13-01")).build().unwrap();
    let Some(client) = real() else { return };
    let flow = WorkflowBuilder::new(unique("builder_refused")).task(wait("3000-01-01"));
    let mut def = flow.build().unwrap();
    let mut seconds = |text: &str| {
        def.tasks[0].input_parameters.insert("until".to_owned(), text.into());
        client.metadata().update_workflow(&def).unwrap();
        let id = client.workflows().start(&StartWorkflowRequest::new(&*def.name)).unwrap();
        let seen = client.workflows().get(&id).unwrap().tasks[0].callback_after_seconds;
        client.workflows().terminate(&id, Some("a test")).unwrap();
        seen
    };
    let (right, moved) = (seconds("3000-01-01"), seconds("2999-13-01"));
    assert!(right > 0 && (right - moved).abs() < 60, "{right} s and {moved} s");
    client.metadata().delete_workflow(&def.name, 1).unwrap();
}
