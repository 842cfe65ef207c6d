//! Map states: processor, items and limits, and for a distributed Map its reader, batcher and
//! writer.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::forms;
use super::model::{
    ItemBatcher, ItemReader, Language, MapItems, MapState, ResultWriter, Transformation,
};
use super::reader::DefinitionReader;
use super::values::{list, object, reference, text};
use crate::expression::Known;
use crate::items::{Format, Header};
use crate::jsonata::is_expression;
use crate::path::Path;
use crate::substitution::{has_placeholder, is_placeholder};
use crate::{Resource, WorkflowType};

/// Maximum length of a Map's label, in characters.
const MAX_LABEL: usize = 40;

impl DefinitionReader {
    pub(super) fn map(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<MapState> {
        let field = if map.contains_key("ItemProcessor") {
            "ItemProcessor"
        } else {
            "Iterator"
        };
        let label = self.label(map, at);
        let items = self.items(map, at, language);
        let reader = self.item_reader(map, at, language);
        let batcher = self.batcher(map, at, language);
        let writer = self.writer(map, at, language);
        let mut number = |key, path_key| self.number(map, key, path_key, at, language);
        let concurrency = number("MaxConcurrency", "MaxConcurrencyPath");
        let tolerated_count = number("ToleratedFailureCount", "ToleratedFailureCountPath");
        let tolerated_percentage = number(
            "ToleratedFailurePercentage",
            "ToleratedFailurePercentagePath",
        );
        let inner = object(map, field)?;
        let here = format!("{at}/{field}");
        self.form(inner, &here, &forms::PROCESSOR, None);
        let mut is_distributed = self.mode(inner, &here);
        if !is_distributed {
            for name in ["ItemReader", "ItemBatcher", "ResultWriter", "Label"] {
                if map.contains_key(name) {
                    self.warn(
                        &format!("{at}/{name}"),
                        "The Map runs as one of mode DISTRIBUTED: only such a Map has this field",
                    );
                    is_distributed = true;
                }
            }
        }
        // A child execution has its own variables, and an Express child waits for no callback.
        let outer = is_distributed.then(|| std::mem::take(&mut self.scopes));
        let workflow_type = self.workflow_type;
        let child = object(inner, "ProcessorConfig").and_then(|c| text(c, "ExecutionType"));
        if is_distributed && child.as_deref() == Some("EXPRESS") {
            self.workflow_type = WorkflowType::Express;
        }
        let processor = Arc::new(self.graph(inner, &here));
        self.workflow_type = workflow_type;
        if let Some(outer) = outer {
            self.scopes = outer;
        }
        Some(MapState {
            items: items?,
            processor,
            is_distributed,
            label,
            concurrency,
            tolerated_count,
            tolerated_percentage,
            reader,
            batcher,
            writer,
        })
    }

    fn items(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<MapItems> {
        if language == Language::JsonPath {
            return match map.get("ItemsPath") {
                None => Path::parse("$"),
                Some(found) => reference(found),
            }
            .map(MapItems::Path);
        }
        let Some(given) = map.get("Items") else {
            return Some(MapItems::Input);
        };
        let constant = given.is_array() || given.is_object() || is_placeholder(given);
        if !constant && !given.as_str().is_some_and(is_expression) {
            self.bad(&format!("{at}/Items"), "Expected value of type Array");
            return None;
        }
        self.template(map, "Items", at, language, Known::BEFORE)
            .map(MapItems::Jsonata)
    }

    fn mode(&mut self, inner: &Map<String, Value>, at: &str) -> bool {
        let Some(config) = object(inner, "ProcessorConfig") else {
            return false;
        };
        let here = format!("{at}/ProcessorConfig");
        let mode = text(config, "Mode");
        let distributed = mode.as_deref() == Some("DISTRIBUTED");
        let form = match mode.as_deref() {
            None | Some("INLINE") => &forms::INLINE,
            Some("DISTRIBUTED") => &forms::DISTRIBUTED,
            Some(_) => &forms::ANY_MODE,
        };
        self.form(config, &here, form, None);
        if distributed && self.workflow_type == WorkflowType::Express {
            self.bad(
                &format!("{here}/Mode"),
                "The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines",
            );
        }
        distributed
    }

    fn label(&mut self, map: &Map<String, Value>, at: &str) -> Option<String> {
        let label = text(map, "Label")?;
        let here = format!("{at}/Label");
        if has_placeholder(&label) {
            return Some(label);
        }
        if label.is_empty() {
            self.bad(&here, "Label cannot be empty");
        } else if label.chars().count() > MAX_LABEL {
            self.bad(&here, format!("Label cannot exceed {MAX_LABEL} characters"));
        } else if let Some(c) = label.chars().find(|c| {
            c.is_whitespace()
                || c.is_control()
                || "?*<>{}[]:;,\\|^~$#%&`\"".contains(*c)
                || ('\u{7f}'..='\u{9f}').contains(c)
        }) {
            self.bad(
                &here,
                format!("Label contains invalid character: '{}'", c.escape_default()),
            );
        } else if !self.labels.insert(label.clone()) {
            self.problem(
                "DUPLICATE_LABEL_NAME",
                &here,
                format!("Duplicate Label name: {label}"),
                "give each Map its own label",
            );
        }
        Some(label)
    }

    /// Reads the resource of a reader or a writer, with its request.
    fn service(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        actions: &[&str],
        language: Language,
    ) -> Option<Resource> {
        let arn = text(map, "Resource")?;
        let Some(resource) = Resource::parse_s3(&arn, actions) else {
            self.bad(
                &format!("{at}/Resource"),
                "The field 'Resource' does not match any of the allowed values",
            );
            return None;
        };
        if !has_placeholder(&arn) {
            self.request(map, &resource, &arn, at, language);
        }
        Some(resource)
    }

    fn arguments(language: Language) -> &'static str {
        match language {
            Language::JsonPath => "Parameters",
            Language::Jsonata => "Arguments",
        }
    }

    fn item_reader(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<ItemReader> {
        let reader = object(map, "ItemReader")?;
        let here = format!("{at}/ItemReader");
        self.form(reader, &here, &forms::ITEM_READER, Some(language));
        let resource = self.service(reader, &here, &["getObject", "listObjectsV2"], language);
        let arguments = self.template(
            reader,
            Self::arguments(language),
            &here,
            language,
            Known::BEFORE,
        );
        let empty = Map::new();
        let config = object(reader, "ReaderConfig").unwrap_or(&empty);
        let place = format!("{here}/ReaderConfig");
        self.form(config, &place, &forms::READER_CONFIG, Some(language));
        let max_items = self.number(config, "MaxItems", "MaxItemsPath", &place, language);
        let lists = matches!(&resource, Some(Resource::Service { action, .. }) if action == "listObjectsV2");
        let format = self.format(config, &place, lists);
        Some(ItemReader {
            resource: resource?,
            arguments,
            format: format?,
            max_items,
        })
    }

    fn format(&mut self, config: &Map<String, Value>, at: &str, lists: bool) -> Option<Format> {
        let loads = text(config, "Transformation").as_deref() == Some("LOAD_AND_FLATTEN");
        if loads {
            self.warn(
                &format!("{at}/Transformation"),
                "LOAD_AND_FLATTEN is not available here: read one object, or let the iterations read those that are listed",
            );
        }
        let kind = text(config, "InputType");
        let pointer = text(config, "ItemsPointer");
        if let Some(text) = &pointer
            && !has_placeholder(text)
            && (!text.starts_with('/') || kind.as_deref().is_some_and(|kind| kind != "JSON"))
        {
            self.bad(
                &format!("{at}/ItemsPointer"),
                "ItemsPointer must be a JSON pointer such as /a/b, of an object of the InputType JSON",
            );
        }
        if let Some(kind) = &kind
            && matches!(kind.as_str(), "JSON" | "JSONL" | "PARQUET")
        {
            for field in ["CSVHeaderLocation", "CSVHeaders", "CSVDelimiter"] {
                if config.contains_key(field) {
                    self.bad(at, format!("Field '{field}' is not supported"));
                }
            }
        }
        Some(match kind.as_deref() {
            _ if loads => Format::Unavailable("LOAD_AND_FLATTEN".to_owned()),
            _ if lists => Format::Json(None),
            None | Some("JSON") => Format::Json(pointer),
            Some("JSONL") => Format::JsonLines,
            Some("CSV") => self.csv(config, at)?,
            Some(other @ ("MANIFEST" | "PARQUET")) => {
                self.warn(
                    &format!("{at}/InputType"),
                    format!(
                        "The input type {other} is not available here: read JSON, JSONL or CSV"
                    ),
                );
                Format::Unavailable(other.to_owned())
            }
            Some(other) => {
                return has_placeholder(other).then_some(Format::Json(None));
            }
        })
    }

    fn csv(&mut self, config: &Map<String, Value>, at: &str) -> Option<Format> {
        let delimiters = [
            ("COMMA", b','),
            ("PIPE", b'|'),
            ("SEMICOLON", b';'),
            ("SPACE", b' '),
            ("TAB", b'\t'),
        ];
        let named = text(config, "CSVDelimiter");
        let delimiter = delimiters
            .into_iter()
            .find(|(name, _)| named.as_deref() == Some(*name))
            .map_or(b',', |(_, byte)| byte);
        let header = match text(config, "CSVHeaderLocation").as_deref() {
            Some("GIVEN") => {
                self.required(config, &["CSVHeaders"], at);
                let mut names = Vec::new();
                for (i, header) in list(config, "CSVHeaders").iter().enumerate() {
                    match header.as_str() {
                        Some(name) => names.push(name.to_owned()),
                        None if is_placeholder(header) => {}
                        None => self.bad(
                            &format!("{at}/CSVHeaders[{i}]"),
                            "Expected value of type String",
                        ),
                    }
                }
                Header::Given(names)
            }
            Some(_) => Header::FirstRow,
            None => {
                if !config.contains_key("CSVHeaderLocation") {
                    self.bad(at, "The field 'CSVHeaderLocation' is required");
                }
                return None;
            }
        };
        Some(Format::Csv { header, delimiter })
    }

    fn batcher(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<ItemBatcher> {
        let batcher = object(map, "ItemBatcher")?;
        let here = format!("{at}/ItemBatcher");
        self.form(batcher, &here, &forms::ITEM_BATCHER, Some(language));
        if !batcher.keys().any(|key| key.starts_with("Max")) {
            self.bad(
                &here,
                "These fields are required: one of [MaxItemsPerBatch, MaxInputBytesPerBatch]",
            );
        }
        let input = self.template(batcher, "BatchInput", &here, language, Known::BEFORE);
        let mut number = |key, path_key| self.number(batcher, key, path_key, &here, language);
        Some(ItemBatcher {
            input,
            max_items: number("MaxItemsPerBatch", "MaxItemsPerBatchPath"),
            max_bytes: number("MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath"),
        })
    }

    fn writer(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<ResultWriter> {
        let writer = object(map, "ResultWriter")?;
        let here = format!("{at}/ResultWriter");
        self.form(writer, &here, &forms::RESULT_WRITER, Some(language));
        if !writer.contains_key("Resource") && !writer.contains_key("WriterConfig") {
            self.bad(
                &here,
                "These fields are required: one of [Resource, WriterConfig]",
            );
        }
        let (mut transformation, mut json_lines) = (None, false);
        if let Some(config) = object(writer, "WriterConfig") {
            let here = format!("{here}/WriterConfig");
            self.form(config, &here, &forms::WRITER_CONFIG, None);
            transformation = match text(config, "Transformation").as_deref() {
                Some("COMPACT") => Some(Transformation::Compact),
                Some("FLATTEN") => Some(Transformation::Flatten),
                Some(_) => Some(Transformation::None),
                None => None,
            };
            json_lines = text(config, "OutputType").as_deref() == Some("JSONL");
            if json_lines && !writer.contains_key("Resource") {
                self.warn(
                    &format!("{here}/OutputType"),
                    "Only files can be JSON Lines: the state's output stays JSON",
                );
            }
        }
        let resource = self.service(writer, &here, &["putObject"], language);
        let arguments = self.template(
            writer,
            Self::arguments(language),
            &here,
            language,
            Known::BEFORE,
        );
        (resource.is_some() || !writer.contains_key("Resource")).then_some(ResultWriter {
            arguments,
            transformation,
            json_lines,
        })
    }
}
