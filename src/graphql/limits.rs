//! The limits of documents, of their variables and of responses.

/// Maximum size of a document's text in bytes.
pub const DOCUMENT_BYTES: usize = 64 * 1024;
/// Maximum number of tokens of a document (and of all documents of a batch).
pub const TOKENS: usize = 15_000;
/// Maximum nesting of brackets in a document, and of selection sets through fragments.
pub const RECURSION: usize = 64;
/// Maximum nesting of fields (AppSync: at most 75).
pub const DEPTH: usize = 32;
/// Maximum number of operations of a document.
pub const OPERATIONS: usize = 100;
/// Maximum number of fragments of a document.
pub const FRAGMENTS: usize = 1_000;
/// Maximum number of variables of a document, in all its operations.
pub const VARIABLES: usize = 500;
/// Maximum number of directives of a document.
pub const DIRECTIVES: usize = 500;
/// Maximum number of selections of a document. A fragment counts at each place where it is spread.
pub const SELECTIONS: usize = 10_000;
/// Maximum number of aliases among them: with aliases one document can select the same field many
/// times.
pub const ALIASES: usize = 100;
/// Maximum cost of a request (and of all requests of a batch): each field counts 1 or its weight,
/// and the fields of a page count once for each item that it may have.
pub const COMPLEXITY: usize = 10_000;
/// Maximum number of values in a request's variables. The largest argument, a batch of jobs with
/// all their tags, has about 1,600.
pub const VARIABLE_VALUES: usize = 10_000;
/// Maximum nesting of a request's variables. The deepest argument, a filter, has 3.
pub const VARIABLE_DEPTH: usize = 32;
/// Maximum number of errors in a response; one more says that there were others.
pub const ERRORS: usize = 10;
/// Maximum size in bytes of an error's message. A longer one, which repeats the caller's text, is
/// cut in its middle.
pub const MESSAGE_BYTES: usize = 2_048;
/// Maximum size of a response in bytes (and of all responses of a batch).
pub const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Maximum number of requests in a batch.
pub const BATCH: usize = 10;
/// Maximum size in bytes of a subscription's document, and of its variables. Both are held until
/// the subscription ends.
pub const SUBSCRIPTION_BYTES: usize = 8 * 1024;
/// Maximum memory in bytes of the subscriptions of one caller.
pub const SUBSCRIPTION_BYTES_PER_CALLER: usize = 64 * 1024 * 1024;
/// Maximum number of fields that a subscription selects. A fragment counts at each place where it
/// is spread.
pub const SUBSCRIPTION_FIELDS: usize = 250;

/// A request over a bound: what is wrong, and the code.
pub(in crate::graphql) type OverBound = (String, &'static str);

/// The code of a request over a bound.
pub(in crate::graphql) const TOO_MUCH: &str = "ResolverExecutionLimitReached";
