//! Hostile requests: documents and variables that nest, chain or repeat without bounds, or that
//! fill their bounds with what is most expensive to check. Each is refused. The integration tests
//! send them through every door, and `jobcast-bench hostile` measures them.

use serde_json::{Value, json};

/// A request that attacks.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// Name of the attack.
    pub what: &'static str,
    /// The document.
    pub query: String,
    /// The variables, an object.
    pub variables: Value,
}

/// Text made of numbered pieces.
fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

/// Fragments that each spread the next one.
fn chain(links: usize) -> String {
    let all = numbered(links, |at| {
        format!("fragment F{at} on Query{{...F{}}} ", at + 1)
    });
    format!("{{...F0}} {all}fragment F{links} on Query{{__typename}}")
}

/// Fragments that each spread the next one, and the last the first.
fn circle(links: usize) -> String {
    let all = numbered(links, |at| {
        format!("fragment F{at} on Query{{...F{}}} ", (at + 1) % links)
    });
    format!("{{...F0}} {all}")
}

/// A chain of fragments whose spreads are nested deeply.
fn nest(fragments: usize, deep: usize) -> String {
    let (open, close) = ("...{".repeat(deep), "}".repeat(deep));
    let all = numbered(fragments, |at| {
        format!("fragment F{at} on Query{{{open}...F{}{close}}} ", at + 1)
    });
    format!("{{...F0}} {all}fragment F{fragments} on Query{{__typename}}")
}

/// A document around nested brackets.
fn between(begin: &str, open: &str, close: &str, end: &str) -> String {
    format!(
        "{begin}{}1{}{end}",
        open.repeat(10_000),
        close.repeat(10_000)
    )
}

/// Every request.
pub fn all() -> Vec<Hostile> {
    let mut all = nested();
    all.extend(repeated());
    all.extend(long());
    let mut all: Vec<_> = all
        .into_iter()
        .map(|(what, query)| Hostile {
            what,
            query,
            variables: json!({}),
        })
        .collect();
    all.extend(variables());
    all
}

/// Documents that are nested deeply.
fn nested() -> Vec<(&'static str, String)> {
    let subscription = chain(5_000).replacen('{', "subscription{", 1);
    vec![
        ("a chain of fragments", chain(5_000)),
        (
            "a chain under a subscription",
            subscription.replace("on Query", "on Subscription"),
        ),
        ("a longer chain", chain(8_000)),
        ("a circle", circle(1)),
        ("a circle of many fragments", circle(900)),
        ("a long circle", circle(4_000)),
        ("fragments that nest", nest(250, 60)),
        (
            "deep selections",
            format!("{}a{}", "{a".repeat(10_000), "}".repeat(10_000)),
        ),
        (
            "deep inline fragments",
            format!("{}a{}", "{...".repeat(10_000), "}".repeat(10_000)),
        ),
        ("deep lists", between("{getJob(id:", "[", "]", "){id}}")),
        (
            "deep objects",
            between("{listJobs(filter:", "{a:", "}", "){nextToken}}"),
        ),
        (
            "a deep type",
            between("query($a:", "[", "]", "){a}").replace('1', "Int"),
        ),
        ("a deep default", between("query($a:Int=", "[", "]", "){a}")),
        (
            "a deep argument of a directive",
            between("{a@skip(if:", "[", "]", ")}"),
        ),
        (
            "a deep argument of a variable's directive",
            between("query($a:Int@d(a:", "{a:", "}", ")){a}"),
        ),
        ("open brackets only", "[{(".repeat(20_000)),
        ("open selections only", "{a".repeat(30_000)),
    ]
}

/// Documents that repeat: over a bound, or up to the bound with an error at the end, so that
/// everything before it is checked.
fn repeated() -> Vec<(&'static str, String)> {
    let many = |count: usize, of: &dyn Fn(usize) -> String| numbered(count, of);
    vec![
        (
            "many aliases",
            format!("{{{}}}", many(20_000, &|at| format!("a{at}:a "))),
        ),
        (
            "many directives",
            format!("{{a{}}}", "@skip(if:true)".repeat(5_000)),
        ),
        (
            "many fragments",
            many(10_000, &|at| format!("fragment F{at} on Job{{id}}")),
        ),
        (
            "many operations",
            many(10_000, &|at| format!("query Q{at}{{a}}")),
        ),
        (
            "many variables",
            format!("query({}){{a}}", many(10_000, &|at| format!("$a{at}:Int"))),
        ),
        (
            "many fields that are not there",
            format!("{{{}}}", many(9_000, &|at| format!("a{at} "))),
        ),
        (
            "the same field, again and again",
            format!("{{{}}}", "__typename ".repeat(20_000)),
        ),
        (
            "the same field up to the bound",
            format!("{{{} nope}}", "__typename ".repeat(9_900)),
        ),
        (
            "the same selections up to the bound",
            format!("{{{} nope}}", "listJobs{items{id}} ".repeat(1_800)),
        ),
        (
            "fragments of the same fields",
            format!(
                "{{{} nope}} {}",
                many(900, &|at| format!("...F{at} ")),
                many(900, &|at| format!(
                    "fragment F{at} on Query{{listJobs{{items{{id}}}}}} "
                ))
            ),
        ),
        (
            "conflicts of the same key",
            format!(
                "{{{}}}",
                many(90, &|at| format!(
                    "x:getJob(id:\"{at}\"){{{}}} ",
                    "id version ".repeat(30)
                ))
            ),
        ),
        (
            "fragments that double",
            format!(
                "{{...F0}} {}fragment F60 on Query{{__typename}}",
                many(60, &|at| format!(
                    "fragment F{at} on Query{{...F{} ...F{}}} ",
                    at + 1,
                    at + 1
                ))
            ),
        ),
        (
            "operations that share fragments and variables",
            format!(
                "{}{}",
                many(99, &|at| format!(
                    "query Q{at}($a{at}:Int){{{}}} ",
                    "...F ".repeat(20)
                )),
                "fragment F on Query{__typename @skip(if:$nope) @include(if:$no)}"
            ),
        ),
        (
            "operations of one name",
            "query Q{__typename}".repeat(100).to_string(),
        ),
        (
            "an argument, again and again",
            format!("{{getJob({}){{id}}}}", "id:\"x\" ".repeat(4_000)),
        ),
        (
            "an input field, again and again",
            format!(
                "{{listJobs(filter:{{type:{{{}}}}}){{nextToken}}}}",
                "eq:\"x\" ".repeat(4_000)
            ),
        ),
        (
            "a list of wrong values",
            format!(
                "{{listJobs(filter:{{id:{{in:[{}]}}}}){{nextToken}}}}",
                "1.5 ".repeat(14_000)
            ),
        ),
    ]
}

/// Long documents of few tokens.
fn long() -> Vec<(&'static str, String)> {
    let name = "x".repeat(60_000);
    vec![
        (
            "a comment of a megabyte",
            format!("{{a}}#{}", "x".repeat(900_000)),
        ),
        ("a string without an end", format!("{{a(b:\"{name}")),
        (
            "a block string without an end",
            format!("{{a(b:\"\"\"{}", "\\\"\"\"".repeat(15_000)),
        ),
        (
            "a block string of empty lines",
            format!(
                "{{getJob(id:\"\"\"{}\"\"\"){{nope}}}}",
                "\n ".repeat(30_000)
            ),
        ),
        (
            "escapes",
            format!("{{getJob(id:\"{}\"){{id}}}}", "\\uD83D".repeat(9_000)),
        ),
        ("a field of a long name", format!("{{{name}}}")),
        (
            "an argument of a long name",
            format!("{{getJob({name}:1){{id}}}}"),
        ),
        ("a type of a long name", format!("query($a:{name}){{a}}")),
        (
            "an enum value of a long name",
            format!("{{listJobs(filter:{{status:{{eq:{name}}}}}){{nextToken}}}}"),
        ),
        (
            "an integer of many digits",
            format!("{{listJobs(limit:{}){{nextToken}}}}", "9".repeat(60_000)),
        ),
        (
            "a number of many digits",
            format!(
                "{{listJobs(limit:0.{}e9){{nextToken}}}}",
                "9".repeat(60_000)
            ),
        ),
    ]
}

/// Valid documents with variables over their bounds.
fn variables() -> Vec<Hostile> {
    let query = "query($f: JobFilter) { listJobs(filter: $f) { nextToken } }";
    let deep = (0..100).fold(json!(1), |inside, _| json!([inside]));
    let object = (0..100).fold(json!(1), |inside, _| json!({ "a": inside }));
    [
        ("deep lists in a variable", deep),
        ("deep objects in a variable", object),
        (
            "many values in a variable",
            json!({ "id": { "in": vec!["x"; 20_000] } }),
        ),
        (
            "many wrong values in a variable",
            json!({ "id": { "in": vec![1.5; 9_000] } }),
        ),
        (
            "many fields in a variable",
            (0..9_000)
                .map(|at| (format!("a{at}"), json!(at)))
                .collect::<Value>(),
        ),
        (
            "a long name in a variable",
            json!({ "status": { "eq": "x".repeat(500_000) } }),
        ),
    ]
    .into_iter()
    .map(|(what, filter)| Hostile {
        what,
        query: query.to_owned(),
        variables: json!({ "f": filter }),
    })
    .collect()
}
