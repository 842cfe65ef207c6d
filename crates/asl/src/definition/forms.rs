//! The forms of all objects of a definition. `form` checks objects against them.
//!
//! Sources: the Amazon States Language, the AWS Step Functions developer guide (one page for each
//! state type, "Transforming data with JSONata", "Variables", "ItemReader", "ItemBatcher",
//! "ResultWriter", "Service quotas"), and answers of `ValidateStateMachineDefinition`.

use super::field::{Field, Form, OneOf, Takes};
use crate::limits::MAX_SECONDS;
use crate::path::Roots;

/// Maximum of `MaxDelaySeconds` (366 days).
const MAX_DELAY: f64 = 31_622_400.0;
/// Maximum of `MaxInputBytesPerBatch`, in bytes.
const MAX_BATCH_BYTES: f64 = 262_144.0;
/// Maximum of `MaxItems`.
const MAX_ITEMS: f64 = 100_000_000.0;
/// The maximum of a 64-bit integer, where AWS documents none.
const ANY: f64 = i64::MAX as f64;

const LANGUAGES: Takes = Takes::Word(&["JSONPath", "JSONata"]);
const SECONDS: Takes = Takes::Integer(1.0, MAX_SECONDS);
const COUNT: Takes = Takes::Integer(0.0, ANY);
const VALUE: Takes = Takes::Reference(Roots::Variables);
const NEXT: Field = Field::both("Next", Takes::Text);
const END: Field = Field::both("End", Takes::Boolean);
const TYPE: Field = Field::both("Type", Takes::Text);
const COMMENT: Field = Field::both("Comment", Takes::Text);
const QUERY_LANGUAGE: Field = Field::both("QueryLanguage", LANGUAGES);
const ASSIGN: Field = Field::both("Assign", Takes::Object);
const OUTPUT: Field = Field::jsonata("Output", Takes::Anything);
const ARGUMENTS: Field = Field::jsonata("Arguments", Takes::Anything);
const INPUT_PATH: Field = Field::jsonpath("InputPath", Takes::Path);
const OUTPUT_PATH: Field = Field::jsonpath("OutputPath", Takes::Path);
const RESULT_PATH: Field = Field::jsonpath("ResultPath", Takes::ReferenceOrNull(Roots::Input));
const PARAMETERS: Field = Field::jsonpath("Parameters", Takes::Anything);
const RESULT_SELECTOR: Field = Field::jsonpath("ResultSelector", Takes::Anything);
const RETRY: Field = Field::both("Retry", Takes::List(0));
const CATCH: Field = Field::both("Catch", Takes::List(0));
const START_AT: Field = Field::both("StartAt", Takes::Text);
const STATES: Field = Field::both("States", Takes::Object);
const RESOURCE: Field = Field::both("Resource", Takes::Text);

/// The first fields of every state.
const HEAD: &[Field] = &[TYPE, COMMENT, QUERY_LANGUAGE];
/// The fields of every state that another one may follow.
const FLOW: &[Field] = &[NEXT, END, ASSIGN, OUTPUT];
const HANDLERS: &[Field] = &[RETRY, CATCH];
const PATHS: &[Field] = &[INPUT_PATH, OUTPUT_PATH];
const DATA: &[Field] = &[INPUT_PATH, OUTPUT_PATH, RESULT_PATH, PARAMETERS];
/// The JSONPath fields of the states that do work.
const WORK_DATA: &[Field] = &[
    INPUT_PATH,
    OUTPUT_PATH,
    RESULT_PATH,
    PARAMETERS,
    RESULT_SELECTOR,
];
/// The first fields of every object with states.
const GRAPH: &[Field] = &[COMMENT, START_AT, STATES];

/// Two fields of which an object may have one: the value, or a path to it.
const fn either(names: &'static [&'static str]) -> OneOf {
    OneOf {
        names,
        required: false,
    }
}

pub(super) const MACHINE: Form = Form {
    fields: &[
        GRAPH,
        &[
            Field::both("Version", Takes::Word(&["1.0"])),
            Field::both("TimeoutSeconds", Takes::Integer(0.0, MAX_SECONDS)),
            QUERY_LANGUAGE,
        ],
    ],
    required: &["States", "StartAt"],
    one_of: &[],
};

pub(super) const BRANCH: Form = Form {
    fields: &[GRAPH],
    required: &["States", "StartAt"],
    one_of: &[],
};

pub(super) const PROCESSOR: Form = Form {
    fields: &[GRAPH, &[Field::both("ProcessorConfig", Takes::Object)]],
    required: &["States", "StartAt"],
    one_of: &[],
};

const MODE: Field = Field::both("Mode", Takes::Word(&["INLINE", "DISTRIBUTED"]));
/// `ProcessorConfig` without a mode, or with mode INLINE.
pub(super) const INLINE: Form = Form {
    fields: &[&[MODE]],
    required: &[],
    one_of: &[],
};

/// `ProcessorConfig` with mode DISTRIBUTED.
pub(super) const DISTRIBUTED: Form = Form {
    fields: &[&[
        MODE,
        Field::both("ExecutionType", Takes::Word(&["STANDARD", "EXPRESS"])),
    ]],
    required: &["ExecutionType"],
    one_of: &[],
};

/// `ProcessorConfig` with a mode that is not known yet.
pub(super) const ANY_MODE: Form = Form {
    required: &[],
    ..DISTRIBUTED
};

const PASS: Form = Form {
    fields: &[
        HEAD,
        FLOW,
        DATA,
        &[Field::jsonpath("Result", Takes::Anything)],
    ],
    required: &[],
    one_of: &[],
};

const TASK: Form = Form {
    fields: &[
        HEAD,
        FLOW,
        &[ARGUMENTS, RESOURCE],
        HANDLERS,
        &[
            Field::computed("TimeoutSeconds", SECONDS),
            Field::computed("HeartbeatSeconds", SECONDS),
            Field::computed("Credentials", Takes::Object),
        ],
        WORK_DATA,
        &[
            Field::jsonpath("TimeoutSecondsPath", VALUE),
            Field::jsonpath("HeartbeatSecondsPath", VALUE),
        ],
    ],
    required: &["Resource"],
    one_of: &[
        either(&["TimeoutSeconds", "TimeoutSecondsPath"]),
        either(&["HeartbeatSeconds", "HeartbeatSecondsPath"]),
    ],
};

const CHOICE: Form = Form {
    fields: &[
        HEAD,
        &[
            ASSIGN,
            OUTPUT,
            Field::both("Choices", Takes::List(1)),
            Field::both("Default", Takes::Text),
        ],
        PATHS,
    ],
    required: &["Choices"],
    one_of: &[],
};

const WAIT: Form = Form {
    fields: &[
        HEAD,
        FLOW,
        &[
            Field::computed("Seconds", Takes::Integer(0.0, MAX_SECONDS)),
            Field::computed("Timestamp", Takes::Text),
        ],
        PATHS,
        &[
            Field::jsonpath("SecondsPath", VALUE),
            Field::jsonpath("TimestampPath", VALUE),
        ],
    ],
    required: &[],
    one_of: &[OneOf {
        names: &["SecondsPath", "Seconds", "TimestampPath", "Timestamp"],
        required: true,
    }],
};

const SUCCEED: Form = Form {
    fields: &[HEAD, &[OUTPUT], PATHS],
    required: &[],
    one_of: &[],
};

const FAIL: Form = Form {
    fields: &[
        HEAD,
        &[
            Field::computed("Error", Takes::Text),
            Field::computed("Cause", Takes::Text),
            Field::jsonpath("ErrorPath", Takes::Text),
            Field::jsonpath("CausePath", Takes::Text),
        ],
    ],
    required: &[],
    one_of: &[
        either(&["Error", "ErrorPath"]),
        either(&["Cause", "CausePath"]),
    ],
};

const PARALLEL: Form = Form {
    fields: &[
        HEAD,
        FLOW,
        &[ARGUMENTS, Field::both("Branches", Takes::List(1))],
        HANDLERS,
        WORK_DATA,
    ],
    required: &["Branches"],
    one_of: &[],
};

const MAP: Form = Form {
    fields: &[
        HEAD,
        FLOW,
        &[
            Field::both("ItemProcessor", Takes::Object),
            Field::both("Iterator", Takes::Object),
            Field::both("ItemReader", Takes::Object),
            Field::computed("ItemSelector", Takes::Anything),
            Field::both("ItemBatcher", Takes::Object),
            Field::both("ResultWriter", Takes::Object),
            Field::both("Label", Takes::Text),
        ],
        HANDLERS,
        &[
            Field::computed("MaxConcurrency", COUNT),
            Field::computed("ToleratedFailureCount", COUNT),
            Field::computed("ToleratedFailurePercentage", Takes::Decimal(0.0, 100.0)),
            Field::jsonata("Items", Takes::Anything),
        ],
        WORK_DATA,
        &[
            Field::jsonpath("ItemsPath", Takes::Reference(Roots::All)),
            Field::jsonpath("MaxConcurrencyPath", VALUE),
            Field::jsonpath("ToleratedFailureCountPath", VALUE),
            Field::jsonpath("ToleratedFailurePercentagePath", VALUE),
        ],
    ],
    required: &[],
    one_of: &[
        OneOf {
            names: &["ItemProcessor", "Iterator"],
            required: true,
        },
        either(&["ItemSelector", "Parameters"]),
        either(&["MaxConcurrency", "MaxConcurrencyPath"]),
        either(&["ToleratedFailureCount", "ToleratedFailureCountPath"]),
        either(&[
            "ToleratedFailurePercentage",
            "ToleratedFailurePercentagePath",
        ]),
    ],
};

/// The types of states, in the order of AWS's message.
pub(super) const TYPES: [(&str, Form); 8] = [
    ("Task", TASK),
    ("Wait", WAIT),
    ("Pass", PASS),
    ("Succeed", SUCCEED),
    ("Fail", FAIL),
    ("Choice", CHOICE),
    ("Parallel", PARALLEL),
    ("Map", MAP),
];
/// The fields of which a state with a transition has exactly one. `"End": false` counts as absent,
/// so the reader of states checks them.
pub(super) const TRANSITION: [&str; 2] = ["Next", "End"];

pub(super) const RETRIER: Form = Form {
    fields: &[&[
        COMMENT,
        Field::both("ErrorEquals", Takes::List(1)),
        Field::both("IntervalSeconds", Takes::Integer(0.0, MAX_SECONDS)),
        Field::both("MaxAttempts", Takes::Integer(0.0, MAX_SECONDS)),
        Field::both("BackoffRate", Takes::Decimal(1.0, f64::MAX)),
        Field::both("MaxDelaySeconds", Takes::Integer(1.0, MAX_DELAY)),
        Field::both("JitterStrategy", Takes::Word(&["NONE", "FULL"])),
    ]],
    required: &["ErrorEquals"],
    one_of: &[],
};

pub(super) const CATCHER: Form = Form {
    fields: &[&[
        COMMENT,
        Field::both("ErrorEquals", Takes::List(1)),
        NEXT,
        ASSIGN,
        OUTPUT,
        RESULT_PATH,
    ]],
    required: &["ErrorEquals", "Next"],
    one_of: &[],
};

/// A rule of a Choice in JSONata. `choice` reads those of JSONPath.
pub(super) const CONDITION: Form = Form {
    fields: &[&[
        COMMENT,
        NEXT,
        ASSIGN,
        OUTPUT,
        Field::jsonata("Condition", Takes::Boolean),
    ]],
    required: &["Condition", "Next"],
    one_of: &[],
};

pub(super) const ITEM_READER: Form = Form {
    fields: &[&[
        RESOURCE,
        ARGUMENTS,
        PARAMETERS,
        Field::both("ReaderConfig", Takes::Object),
    ]],
    required: &["Resource"],
    one_of: &[],
};

pub(super) const READER_CONFIG: Form = Form {
    fields: &[&[
        Field::both(
            "InputType",
            Takes::Word(&["CSV", "JSON", "JSONL", "MANIFEST", "PARQUET"]),
        ),
        Field::both("Transformation", Takes::Word(&["NONE", "LOAD_AND_FLATTEN"])),
        Field::both(
            "ManifestType",
            Takes::Word(&["ATHENA_DATA", "S3_INVENTORY"]),
        ),
        Field::both("CSVHeaderLocation", Takes::Word(&["FIRST_ROW", "GIVEN"])),
        Field::both("CSVHeaders", Takes::List(1)),
        Field::both(
            "CSVDelimiter",
            Takes::Word(&["COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"]),
        ),
        Field::both("ItemsPointer", Takes::Text),
        Field::computed("MaxItems", Takes::Integer(0.0, MAX_ITEMS)),
        Field::jsonpath("MaxItemsPath", VALUE),
    ]],
    required: &[],
    one_of: &[either(&["MaxItems", "MaxItemsPath"])],
};

pub(super) const ITEM_BATCHER: Form = Form {
    fields: &[&[
        Field::computed("BatchInput", Takes::Anything),
        Field::computed("MaxItemsPerBatch", COUNT),
        Field::computed(
            "MaxInputBytesPerBatch",
            Takes::Integer(0.0, MAX_BATCH_BYTES),
        ),
        Field::jsonpath("MaxItemsPerBatchPath", VALUE),
        Field::jsonpath("MaxInputBytesPerBatchPath", VALUE),
    ]],
    required: &[],
    one_of: &[
        either(&["MaxItemsPerBatch", "MaxItemsPerBatchPath"]),
        either(&["MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath"]),
    ],
};

pub(super) const RESULT_WRITER: Form = Form {
    fields: &[&[
        RESOURCE,
        ARGUMENTS,
        PARAMETERS,
        Field::both("WriterConfig", Takes::Object),
    ]],
    required: &[],
    one_of: &[],
};

pub(super) const WRITER_CONFIG: Form = Form {
    fields: &[&[
        Field::both(
            "Transformation",
            Takes::Word(&["NONE", "COMPACT", "FLATTEN"]),
        ),
        Field::both("OutputType", Takes::Word(&["JSON", "JSONL"])),
    ]],
    required: &[],
    one_of: &[],
};

/// The fields of a JSONPath state's rule, besides its test.
pub(super) const RULE: [(&str, Takes); 3] = [
    ("Next", Takes::Text),
    ("Comment", Takes::Text),
    ("Assign", Takes::Object),
];
