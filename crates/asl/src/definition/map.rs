//! Map states: processor, items, limits, and what a distributed one reads, batches and writes.
use super::{
    model::{Batcher, Items, Language, MapState, Reader as ItemReader, Transformation, Writer},
    reader::Reader,
};
use crate::{
    Resource,
    execution::Kind as Type,
    items::{Format, Header},
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Characters of a Map's label.
const MAX_LABEL: usize = 40;
const WHOLE: (f64, f64, bool) = (0.0, 1e15, true);

impl Reader {
    pub(super) fn map(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<MapState> {
        self.exclusive(map, &["ItemProcessor", "Iterator"], at);
        let field = if map.contains_key("Iterator") && !map.contains_key("ItemProcessor") {
            "Iterator"
        } else {
            "ItemProcessor"
        };
        self.required(map, &[field], at);
        let inner = self.object(map, field, at)?;
        let here = format!("{at}/{field}");
        self.known(
            inner,
            &[
                "StartAt",
                "States",
                "Comment",
                "ProcessorConfig",
                "QueryLanguage",
            ],
            &here,
        );
        let is_distributed = self.mode(inner, &here);
        let processor = Arc::new(self.graph(inner, &here));
        let items = match language {
            Language::JsonPath => {
                if map.get("ItemsPath").is_some_and(Value::is_null) {
                    self.bad(
                        &format!("{at}/ItemsPath"),
                        "Value is not a Reference Path: null",
                    );
                }
                Items::Path(self.path(map, "ItemsPath", at, false)?)
            }
            Language::Jsonata => {
                match self.template(map, "Items", at, language) {
                    Some(template) => {
                        let given = &map["Items"];
                        if !given.is_array()
                            && !given.as_str().is_some_and(crate::jsonata::is_expression)
                        {
                            self.bad(&format!("{at}/Items"), format!("Items must be an array or a JSONata expression, but was {given}"));
                        }
                        Items::Jsonata(template)
                    }
                    None => Items::Input,
                }
            }
        };
        let mut is_distributed = is_distributed;
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
        Some(MapState {
            items,
            processor,
            is_distributed,
            label: self.label(map, at),
            concurrency: self.number(
                map,
                "MaxConcurrency",
                "MaxConcurrencyPath",
                at,
                WHOLE,
                language,
            ),
            tolerated_count: self.number(
                map,
                "ToleratedFailureCount",
                "ToleratedFailureCountPath",
                at,
                WHOLE,
                language,
            ),
            tolerated_percentage: self.number(
                map,
                "ToleratedFailurePercentage",
                "ToleratedFailurePercentagePath",
                at,
                (0.0, 100.0, false),
                language,
            ),
            reader: self.item_reader(map, at, language),
            batcher: self.batcher(map, at, language),
            writer: self.writer(map, at, language),
        })
    }

    fn mode(&mut self, inner: &Map<String, Value>, at: &str) -> bool {
        let Some(config) = self.object(inner, "ProcessorConfig", at) else {
            return false;
        };
        let here = format!("{at}/ProcessorConfig");
        self.known(config, &["Mode", "ExecutionType"], &here);
        let modes = [("INLINE", false), ("DISTRIBUTED", true)];
        let distributed = self.one_of(config, "Mode", &here, &modes).unwrap_or(false);
        let types = [("STANDARD", ()), ("EXPRESS", ())];
        self.one_of(config, "ExecutionType", &here, &types);
        if distributed && !config.contains_key("ExecutionType") {
            self.warn(
                &here,
                "A Map of mode DISTRIBUTED should have an ExecutionType",
            );
        }
        if distributed && self.kind == Type::Express {
            self.bad(
                &format!("{here}/Mode"),
                "Express state machine does not support Map states of mode DISTRIBUTED",
            );
        }
        distributed
    }

    fn label(&mut self, map: &Map<String, Value>, at: &str) -> Option<String> {
        let label = self.string(map, "Label", at)?;
        let here = format!("{at}/Label");
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
        }
        Some(label)
    }

    fn service(&mut self, map: &Map<String, Value>, at: &str) -> Option<Resource> {
        let arn = self.string(map, "Resource", at)?;
        let resource = Resource::parse_reader(&arn);
        if resource.is_none() {
            self.bad(
                &format!("{at}/Resource"),
                format!("The resource provided {arn} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region."),
            );
        }
        resource
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
        let reader = self.object(map, "ItemReader", at)?;
        let here = format!("{at}/ItemReader");
        let arguments = Self::arguments(language);
        self.known(reader, &["Resource", "ReaderConfig", arguments], &here);
        self.required(reader, &["Resource"], &here);
        let resource = self.service(reader, &here)?;
        let empty = Map::new();
        let config = self.object(reader, "ReaderConfig", &here).unwrap_or(&empty);
        let place = format!("{here}/ReaderConfig");
        self.known(
            config,
            &[
                "InputType",
                "CSVHeaderLocation",
                "CSVHeaders",
                "CSVDelimiter",
                "MaxItems",
                "MaxItemsPath",
                "Transformation",
                "ManifestType",
                "ItemsPointer",
            ],
            &place,
        );
        let loads = [("NONE", false), ("LOAD_AND_FLATTEN", true)];
        let loads = self.one_of(config, "Transformation", &place, &loads) == Some(true);
        if loads {
            self.warn(
                &format!("{place}/Transformation"),
                "LOAD_AND_FLATTEN is not available here: read one object, or let the iterations read those that are listed",
            );
        }
        let pointer = self.string(config, "ItemsPointer", &place);
        if let Some(text) = &pointer
            && (!text.starts_with('/') || config.get("InputType").is_some_and(|t| t != "JSON"))
        {
            self.bad(
                &format!("{place}/ItemsPointer"),
                "ItemsPointer must be a JSON pointer such as /a/b, of an object of the InputType JSON",
            );
        }
        let lists =
            matches!(&resource, Resource::Service { action, .. } if action == "listObjectsV2");
        let format = match config.get("InputType").map(|t| t.as_str()) {
            _ if loads => Format::Unavailable("LOAD_AND_FLATTEN".to_owned()),
            _ if lists => Format::Json(None),
            None | Some(Some("JSON")) => Format::Json(pointer),
            Some(Some("JSONL")) => Format::JsonLines,
            Some(Some("CSV")) => self.csv(config, &place)?,
            Some(Some(other @ ("MANIFEST" | "PARQUET"))) => {
                self.warn(
                    &format!("{place}/InputType"),
                    format!(
                        "The input type {other} is not available here: read JSON, JSONL or CSV"
                    ),
                );
                Format::Unavailable(other.to_owned())
            }
            Some(_) if self.unresolved(&config["InputType"], &format!("{place}/InputType")) => {
                Format::Json(None)
            }
            Some(_) => {
                self.bad(
                    &format!("{place}/InputType"),
                    "InputType must be one of CSV, JSON, JSONL, MANIFEST and PARQUET",
                );
                return None;
            }
        };
        Some(ItemReader {
            resource,
            arguments: self.template(reader, arguments, &here, language),
            format,
            max_items: self.number(
                config,
                "MaxItems",
                "MaxItemsPath",
                &place,
                (0.0, 1e8, true),
                language,
            ),
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
        let delimiter = self
            .one_of(config, "CSVDelimiter", at, &delimiters)
            .unwrap_or(b',');
        let header = match config.get("CSVHeaderLocation").map(|l| l.as_str()) {
            Some(Some("FIRST_ROW")) => Header::FirstRow,
            Some(Some("GIVEN")) => {
                let names: Vec<String> = self
                    .list(config, "CSVHeaders", at)
                    .iter()
                    .filter_map(|h| h.as_str().map(str::to_owned))
                    .collect();
                if names.is_empty() {
                    self.bad(
                        &format!("{at}/CSVHeaders"),
                        "CSVHeaders must be a list of at least one string",
                    );
                }
                Header::Given(names)
            }
            _ => {
                self.bad(
                    &format!("{at}/CSVHeaderLocation"),
                    "CSVHeaderLocation must be FIRST_ROW or GIVEN",
                );
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
    ) -> Option<Batcher> {
        let batcher = self.object(map, "ItemBatcher", at)?;
        let here = format!("{at}/ItemBatcher");
        self.known(
            batcher,
            &[
                "BatchInput",
                "MaxItemsPerBatch",
                "MaxItemsPerBatchPath",
                "MaxInputBytesPerBatch",
                "MaxInputBytesPerBatchPath",
            ],
            &here,
        );
        let most = (1.0, 1e15, true);
        let batcher = Batcher {
            input: self.template(batcher, "BatchInput", &here, language),
            max_items: self.number(
                batcher,
                "MaxItemsPerBatch",
                "MaxItemsPerBatchPath",
                &here,
                most,
                language,
            ),
            max_bytes: self.number(
                batcher,
                "MaxInputBytesPerBatch",
                "MaxInputBytesPerBatchPath",
                &here,
                (1.0, 262_144.0, true),
                language,
            ),
        };
        if batcher.max_items.is_none() && batcher.max_bytes.is_none() {
            self.bad(
                &here,
                "These fields are required: one of [MaxItemsPerBatch, MaxInputBytesPerBatch]",
            );
        }
        Some(batcher)
    }

    fn writer(&mut self, map: &Map<String, Value>, at: &str, language: Language) -> Option<Writer> {
        let writer = self.object(map, "ResultWriter", at)?;
        let here = format!("{at}/ResultWriter");
        let arguments = Self::arguments(language);
        self.known(writer, &["Resource", "WriterConfig", arguments], &here);
        if !writer.contains_key("Resource") && !writer.contains_key("WriterConfig") {
            self.bad(
                &here,
                "These fields are required: one of [Resource, WriterConfig]",
            );
        }
        let (mut transformation, mut json_lines) = (None, false);
        if let Some(config) = self.object(writer, "WriterConfig", &here) {
            let here = format!("{here}/WriterConfig");
            self.known(config, &["Transformation", "OutputType"], &here);
            transformation = self.one_of(
                config,
                "Transformation",
                &here,
                &[
                    ("NONE", Transformation::None),
                    ("COMPACT", Transformation::Compact),
                    ("FLATTEN", Transformation::Flatten),
                ],
            );
            let kinds = [("JSON", false), ("JSONL", true)];
            json_lines = self
                .one_of(config, "OutputType", &here, &kinds)
                .unwrap_or(false);
            if json_lines && !writer.contains_key("Resource") {
                self.warn(
                    &format!("{here}/OutputType"),
                    "Only files can be JSON Lines: the state's output stays JSON",
                );
            }
        }
        let resource = self.service(writer, &here);
        let arguments = self.template(writer, arguments, &here, language);
        (resource.is_some() || !writer.contains_key("Resource")).then_some(Writer {
            arguments,
            transformation,
            json_lines,
        })
    }

    /// The value that a text stands for; another text is a problem.
    fn one_of<T: Copy>(
        &mut self,
        map: &Map<String, Value>,
        key: &str,
        at: &str,
        values: &[(&str, T)],
    ) -> Option<T> {
        let found = map.get(key)?;
        let value = values.iter().find(|(name, _)| found == name);
        if value.is_none() && !self.unresolved(found, &format!("{at}/{key}")) {
            let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
            self.bad(
                &format!("{at}/{key}"),
                format!("{key} must be one of {}, not {found}", names.join(", ")),
            );
        }
        value.map(|(_, value)| *value)
    }
}
