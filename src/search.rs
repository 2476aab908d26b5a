//! Searches: what is looked for, and the pages of what is found, which are fetched one by one while they are read.

use std::{
    collections::VecDeque,
    fmt,
    marker::PhantomData,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result, excerpt},
    http::{Http, Method, Request},
};

/// The server gives no more workflows at once (3.32.1).
const LARGEST_PAGE: u32 = 5000;

/// As the server's own.
const USUAL_PAGE: u32 = 100;

/// Pages without a hit in a row before a search is given up although the server says that there is more: as many hits may
/// have been removed meanwhile, but a server that is wrong about the total must not be asked for ever.
const MOST_EMPTY_PAGES: u32 = 100;

/// What a condition of a [`SearchQuery`] is about.
///
/// The server knows these alone: it drops a condition on any other field **silently**, which widens the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SearchField {
    /// The id of the workflow. Workflows only.
    WorkflowId,
    /// The correlation id. Workflows only.
    CorrelationId,
    /// The workflow that started it. Workflows only.
    ParentWorkflowId,
    /// What kind of workflow it is; `workflow` unless the server runs agents. Workflows only.
    Classifier,
    /// The name of the workflow's definition.
    WorkflowType,
    /// The state, of the workflow or of the task.
    Status,
    /// When it started. A time.
    StartTime,
    /// When it ended. A time.
    EndTime,
    /// When it changed. A time.
    UpdateTime,
    /// The id of the task. Tasks only.
    TaskId,
    /// The type of the task: for a SIMPLE one the name of its definition. Tasks only.
    TaskType,
    /// The name of the task's definition. Tasks only.
    TaskDefName,
}

impl SearchField {
    /// The field as it is written in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkflowId => "workflowId",
            Self::CorrelationId => "correlationId",
            Self::ParentWorkflowId => "parentWorkflowId",
            Self::Classifier => "classifier",
            Self::WorkflowType => "workflowType",
            Self::Status => "status",
            Self::StartTime => "startTime",
            Self::EndTime => "endTime",
            Self::UpdateTime => "updateTime",
            Self::TaskId => "taskId",
            Self::TaskType => "taskType",
            Self::TaskDefName => "taskDefName",
        }
    }

    fn is_time(self) -> bool {
        matches!(self, Self::StartTime | Self::EndTime | Self::UpdateTime)
    }

    /// The server answers 500 for a field that the other index has (3.32.1, sqlite).
    fn is_in(self, index: Index) -> bool {
        match self {
            Self::WorkflowId | Self::CorrelationId | Self::ParentWorkflowId | Self::Classifier => {
                index == Index::Workflows
            }
            Self::TaskId | Self::TaskType | Self::TaskDefName => index == Index::Tasks,
            _ => true,
        }
    }
}

/// What the server keeps for searches: one index of workflows, one of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    Workflows,
    Tasks,
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Workflows => "workflows",
            Self::Tasks => "tasks",
        })
    }
}

/// Conditions that must all hold, in the query language of the server.
///
/// The language has no `OR`, no `NOT` and no way to escape: a value that it would misread (quotes, brackets, commas, ` AND `) makes
/// the search fail before anything is sent, and so does a field that the searched index does not have. A query given as
/// plain text is sent as it is.
///
/// ```
/// use conductor_sync::{SearchField, SearchQuery, SearchRequest};
/// let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
/// let failed = SearchQuery::new()
///     .is(SearchField::WorkflowType, "order")
///     .any_of(SearchField::Status, ["FAILED", "TIMED_OUT"])
///     .after(SearchField::StartTime, yesterday);
/// let request = SearchRequest::new().query(failed).newest_first();
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct SearchQuery {
    conditions: Vec<String>,
    fields: Vec<SearchField>,
    /// The first thing that can't be said in the language.
    problem: Option<String>,
}

impl SearchQuery {
    /// No condition: everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The field has this value; `*` in it stands for any text, and case does not matter then.
    pub fn is(mut self, field: SearchField, value: impl AsRef<str>) -> Self {
        let value = self.value(field, value.as_ref());
        self.condition(field, &format!("={value}"))
    }

    /// The field has one of these values.
    pub fn any_of<V: AsRef<str>>(mut self, field: SearchField, values: impl IntoIterator<Item = V>) -> Self {
        let mut known = Vec::new();
        for value in values {
            known.push(self.value(field, value.as_ref()));
        }
        if known.is_empty() {
            self.refuse(format!("the values of {} must not be an empty list", field.as_str()));
        }
        self.condition(field, &format!(" IN ({})", known.join(",")))
    }

    /// The time is later than this one.
    pub fn after(self, field: SearchField, time: SystemTime) -> Self {
        self.time(field, '>', time)
    }

    /// The time is earlier than this one.
    pub fn before(self, field: SearchField, time: SystemTime) -> Self {
        self.time(field, '<', time)
    }

    fn time(mut self, field: SearchField, operator: char, time: SystemTime) -> Self {
        if !field.is_time() {
            self.refuse(format!("{} is no time", field.as_str()));
        }
        let millis = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        self.condition(field, &format!("{operator}{millis}"))
    }

    fn value(&mut self, field: SearchField, value: &str) -> String {
        let name = field.as_str();
        if field.is_time() {
            self.refuse(format!("{name} is a time: use after and before"));
        } else if value.trim().is_empty() {
            self.refuse(format!("the value of {name} must not be empty"));
        } else if value.contains(['"', '\'', '(', ')', ',']) || value.contains(" AND ") {
            let given = excerpt(value);
            self.refuse(format!(
                "the value of {name} must not contain quotes, brackets, commas or ` AND ` (given: `{given}`)"
            ));
        }
        // Quotes are dropped by some indexes and needed around blanks by others.
        if value.contains(char::is_whitespace) { format!("\"{value}\"") } else { value.to_owned() }
    }

    fn condition(mut self, field: SearchField, rest: &str) -> Self {
        self.conditions.push(format!("{}{rest}", field.as_str()));
        self.fields.push(field);
        self
    }

    fn refuse(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }
}

impl From<&str> for SearchQuery {
    /// A query as text, sent as it is.
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for SearchQuery {
    /// A query as text, sent as it is.
    fn from(text: String) -> Self {
        Self { conditions: vec![text], ..Self::default() }
    }
}

/// What to look for, in which order, and in pages of which size.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct SearchRequest {
    query: SearchQuery,
    free_text: Option<String>,
    sort: Vec<String>,
    skip: u32,
    page_size: u32,
    classifier: Option<String>,
    is_top_level_only: bool,
}

impl SearchRequest {
    /// Everything, in pages of 100.
    pub fn new() -> Self {
        Self {
            query: SearchQuery::new(),
            free_text: None,
            sort: Vec::new(),
            skip: 0,
            page_size: USUAL_PAGE,
            classifier: None,
            is_top_level_only: false,
        }
    }

    /// Sets the conditions: a [`SearchQuery`], or text in the language of the server.
    pub fn query(mut self, query: impl Into<SearchQuery>) -> Self {
        self.query = query.into();
        self
    }

    /// Asks for a text anywhere in what is indexed, without regard to case (3.32.1 on sqlite; other indexes have rules of
    /// their own).
    pub fn free_text(mut self, text: impl Into<String>) -> Self {
        self.free_text = Some(text.into());
        self
    }

    /// Orders by a field, from small to large; a second call orders what is equal by the first.
    pub fn ascending(mut self, field: SearchField) -> Self {
        self.sort.push(format!("{}:ASC", field.as_str()));
        self
    }

    /// Orders by a field, from large to small; a second call orders what is equal by the first.
    pub fn descending(mut self, field: SearchField) -> Self {
        self.sort.push(format!("{}:DESC", field.as_str()));
        self
    }

    /// Orders by the time of start, the latest first.
    pub fn newest_first(self) -> Self {
        self.descending(SearchField::StartTime)
    }

    /// Leaves out the first hits. Defaults to 0.
    pub fn skip(mut self, n_hits: u32) -> Self {
        self.skip = n_hits;
        self
    }

    /// Sets how many hits are fetched at once, 1 to 5,000. Defaults to 100.
    pub fn page_size(mut self, n_hits: u32) -> Self {
        self.page_size = n_hits;
        self
    }

    /// Looks for workflows of this kind only. For searches of workflows by themselves, not by their tasks.
    pub fn classifier(mut self, classifier: impl Into<String>) -> Self {
        self.classifier = Some(classifier.into());
        self
    }

    /// Leaves out workflows that another one started. For searches of workflows by themselves, not by their tasks.
    pub fn top_level_only(mut self) -> Self {
        self.is_top_level_only = true;
        self
    }

    /// What is wrong with it for this index, if anything.
    fn problem(&self, index: Option<Index>) -> Option<String> {
        if !(1..=LARGEST_PAGE).contains(&self.page_size) {
            return Some(format!("page_size is {}; it must be from 1 to 5,000", self.page_size));
        }
        if i32::try_from(self.skip).is_err() {
            return Some(format!("skip is {}; it must be at most {}", self.skip, i32::MAX));
        }
        if self.classifier.as_ref().is_some_and(|classifier| classifier.trim().is_empty()) {
            return Some("classifier must not be empty".to_owned());
        }
        let index = index?;
        let wrong = self.query.fields.iter().find(|field| !field.is_in(index));
        let wrong = wrong.map(|field| format!("query: the index of {index} has no {}", field.as_str()));
        wrong.or_else(|| self.query.problem.as_ref().map(|problem| format!("query: {problem}")))
    }
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl From<SearchQuery> for SearchRequest {
    fn from(query: SearchQuery) -> Self {
        Self::new().query(query)
    }
}

impl From<&str> for SearchRequest {
    /// Looks for what fulfils a query in the language of the server.
    fn from(query: &str) -> Self {
        Self::new().query(query)
    }
}

/// One page of what a search found.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
#[non_exhaustive]
pub struct SearchResult<T> {
    /// How many hits there are in all. Where whole workflows or tasks are searched, those of this page that have been removed
    /// are not counted (3.32.1).
    #[serde(default)]
    pub total_hits: i64,
    /// The hits of this page.
    #[serde(default = "Vec::new")]
    pub results: Vec<T>,
}

/// Where a search is sent.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) verb: &'static str,
    pub(crate) route: &'static str,
    /// What is filled into the route.
    pub(crate) values: Vec<String>,
    /// The name of the parameter for the size of a page.
    pub(crate) size_name: &'static str,
    /// Further parameters.
    pub(crate) params: Vec<(&'static str, String)>,
    /// What is wrong with the place itself, if anything.
    pub(crate) problem: Option<String>,
    /// The index with its query; `None` where the route knows neither queries nor orders.
    pub(crate) index: Option<Index>,
}

impl Place {
    /// A search of an index.
    pub(crate) fn of_index(verb: &'static str, route: &'static str, index: Index) -> Self {
        Self {
            verb,
            route,
            values: Vec::new(),
            size_name: "size",
            params: Vec::new(),
            problem: None,
            index: Some(index),
        }
    }
}

/// The parameters of a search that has no query, for those who name them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchParams {
    /// Each is there once.
    params: Vec<(&'static str, String)>,
    page_size: Option<u32>,
    /// What is wrong with a value.
    problem: Option<String>,
}

impl SearchParams {
    /// The last value counts.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.params.retain(|(known, _)| *known != name);
        self.params.push((name, value.into()));
    }

    /// Tells, when it is sent, that a value can't be used.
    pub(crate) fn refuse(&mut self, problem: Option<String>) {
        self.problem = problem;
    }

    pub(crate) fn set_page_size(&mut self, n_hits: u32) {
        self.page_size = Some(n_hits);
    }

    /// The search for these.
    pub(crate) fn search<T>(&self, http: &Arc<Http>, verb: &'static str, route: &'static str) -> Search<T> {
        let params = self.params.clone();
        // The server would leave the condition out.
        let empty = params.iter().find(|(_, value)| value.trim().is_empty());
        let problem = self.problem.clone().or(empty.map(|(name, _)| format!("{name} must not be empty")));
        let place = Place { verb, route, values: Vec::new(), size_name: "size", params, problem, index: None };
        let request = SearchRequest { page_size: self.page_size.unwrap_or(USUAL_PAGE), ..SearchRequest::new() };
        Search::new(http, place, request)
    }
}

/// A search that is ready to be sent. Nothing is sent before it is read.
///
/// It is an iterator's source: `for hit in search` fetches page after page, each when it is needed. An error ends it. What
/// starts, changes or is removed while it is read may be missed or come twice, since the server counts hits anew for each
/// page; it ends where the hits ended when it began.
///
/// ```no_run
/// # let client = conductor_sync::Client::from_env()?;
/// for workflow in client.workflows().search("workflowType=order AND status=FAILED") {
///     println!("{}", workflow?.workflow_id);
/// }
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[must_use]
pub struct Search<T> {
    http: Arc<Http>,
    place: Place,
    request: SearchRequest,
    hits: PhantomData<fn() -> T>,
}

impl<T> Search<T> {
    pub(crate) fn new(http: &Arc<Http>, place: Place, request: SearchRequest) -> Self {
        Self { http: Arc::clone(http), place, request, hits: PhantomData }
    }
}

impl<T: DeserializeOwned> Search<T> {
    /// Fetches the first page alone.
    ///
    /// # Errors
    /// When the request can't be used, or the server can't be reached or refuses.
    pub fn first_page(&self) -> Result<SearchResult<T>> {
        self.page(self.request.skip)
    }

    /// The pages, each fetched when it is asked for.
    pub fn pages(self) -> Pages<T> {
        Pages { next: Some(self.request.skip), end: None, n_empty: 0, search: self }
    }

    fn page(&self, start: u32) -> Result<SearchResult<T>> {
        let Self { place, request: asked, .. } = self;
        let object = place.values.first().map_or("", String::as_str);
        let invalid = |problem| Error::invalid(format!("{} {object}", place.verb).trim_end(), problem);
        if let Some(problem) = place.problem.clone().or_else(|| asked.problem(place.index)) {
            return Err(invalid(problem));
        }
        let values: Vec<&str> = place.values.iter().map(String::as_str).collect();
        let mut request = Request::new(Method::Get, place.route, &values, (place.verb, object))?
            .query("start", &start.to_string())
            .query(place.size_name, &asked.page_size.to_string());
        for (name, value) in &place.params {
            request = request.query(name, value);
        }
        if place.index.is_some() {
            let sort = asked.sort.join("|");
            request = request
                .query_some("query", Some(asked.query.conditions.join(" AND ")).filter(|q| !q.is_empty()).as_deref())
                .query_some("freeText", asked.free_text.as_deref())
                .query_some("sort", Some(sort.as_str()).filter(|sort| !sort.is_empty()))
                .query_some("classifier", asked.classifier.as_deref())
                .query_some("topLevelOnly", asked.is_top_level_only.then_some("true"));
        }
        self.http.send_safe(&request)?.json()
    }
}

impl<T> fmt::Debug for Search<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("place", &self.place).field("request", &self.request).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> IntoIterator for Search<T> {
    type Item = Result<T>;
    type IntoIter = Hits<T>;

    fn into_iter(self) -> Hits<T> {
        Hits { pages: self.pages(), page: VecDeque::new() }
    }
}

/// The pages of a [`Search`]. An error is the last item.
#[derive(Debug)]
#[must_use]
pub struct Pages<T> {
    search: Search<T>,
    /// Where the next page starts; `None` after the last.
    next: Option<u32>,
    /// Where the hits ended when the first page came.
    end: Option<i64>,
    n_empty: u32,
}

impl<T> Pages<T> {
    /// Where the page behind this one starts, if there can be one.
    ///
    /// The server takes removed workflows out of both the page and the total, so their difference, not the number of hits,
    /// tells how many entries the index has.
    fn after(&mut self, start: u32, page: &SearchResult<T>) -> Option<u32> {
        let n_hits = i64::try_from(page.results.len()).unwrap_or(i64::MAX);
        let n_behind = page.total_hits.saturating_sub(n_hits);
        let size = self.search.request.page_size;
        let end = *self.end.get_or_insert(n_behind.saturating_add(size.into()));
        self.n_empty = if n_hits == 0 { self.n_empty + 1 } else { 0 };
        let next = start.checked_add(size).filter(|next| i32::try_from(*next).is_ok())?;
        let goes_on = n_behind > start.into() && i64::from(next) < end && self.n_empty < MOST_EMPTY_PAGES;
        goes_on.then_some(next)
    }
}

impl<T: DeserializeOwned> Iterator for Pages<T> {
    type Item = Result<SearchResult<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next.take()?;
        let page = self.search.page(start);
        if let Ok(page) = &page {
            self.next = self.after(start, page);
        }
        Some(page)
    }
}

/// The hits of a [`Search`], one by one. An error is the last item.
#[derive(Debug)]
#[must_use]
pub struct Hits<T> {
    pages: Pages<T>,
    page: VecDeque<T>,
}

impl<T: DeserializeOwned> Iterator for Hits<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() {
            match self.pages.next()? {
                Ok(page) => self.page = page.results.into(),
                Err(error) => return Some(Err(error)),
            }
        }
        self.page.pop_front().map(Ok)
    }
}
