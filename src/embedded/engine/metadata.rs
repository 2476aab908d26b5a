//! The part of the engine that keeps definitions.

use std::sync::Arc;

use crate::metadata::{TaskDef, WorkflowDef};

use super::{
    Answer, Engine, Millis, Refusal, Violation, check,
    definition::{self, Plan},
};

impl Engine {
    pub(super) fn register_tasks(&mut self, definitions: Vec<TaskDef>, now: Millis) -> Result<Answer, Refusal> {
        const AT: &str = "registerTaskDef.arg0";
        if definitions.is_empty() {
            Refusal::unless_empty(vec![Violation::of(AT, "TaskDefList is empty")])?;
        }
        let check = |(n, def)| check::check_task(def, &format!("{AT}[{n}]"));
        Refusal::unless_empty(definitions.iter().enumerate().flat_map(check).collect())?;
        for def in definitions {
            let mut def = definition::complete_task(def, now, 0);
            def.created_by = Some(String::new());
            self.task_defs.insert(def.name.clone(), def);
        }
        self.plans.clear();
        Ok(Answer::Done)
    }

    pub(super) fn update_task_def(&mut self, def: TaskDef, now: Millis) -> Result<Answer, Refusal> {
        Refusal::unless_empty(check::check_task(&def, "updateTaskDef.arg0"))?;
        let Some(known) = self.task_defs.get_mut(&def.name) else {
            return Err(Refusal::not_found(format!("No such task by name {}", def.name)));
        };
        let created = known.create_time.unwrap_or(0);
        *known = definition::complete_task(def, created, now);
        (known.created_by, known.updated_by) = (Some(String::new()), Some(String::new()));
        self.plans.clear();
        Ok(Answer::Done)
    }

    pub(super) fn delete_task_def(&mut self, name: &str) -> Result<Answer, Refusal> {
        self.plans.clear();
        match self.task_defs.remove(name) {
            Some(_) => Ok(Answer::Done),
            // The real server means to say 404 here, but its SQL store wraps the error.
            None => Err(Refusal::failed("No such task definition")),
        }
    }

    pub(super) fn register_workflow(
        &mut self,
        def: WorkflowDef,
        overwrite: bool,
        now: Millis,
    ) -> Result<Answer, Refusal> {
        Refusal::unless_empty(check::check_workflow(&def, "registerWorkflowDef.arg0"))?;
        let exists = self.workflow_def(&def.name, Some(def.version.unwrap_or(1))).is_some();
        match exists {
            true if !overwrite => {
                let message = format!("Workflow with {}.{} already exists!", def.name, def.version.unwrap_or(1));
                return Err(Refusal::conflict(message));
            }
            // The real server loses the time of creation when it overwrites.
            true => self.keep_workflow(def, 0, now),
            false => self.keep_workflow(def, now, 0),
        }
        Ok(Answer::Done)
    }

    pub(super) fn update_workflows(&mut self, defs: Vec<WorkflowDef>, now: Millis) -> Result<Answer, Refusal> {
        const AT: &str = "updateWorkflowDef.arg0";
        if defs.is_empty() {
            Refusal::unless_empty(vec![Violation::of(AT, "WorkflowDefList is empty")])?;
        }
        let check = |(n, def)| check::check_workflow(def, &format!("{AT}[{n}]"));
        Refusal::unless_empty(defs.iter().enumerate().flat_map(check).collect())?;
        let names = defs.iter().map(|def| def.name.clone()).collect();
        for def in defs {
            self.keep_workflow(def, 0, now);
        }
        Ok(Answer::Ids(names))
    }

    pub(super) fn validate_workflow(&self, def: &WorkflowDef) -> Result<Answer, Refusal> {
        Refusal::unless_empty(check::check_workflow(def, "validateWorkflowDef.arg0"))?;
        Ok(Answer::Done)
    }

    pub(super) fn delete_workflow_def(&mut self, name: &str, version: i32) -> Result<Answer, Refusal> {
        self.plans.clear();
        let versions = self.workflow_defs.get_mut(name);
        let removed = versions.and_then(|versions| versions.remove(&version));
        if self.workflow_defs.get(name).is_some_and(|versions| versions.is_empty()) {
            self.workflow_defs.remove(name);
        }
        match removed {
            Some(_) => Ok(Answer::Done),
            None => Err(Refusal::failed(format!("No such workflow definition: {name} version: {version}"))),
        }
    }

    fn keep_workflow(&mut self, def: WorkflowDef, created: Millis, updated: Millis) {
        let def = definition::complete_workflow(def, created, updated);
        self.workflow_defs.entry(def.name.clone()).or_default().insert(def.version.unwrap_or(1), def);
        self.plans.clear();
    }

    pub(in super::super) fn task_def(&self, name: &str) -> Option<&TaskDef> {
        self.task_defs.get(name)
    }

    /// All task definitions, by name.
    pub(in super::super) fn task_defs(&self) -> Vec<&TaskDef> {
        let mut all: Vec<&TaskDef> = self.task_defs.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// A workflow definition: of this version, or the latest.
    pub(in super::super) fn workflow_def(&self, name: &str, version: Option<i32>) -> Option<&WorkflowDef> {
        let versions = self.workflow_defs.get(name)?;
        match version {
            Some(version) => versions.get(&version),
            None => versions.values().next_back(),
        }
    }

    /// All workflow definitions, by name and version.
    pub(in super::super) fn workflow_defs(&self) -> impl Iterator<Item = &WorkflowDef> {
        self.workflow_defs.values().flat_map(|versions| versions.values())
    }

    /// The plan for a start: of a definition that came along, or of a registered one. A start `by_name` is the one by the
    /// path of the request, which says other words about a definition that is not there.
    pub(super) fn plan(
        &mut self,
        name: &str,
        version: Option<i32>,
        inline: Option<WorkflowDef>,
        by_name: bool,
    ) -> Result<Arc<Plan>, Refusal> {
        if let Some(def) = inline {
            Refusal::unless_empty(check::check_workflow(&def, "startWorkflow.arg0.workflowDef"))?;
            check::check_served(&def)?;
            return Ok(Arc::new(Plan::new(definition::complete_workflow(def, 0, 0), &self.task_defs)));
        }
        if name.trim().is_empty() {
            return Err(Refusal::invalid("Workflow name must be specified when searching for a definition"));
        }
        let Some(def) = self.workflow_def(name, version) else {
            let version = version.map_or_else(|| "null".to_owned(), |version| version.to_string());
            return Err(Refusal::not_found(match by_name {
                true => format!("No such workflow found by name: {name}, version: {version}"),
                false => format!("No such workflow defined. name={name}, version={version}"),
            }));
        };
        check::check_served(def)?;
        let key = (name.to_owned(), def.version.unwrap_or(1));
        if let Some(plan) = self.plans.get(&key) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Plan::new(def.clone(), &self.task_defs));
        self.plans.insert(key, Arc::clone(&plan));
        Ok(plan)
    }
}
