//! The exchanges about what is done to workflows from outside, and about what definitions and inputs may hold.

use super::exchange::Step;

const fn step(request: &'static str, body: &'static str) -> Step {
    Step { request, body, save: "", until: "", least_millis: 0 }
}

const fn save(request: &'static str, body: &'static str, save: &'static str) -> Step {
    Step { request, body, save, until: "", least_millis: 0 }
}

const fn poll(request: &'static str) -> Step {
    save(request, "", "task=/0/taskId")
}

const POLL_T: Step = poll("GET /tasks/poll/batch/{P}t?count=1&timeout=3000&workerid=w");

const POLL_U: Step = poll("GET /tasks/poll/batch/{P}u?count=1&timeout=3000&workerid=w");

/// Registers the tasks `{P}t` and `{P}u`, which are not retried.
const TASKS: Step =
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","retryCount":0},{"name":"{P}u","retryCount":0}]"#);

/// Registers the workflow `{P}w` with both.
const TWO_TASKS: Step = step(
    "POST /metadata/workflow?overwrite=true",
    r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a"},{"name":"{P}u","taskReferenceName":"b"}]}"#,
);

const ONE_TASK: Step = step(
    "POST /metadata/workflow?overwrite=true",
    r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a"}]}"#,
);

const START: Step = save("POST /workflow", r#"{"name":"{P}w","correlationId":"c"}"#, "wf=");

const GET: Step = step("GET /workflow/{wf}", "");

const TERMINATE: Step = step("DELETE /workflow/{wf}?reason=enough", "");

const COMPLETE: Step = step(
    "POST /tasks",
    r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"COMPLETED","workerId":"w","outputData":{"n":1}}"#,
);

const FAIL: Step = step(
    "POST /tasks",
    r#"{"workflowInstanceId":"{wf}","taskId":"{task}","status":"FAILED","reasonForIncompletion":"no","outputData":{"e":1}}"#,
);

/// Each case with its steps.
pub(crate) const CASES: &[(&str, &[Step])] = &[
    ("restart", RESTART),
    ("restart with the latest definition", RESTART_WITH_LATEST),
    ("retry", RETRY),
    ("retry after a termination", RETRY_AFTER_TERMINATION),
    ("retry behind what has run", RETRY_BEHIND),
    ("retry after a timeout", RETRY_AFTER_TIMEOUT),
    ("remove", REMOVE),
    ("lookups", LOOKUPS),
    ("templates", TEMPLATES),
    ("paths of references", PATHS),
    ("definitions of other kinds", OTHER_KINDS),
    ("lists of definitions", LISTS),
    ("bodies of the wrong kind", BODIES),
    ("queues", QUEUES),
];

const RESTART: &[Step] = &[
    TASKS,
    ONE_TASK,
    START,
    step("POST /workflow/{wf}/restart", ""),
    POLL_T,
    FAIL,
    step("POST /workflow/{wf}/restart", ""),
    GET,
    POLL_T,
    COMPLETE,
    GET,
    step("POST /workflow/nope/restart", ""),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}once","restartable":false,"tasks":[{"name":"{P}t","taskReferenceName":"a"}]}"#,
    ),
    save("POST /workflow", r#"{"name":"{P}once"}"#, "wf="),
    POLL_T,
    COMPLETE,
    step("POST /workflow/{wf}/restart", ""),
];

const RESTART_WITH_LATEST: &[Step] = &[
    TASKS,
    ONE_TASK,
    START,
    TERMINATE,
    TWO_TASKS,
    step("POST /workflow/{wf}/restart?useLatestDefinitions=true", ""),
    POLL_T,
    COMPLETE,
    POLL_U,
    COMPLETE,
    GET,
];

const RETRY: &[Step] = &[
    TASKS,
    TWO_TASKS,
    START,
    step("POST /workflow/{wf}/retry", ""),
    POLL_T,
    COMPLETE,
    POLL_U,
    FAIL,
    step("POST /workflow/{wf}/retry", ""),
    GET,
    POLL_U,
    COMPLETE,
    GET,
    step("POST /workflow/{wf}/retry", ""),
    step("POST /workflow/nope/retry", ""),
];

const RETRY_AFTER_TERMINATION: &[Step] =
    &[TASKS, ONE_TASK, START, TERMINATE, step("POST /workflow/{wf}/retry?resumeSubworkflowTasks=false", ""), GET];

const RETRY_BEHIND: &[Step] = &[
    TASKS,
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a","permissive":true},{"name":"{P}u","taskReferenceName":"b"}]}"#,
    ),
    START,
    POLL_T,
    FAIL,
    POLL_U,
    COMPLETE,
    GET,
    step("POST /workflow/{wf}/retry", ""),
    POLL_T,
    COMPLETE,
    GET,
];

const RETRY_AFTER_TIMEOUT: &[Step] = &[
    TASKS,
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","timeoutSeconds":1,"timeoutPolicy":"TIME_OUT_WF","tasks":[{"name":"{P}t","taskReferenceName":"a"}]}"#,
    ),
    START,
    Step { request: "GET /workflow/{wf}", body: "", save: "", until: "/status=TIMED_OUT", least_millis: 0 },
    step("POST /workflow/{wf}/retry", ""),
    GET,
];

const REMOVE: &[Step] = &[
    TASKS,
    ONE_TASK,
    START,
    POLL_T,
    step("DELETE /workflow/{wf}/remove", ""),
    COMPLETE,
    step("DELETE /workflow/{wf}/remove?archiveWorkflow=false", ""),
    GET,
    step("GET /tasks/{task}", ""),
    COMPLETE,
    step("DELETE /workflow/{wf}/remove?archiveWorkflow=false", ""),
];

const LOOKUPS: &[Step] = &[
    TASKS,
    ONE_TASK,
    START,
    step("GET /workflow/running/{P}w", ""),
    step("GET /workflow/running/{P}w?version=9", ""),
    step("GET /workflow/running/{P}w?version=1&startTime=1&endTime=99999999999999", ""),
    step("GET /workflow/running/{P}w?version=2&startTime=1&endTime=99999999999999", ""),
    step("GET /workflow/{P}w/correlated/c", ""),
    step("GET /workflow/{P}w/correlated/c?includeTasks=true", ""),
    step("GET /workflow/{P}w/correlated/other?includeClosed=true", ""),
    step("GET /workflow/{wf}/tasks", ""),
    POLL_T,
    COMPLETE,
    step("GET /workflow/running/{P}w", ""),
    step("GET /workflow/{P}w/correlated/c", ""),
    step("GET /workflow/{P}w/correlated/c?includeClosed=true", ""),
    step("POST /workflow/{P}w/correlated?includeClosed=true", r#"["c","other"]"#),
    step("POST /workflow/{P}w/correlated", r#"{"c":1}"#),
    step("GET /workflow/{wf}/tasks?status=completed&start=0&count=5", ""),
    step("GET /workflow/{wf}/tasks?status=FAILED", ""),
    step("GET /workflow/nope/tasks", ""),
];

const TEMPLATES: &[Step] = &[
    step(
        "POST /metadata/taskdefs",
        r#"[{"name":"{P}t","inputTemplate":{"t":"from ${workflow.input.s}","own":"default","null":"instead","lost":"${workflow.input.no}"}}]"#,
    ),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","inputTemplate":{"it":"tt","s":"default"},"tasks":[{"name":"{P}t","taskReferenceName":"a","inputParameters":{"own":"set","null":"${workflow.input.missing}"}}]}"#,
    ),
    save("POST /workflow", r#"{"name":"{P}w","input":{}}"#, "wf="),
    GET,
    save("POST /workflow", r#"{"name":"{P}w","input":{"s":"given","it":null}}"#, "wf="),
    GET,
    save("POST /workflow/{P}w", r#"{"x":1}"#, "wf="),
    GET,
];

const PATHS: &[Step] = &[
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","tasks":[{"name":"{P}t","taskReferenceName":"a","inputParameters":{"every":"${workflow.input.list[*].k}","last":"${workflow.input.list[-1]}","some":"${workflow.input.numbers[0,2]}","slice":"${workflow.input.numbers[1:3]}","tail":"${workflow.input.numbers[-2:]}","below":"${workflow.input..k}","values":"${workflow.input.object.*}","length":"${workflow.input.numbers.length()}","no length":"${workflow.input.text.length()}","none":"${workflow.input.numbers[9]}","quoted":"${workflow.input['a.b']}","nested":"${workflow.input.${workflow.input.key}}","numbers":"${workflow.input.small} ${workflow.input.large} ${workflow.input.numbers}","brace":"{${workflow.input.text}}"}}]}"#,
    ),
    save(
        "POST /workflow",
        r#"{"name":"{P}w","input":{"list":[{"k":1},{"k":null}],"numbers":[1,2,3],"object":{"z":1,"a":[2]},"text":"t","a.b":5,"key":"text","small":0.0001,"large":1e30}}"#,
        "wf=",
    ),
    POLL_T,
];

const OTHER_KINDS: &[Step] = &[
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}w","tasks":[{"name":"pick","taskReferenceName":"pick","type":"SWITCH","evaluatorType":"value-param","expression":"x","inputParameters":{"x":"${workflow.input.x}"},"decisionCases":{"one":[{"name":"{P}t","taskReferenceName":"a"}]}},{"name":"wait","taskReferenceName":"wait","type":"WAIT","inputParameters":{"duration":"1s"}},{"name":"{P}t","taskReferenceName":"last","inputParameters":{"y":"${a.output.y}"}}]}"#,
    ),
    step("GET /metadata/workflow/{P}w", ""),
    step(
        "POST /metadata/workflow",
        r#"{"name":"{P}v","schemaVersion":1,"tasks":[{"name":"pick","taskReferenceName":"a","type":"SWITCH","evaluatorType":"value-param","expression":"x","decisionCases":{"one":[{"name":"{P}t","taskReferenceName":"a"}]}}]}"#,
    ),
];

const LISTS: &[Step] = &[
    ONE_TASK,
    ONE_TASK,
    step("GET /metadata/workflow/{P}w/versions", ""),
    step("PUT /metadata/workflow", "[]"),
    step("POST /metadata/taskdefs", r#"[{"name":"{P}t","totalTimeoutSeconds":-3}]"#),
];

const BODIES: &[Step] = &[
    step("POST /tasks", "null"),
    step("POST /tasks", "[]"),
    step("POST /tasks", r#"{"taskId":"x","workflowInstanceId":"y","status":"COMPLETED","logs":["a bare line"]}"#),
    step("POST /metadata/taskdefs", "{}"),
    step("PUT /metadata/taskdefs", "[]"),
    step("POST /metadata/workflow", "[]"),
    step("PUT /metadata/workflow", "{}"),
    step("POST /workflow", "[]"),
    step("POST /workflow/{P}w", "null"),
    step("POST /workflow/{P}w?priority=100", "{}"),
    step("POST /workflow/{P}w?priority=-1", "{}"),
    step("POST /workflow", r#"{"name":" "}"#),
];

const QUEUES: &[Step] = &[
    TASKS,
    ONE_TASK,
    START,
    step("GET /tasks/queue/sizes", ""),
    step("GET /tasks/queue/sizes?taskType={P}t&taskType={P}u", ""),
    step("POST /tasks/{wf}/a/IN_PROGRESS", r#"{"x":1}"#),
    GET,
];
