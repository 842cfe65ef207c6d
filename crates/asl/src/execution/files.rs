//! Files of a distributed Map: reading items and writing results. It makes requests and handles
//! answers; the driver does the I/O.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Execution;
use super::children::{Children, OpenMapRun};
use super::data::Data;
use super::distributed::flattened;
use super::fields::fill;
use super::map_plan::ItemList;
use super::model::{FilesRequest, OpenFiles, ThreadPhase};
use crate::definition::model::{MapState, ResultWriter, StateKind, Transformation, plain};
use crate::fault::{Fault, Origin};
use crate::scope::Context;
use crate::{Effect, ReadItems, TaskId, WriteResults, items};

impl Execution {
    pub(super) fn read_items(
        &mut self,
        id: u64,
        map: &MapState,
        input: Arc<Data>,
        concurrency: usize,
        run: Box<OpenMapRun>,
    ) {
        let (Some(reader), Some(thread)) = (&map.reader, self.threads.get(&id)) else {
            return;
        };
        let state = Arc::clone(&thread.state);
        let step = thread.step.to_string();
        let context = Context::new(|| self.context_object(thread, None));
        let arguments = match &reader.arguments {
            None => Ok(json!({})),
            Some(template) => fill(
                template,
                &self.scope(thread, input.value(), &context),
                "ItemReader/Arguments",
                &state.name,
            ),
        };
        drop(context);
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(fault) => return self.fail(id, fault, None),
        };
        let task = self.next_task();
        let request = FilesRequest::Read(ReadItems {
            task,
            state: state.name.to_string(),
            step,
            resource: reader.resource.clone(),
            arguments: arguments.to_string().into(),
        });
        let children = Box::new(Children::none(input, concurrency, run));
        self.await_files(id, request, children);
    }

    pub(super) fn await_files(&mut self, id: u64, request: FilesRequest, children: Box<Children>) {
        self.tasks.insert(request.task(), id);
        self.out.push(request.effect());
        if let Some(thread) = self.threads.get_mut(&id) {
            thread.phase = ThreadPhase::Files(Box::new(OpenFiles { request, children }));
        }
    }

    pub(super) fn files(&mut self, task: TaskId) -> Option<(u64, OpenFiles)> {
        let id = *self.tasks.get(&task)?;
        let thread = self.threads.get_mut(&id)?;
        if !matches!(thread.phase, ThreadPhase::Files(_)) {
            return None;
        }
        let ThreadPhase::Files(files) = std::mem::replace(&mut thread.phase, ThreadPhase::Run)
        else {
            return None;
        };
        self.tasks.remove(&task);
        Some((id, *files))
    }

    pub(super) fn items_read(&mut self, task: TaskId, body: &str) {
        let reading = self.tasks.get(&task).and_then(|id| self.threads.get(id)).is_some_and(|t| {
            matches!(&t.phase, ThreadPhase::Files(f) if matches!(f.request, FilesRequest::Read(_)))
        });
        if !reading {
            return;
        }
        let Some((id, OpenFiles { children, .. })) = self.files(task) else {
            return;
        };
        let Children {
            input,
            run: Some(run),
            concurrency,
            ..
        } = *children
        else {
            return;
        };
        match self.items(id, &input, body) {
            Ok(items) => self.begin_run(id, ItemList::of(items), input, concurrency, run),
            Err(fault) => self.run_failed(id, run.index, fault),
        }
    }

    pub(super) fn items(
        &self,
        id: u64,
        input: &Arc<Data>,
        body: &str,
    ) -> Result<Vec<Value>, Fault> {
        let Some(thread) = self.threads.get(&id) else {
            return Ok(Vec::new());
        };
        let StateKind::Map(map) = &thread.state.kind else {
            return Ok(Vec::new());
        };
        let Some(reader) = &map.reader else {
            return Ok(Vec::new());
        };
        let context = Context::new(|| self.context_object(thread, None));
        let scope = self.scope(thread, input.value(), &context);
        let most = match &reader.max_items {
            None => None,
            Some(number) => {
                let most = number.read(&scope, true, |field, path, value| {
                    format!("The {field} field refers to value \"{}\" which is not a valid integer: {path}", plain(value))
                })?;
                let within = number.within(most, (0.0, f64::INFINITY), String::new);
                let most = within.map_err(|fault| match fault.origin {
                    Origin::Evaluation(_) => fault,
                    _ => Fault::plain("States.ItemReaderFailed", "field MaxItems must be positive"),
                })?;
                Some(most as usize).filter(|m| *m > 0)
            }
        };
        items::parse(&reader.format, body, most)
    }

    /// Handles a failure to read or write the files.
    pub(super) fn files_failed(&mut self, task: TaskId, error: &str, cause: &str) -> bool {
        let Some((id, files)) = self.files(task) else {
            return false;
        };
        let name = match files.request {
            FilesRequest::Read(_) => "States.ItemReaderFailed",
            FilesRequest::Write(..) => "States.ResultWriterFailed",
        };
        let cause = if error.is_empty() || error == name {
            cause.to_owned()
        } else {
            format!("{error}: {cause}")
        };
        let index = files.children.run.map_or(0, |r| r.index);
        self.run_failed(id, index, Fault::plain(name, cause));
        true
    }

    pub(super) fn write_results(
        &mut self,
        id: u64,
        run: usize,
        input: &Arc<Data>,
        writer: &ResultWriter,
        (good, bad): (Vec<Value>, Vec<Value>),
    ) {
        let (Some(thread), Some(template)) = (self.threads.get(&id), &writer.arguments) else {
            return;
        };
        let (state, step) = (Arc::clone(&thread.state), thread.step.to_string());
        let good = match writer.transformation {
            None | Some(Transformation::None) => good,
            Some(Transformation::Compact) => good.iter().map(output).collect(),
            Some(Transformation::Flatten) => flattened(good.iter().map(output).collect()),
        };
        let context = Context::new(|| self.context_object(thread, None));
        let arguments = fill(
            template,
            &self.scope(thread, input.value(), &context),
            "ResultWriter/Arguments",
            &state.name,
        );
        drop(context);
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(fault) => return self.fail(id, fault, None),
        };
        let text = |key: &str| {
            arguments
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (bucket, prefix) = (text("Bucket"), text("Prefix"));
        let arn = self
            .runs
            .get(run)
            .map_or_else(String::new, |r| r.arn.clone());
        let uuid = arn.rsplit_once(':').map_or("", |p| p.1);
        let folder = match prefix.trim_end_matches('/') {
            "" => uuid.to_owned(),
            prefix => format!("{prefix}/{uuid}"),
        };
        let (manifest, files) = result_files(&folder, &bucket, &arn, writer.json_lines, good, bad);
        let details = json!({"Bucket": bucket, "Key": manifest});
        let result = json!({"MapRunArn": arn, "ResultWriterDetails": details});
        let task = self.next_task();
        let request = FilesRequest::Write(
            WriteResults {
                task,
                state: state.name.to_string(),
                step,
                bucket,
                files,
            },
            Arc::new(result),
        );
        let children = Box::new(Children::none(
            Arc::clone(input),
            0,
            Box::new(OpenMapRun {
                index: run,
                reports: None,
            }),
        ));
        self.await_files(id, request, children);
    }

    pub(super) fn results_written(&mut self, task: TaskId) {
        let writing = self.tasks.get(&task).and_then(|id| self.threads.get(id)).is_some_and(|t| {
            matches!(&t.phase, ThreadPhase::Files(f) if matches!(f.request, FilesRequest::Write(..)))
        });
        if !writing {
            return;
        }
        if let Some((
            id,
            OpenFiles {
                request: FilesRequest::Write(_, result),
                children,
            },
        )) = self.files(task)
        {
            let index = children.run.map_or(0, |r| r.index);
            self.run_succeeded(id, index, &result);
        }
    }

    /// Forgets a request for files whose answer is no longer needed.
    pub(super) fn forget_files(&mut self, files: &OpenFiles) {
        let task = files.request.task();
        self.tasks.remove(&task);
        self.out.push(Effect::CancelTask(task));
    }
}

/// The files of a map run's results, the manifest last, and the key of the manifest.
fn result_files(
    folder: &str,
    bucket: &str,
    arn: &str,
    json_lines: bool,
    good: Vec<Value>,
    bad: Vec<Value>,
) -> (String, Vec<(String, Arc<str>)>) {
    let ending = if json_lines { "jsonl" } else { "json" };
    let mut files: Vec<(String, Arc<str>)> = Vec::new();
    let mut listed = |name: &str, entries: Vec<Value>| -> Value {
        if entries.is_empty() {
            return json!([]);
        }
        let body = if json_lines {
            entries.iter().map(|entry| format!("{entry}\n")).collect()
        } else {
            Value::Array(entries).to_string()
        };
        let (key, body): (String, Arc<str>) = (format!("{folder}/{name}_0.{ending}"), body.into());
        let listed = json!([{"Key": key, "Size": body.len()}]);
        files.push((key, body));
        listed
    };
    let manifest = json!({
        "DestinationBucket": bucket, "MapRunArn": arn,
        "ResultFiles": {"FAILED": listed("FAILED", bad), "PENDING": [], "SUCCEEDED": listed("SUCCEEDED", good)},
    });
    let key = format!("{folder}/manifest.json");
    files.push((key.clone(), manifest.to_string().into()));
    (key, files)
}

/// The output in an entry.
fn output(entry: &Value) -> Value {
    let text = entry["Output"].as_str();
    text.and_then(|text| json::read_made(text).ok())
        .unwrap_or_default()
}
