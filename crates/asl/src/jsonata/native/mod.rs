//! The functions of JSONata and AWS: a table of their names, signatures and implementations.

mod aws;
mod higher;
mod lists;
mod numbers;
pub(super) mod patterns;
mod pictures;
mod texts;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::function::Native;
use super::machine::Machine;
use super::signature::Signature;
use super::value::Value;
use super::wrong::Outcome;

/// The implementation of a function.
type Implementation = for<'a> fn(&Machine<'a>, &[Value<'a>]) -> Outcome<Value<'a>>;

/// A function by its name, without the `$`.
pub(super) fn find(name: &str) -> Option<&'static Native> {
    NATIVES.get(name)
}

/// Calls a function of the language.
pub(super) fn run<'a>(
    native: &Native,
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    let (.., run) = ROWS[native.row];
    run(machine, arguments)
}

static NATIVES: LazyLock<HashMap<&'static str, Native>> = LazyLock::new(|| {
    let native = |(row, &(name, signature, arity, parameters, _)): (usize, &Row)| {
        let signature = Signature::parse(signature).expect("the signatures below are valid");
        let native = Native {
            name,
            arity,
            parameters,
            signature,
            row,
        };
        (name, native)
    };
    ROWS.iter().enumerate().map(native).collect()
});

/// Name, signature, arity, parameters and implementation.
type Row = (&'static str, &'static str, usize, usize, Implementation);

const ROWS: [Row; 69] = [
    ("abs", "<n-:n>", 1, 1, numbers::abs),
    ("append", "<xx:a>", 2, 2, lists::append),
    ("assert", "<bs?:x>", 2, 2, higher::assert),
    ("average", "<a<n>:n>", 1, 1, numbers::average),
    ("base64decode", "<s-:s>", 1, 1, texts::base64decode),
    ("base64encode", "<s-:s>", 1, 1, texts::base64encode),
    ("boolean", "<x-:b>", 1, 1, higher::boolean),
    ("ceil", "<n-:n>", 1, 1, numbers::ceil),
    ("clone", "<(oa)-:o>", 1, 1, lists::clone),
    ("contains", "<s-(sf):b>", 2, 2, patterns::contains),
    ("count", "<a:n>", 1, 1, lists::count),
    ("decodeUrl", "<s-:s>", 1, 1, texts::decode_url),
    (
        "decodeUrlComponent",
        "<s-:s>",
        1,
        1,
        texts::decode_url_component,
    ),
    ("distinct", "<x:x>", 1, 1, lists::distinct),
    ("each", "<o-f:a>", 2, 2, higher::each),
    ("encodeUrl", "<s-:s>", 1, 1, texts::encode_url),
    (
        "encodeUrlComponent",
        "<s-:s>",
        1,
        1,
        texts::encode_url_component,
    ),
    ("error", "<s?:x>", 1, 1, higher::error),
    ("exists", "<x:b>", 1, 1, higher::exists),
    ("filter", "<af>", 2, 2, higher::filter),
    ("floor", "<n-:n>", 1, 1, numbers::floor),
    ("formatBase", "<n-n?:s>", 2, 2, numbers::format_base),
    ("formatInteger", "<n-s:s>", 2, 2, pictures::format_integer),
    ("formatNumber", "<n-so?:s>", 3, 3, pictures::format_number),
    ("fromMillis", "<n-s?s?:s>", 3, 3, pictures::from_millis),
    ("hash", "<x?x?x?:x>", 2, 2, aws::hash),
    ("join", "<a<s>s?:s>", 2, 2, texts::join),
    ("keys", "<x-:a<s>>", 1, 1, lists::keys),
    ("length", "<s-:n>", 1, 1, texts::length),
    ("lookup", "<x-s:x>", 2, 2, lists::lookup),
    ("lowercase", "<s-:s>", 1, 1, texts::lowercase),
    ("map", "<af>", 2, 2, higher::map),
    ("match", "<s-f<s:o>n?:a<o>>", 3, 3, patterns::matches),
    ("max", "<a<n>:n>", 1, 1, numbers::max),
    ("merge", "<a<o>:o>", 1, 1, lists::merge),
    ("millis", "<:n>", 0, 0, aws::millis),
    ("min", "<a<n>:n>", 1, 1, numbers::min),
    ("not", "<x-:b>", 1, 1, higher::not),
    ("now", "<s?s?:s>", 2, 2, aws::now),
    ("number", "<(nsb)-:n>", 1, 1, numbers::number),
    ("pad", "<s-ns?:s>", 3, 3, texts::pad),
    ("parse", "<x?x?:x>", 1, 1, aws::parse),
    ("parseInteger", "<s-s:n>", 2, 2, pictures::parse_integer),
    ("partition", "<x?x?x?:x>", 2, 2, aws::partition),
    ("power", "<n-n:n>", 2, 2, numbers::power),
    ("random", "<x?x?:x>", 1, 1, aws::random),
    ("range", "<x?x?x?x?:x>", 3, 3, aws::range),
    ("reduce", "<afj?:j>", 3, 3, higher::reduce),
    ("replace", "<s-(sf)(sf)n?:s>", 4, 4, patterns::replace),
    ("reverse", "<a:a>", 1, 1, lists::reverse),
    ("round", "<n-n?:n>", 2, 2, numbers::round),
    ("shuffle", "<a:a>", 1, 1, lists::shuffle),
    ("sift", "<o-f?:o>", 2, 2, higher::sift),
    ("single", "<af?>", 2, 2, higher::single),
    ("sort", "<af?:a>", 2, 2, lists::sort),
    ("split", "<s-(sf)n?:a<s>>", 3, 3, patterns::split),
    ("spread", "<x-:a<o>>", 1, 1, lists::spread),
    ("sqrt", "<n-:n>", 1, 1, numbers::sqrt),
    ("string", "<x-b?:s>", 1, 2, texts::string),
    ("substring", "<s-nn?:s>", 3, 3, texts::substring),
    ("substringAfter", "<s-s:s>", 2, 2, texts::substring_after),
    ("substringBefore", "<s-s:s>", 2, 2, texts::substring_before),
    ("sum", "<a<n>:n>", 1, 1, numbers::sum),
    ("toMillis", "<s-s?:n>", 2, 2, pictures::to_millis),
    ("trim", "<s-:s>", 1, 1, texts::trim),
    ("type", "<x:s>", 1, 1, higher::kind),
    ("uppercase", "<s-:s>", 1, 1, texts::uppercase),
    ("uuid", "<x?:x>", 0, 0, aws::uuid),
    ("zip", "<a+>", 0, 0, lists::zip),
];
