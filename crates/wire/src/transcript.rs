//! Transcripts: `> ` is a message of the client, `! ` an event from within, `< ` an output, in
//! order.

use std::time::Duration;

use crate::appsync::AppSync;
use crate::transport_ws::TransportWs;
use crate::{Input, Output, Refusal, Session, close, limits};

fn show(output: Output) -> String {
    match output {
        Output::Send(text) => format!("< {text}"),
        Output::Authorize(None) => "< authorize".into(),
        Output::Authorize(Some(payload)) => format!("< authorize {}", payload.get()),
        Output::Start { id, request } => format!("< start {id} {}", request.query),
        Output::Stop(id) => format!("< stop {id}"),
        Output::WakeAt(at) => format!("< wake {}", at.as_secs()),
        Output::Close { code, reason } => format!("< close {code} {reason}"),
    }
}

/// Runs the inputs of a transcript and compares all lines.
fn check(mut session: impl Session, transcript: &str) {
    let expected: Vec<&str> = transcript
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let mut seen: Vec<String> = session.opened().into_iter().map(show).collect();
    for line in expected.iter().filter(|line| !line.starts_with('<')) {
        seen.push((*line).to_owned());
        let (mut now, words) = (Duration::ZERO, line[2..].splitn(2, ' ').collect::<Vec<_>>());
        let input = match (line.as_bytes()[0], words.as_slice()) {
            (b'>', ["binary"]) => Input::Binary,
            (b'>', _) => Input::Text(&line[2..]),
            (_, ["authorized"]) => Input::Authorized(Ok(())),
            (_, ["refused", why]) => Input::Authorized(Err(Refusal::Unauthorized((*why).into()))),
            (_, ["stale", why]) => Input::Authorized(Err(Refusal::Expired((*why).into()))),
            (_, ["busy", why]) => Input::Authorized(Err(Refusal::Busy((*why).into()))),
            (_, ["expired"]) => Input::Expired,
            (_, ["started", id]) => Input::Started(id),
            (_, ["failed", id]) => Input::Failed {
                id,
                errors: r#"[{"message":"no"}]"#,
            },
            (_, ["done", id]) => Input::Done(id),
            (_, ["tick", seconds]) => {
                now = Duration::from_secs(seconds.parse().unwrap());
                Input::Tick
            }
            _ => panic!("what is {line:?}?"),
        };
        seen.extend(session.handle(now, input).into_iter().map(show));
    }
    assert_eq!(seen, expected);
}

fn modern(lines: &str) {
    check(TransportWs::default(), &format!("< wake 10\n{lines}"));
}

const ACK: &str = "> {\"type\":\"connection_init\"}\n< authorize\n! authorized\n< {\"type\":\"connection_ack\"}\n";

fn modern_acked(lines: &str) {
    modern(&format!("{ACK}{lines}"));
}

#[test]
fn transport_ws_runs_operations_from_init_to_complete() {
    modern_acked(
        r#"> {"id":"1","type":"subscribe","payload":{"query":"{a}"}}
           < start 1 {a}
           ! started 1
           > {"id":"1","type":"complete"}
           < stop 1
           ! done 1
           > {"id":"1","type":"subscribe","payload":{"query":"{b}","variables":null,"operationName":null}}
           < start 1 {b}
           ! done 1
           < {"id":"1","type":"complete"}
           > {"id":"1","type":"complete"}
           > {"id":"1","type":"subscribe","payload":{"query":"{c}"}}
           < start 1 {c}
           ! failed 1
           < {"id":"1","type":"error","payload":[{"message":"no"}]}"#,
    );
}

#[test]
fn transport_ws_answers_pings_at_any_time() {
    modern(
        r#"> {"type":"ping","payload":{"a": 1}}
           < {"type":"pong","payload":{"a": 1}}
           > {"type":"ping"}
           < {"type":"pong"}
           > {"type":"pong","payload":{}}
           > {"type":"connection_init","payload":{"token":"t"}}
           < authorize {"token":"t"}"#,
    );
}

#[test]
fn transport_ws_closes_with_the_specified_codes() {
    modern("> {\n< close 4400 Invalid message: EOF while parsing an object at line 1 column 1");
    modern("> binary\n< close 4400 Invalid message: binary, expected text");
    modern(
        "> {\"type\":\"x\"}\n< close 4400 Invalid message: unknown type \"x\"\n> {\"type\":\"ping\"}",
    );
    modern(
        "> {\"type\":\"connection_init\",\"payload\":1}\n< close 4400 Invalid message: payload of connection_init must be an object",
    );
    modern(
        r#"> {"id":"1","type":"subscribe","payload":{"query":"{a}"}}
              < close 4401 Unauthorized"#,
    );
    modern(
        "> {\"type\":\"connection_init\"}\n< authorize\n! refused Forbidden\n< close 4403 Forbidden",
    );
    modern("! tick 9\n! tick 10\n< close 4408 Connection initialisation timeout");
    modern_acked(
        "! tick 10\n> {\"type\":\"connection_init\"}\n< close 4429 Too many initialisation requests",
    );
    modern_acked(
        r#"> {"id":"1","type":"subscribe","payload":{"query":"{a}"}}
           < start 1 {a}
           > {"id":"1","type":"subscribe","payload":{"query":"{a}"}}
           < close 4409 Subscriber for 1 already exists"#,
    );
    modern_acked(
        r#"> {"type":"subscribe","payload":{"query":"{a}"}}
           < close 4400 Invalid message: subscribe needs an id, a non-empty string"#,
    );
    modern_acked(
        r#"> {"id":"1","type":"subscribe"}
           < close 4400 Invalid message: payload: invalid type: null, expected a JSON object at line 1 column 4"#,
    );
}

/// PROTOCOL.md, "Invalid message": a message of a format that it does not specify ends the
/// connection with 4400.
#[test]
fn transport_ws_refuses_messages_of_another_shape() {
    let closes = |text: &str| {
        let mut session = TransportWs::default();
        session.handle(Duration::ZERO, Input::Text(r#"{"type":"connection_init"}"#));
        session.handle(Duration::ZERO, Input::Authorized(Ok(())));
        match session.handle(Duration::ZERO, Input::Text(text)).as_slice() {
            [Output::Close { code, reason }] => {
                assert!(reason.starts_with("Invalid message: "), "{text}: {reason}");
                Some(*code)
            }
            _ => None,
        }
    };
    let subscribe =
        |payload: &str| format!(r#"{{"type":"subscribe","id":"1","payload":{payload}}}"#);
    let invalid = [
        r#"["ping",null,null]"#,
        r#"[{"type":"ping"}]"#,
        r#""ping""#,
        "null",
        "",
        r#"{"type":["ping"]}"#,
        r#"{"type":"Ping"}"#,
        r#"{"type":"connection_ack"}"#,
        r#"{"type":"next","id":"1"}"#,
        r#"{"type":"ping","payload":[]}"#,
        r#"{"type":"ping","payload":1}"#,
        r#"{"type":"pong","payload":"x"}"#,
        r#"{"type":"subscribe","payload":{"query":"{a}"}}"#,
        r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
        r#"{"type":"subscribe","id":1,"payload":{"query":"{a}"}}"#,
        r#"{"type":"subscribe","id":null,"payload":{"query":"{a}"}}"#,
        r#"{"type":"complete"}"#,
        r#"{"type":"complete","id":""}"#,
        r#"{"type":"complete","id":["1"]}"#,
    ];
    let payloads = [
        "null",
        "[]",
        r#"["{a}",null,null,null]"#,
        "{}",
        r#"{"query":null}"#,
        r#"{"query":"{a}","variables":[]}"#,
        r#"{"query":"{a}","variables":"{}"}"#,
        r#"{"query":"{a}","extensions":1}"#,
        r#"{"query":"{a}","operationName":{}}"#,
    ];
    let invalid = invalid.map(ToOwned::to_owned).into_iter();
    for text in invalid.chain(payloads.map(subscribe)) {
        assert_eq!(closes(&text), Some(close::BAD_REQUEST), "{text}");
    }
    let valid = [
        "\u{feff}{\"type\":\"ping\"}",
        r#"{"type":"ping","id":1,"payload":null,"more":[1]}"#,
        r#"{"type":"pong","payload":{}}"#,
        r#"{"type":"subscribe","type":"ping"}"#,
        r#"{"type":"complete","id":"unknown"}"#,
    ];
    let payload =
        r#"{"query":"{a}","variables":null,"operationName":null,"extensions":{},"more":1}"#;
    let valid = valid.map(ToOwned::to_owned).into_iter();
    for text in valid.chain([subscribe(payload)]) {
        assert_eq!(closes(&text), None, "{text}");
    }
}

/// These protocols have no close code for it: a client gets an error, and its connection stays.
#[test]
fn appsync_answers_messages_of_another_shape_with_an_error() {
    for (text, kind) in [
        (r#"["start","1",{"query":"{a}"}]"#, "BadRequestException"),
        (
            r#"["connection_terminate",null,null]"#,
            "BadRequestException",
        ),
        (r#"{"type":["stop"]}"#, "BadRequestException"),
        (
            r#"{"type":"start","payload":{"query":"{a}"}}"#,
            "BadRequestException",
        ),
        (
            r#"{"type":"start","id":1,"payload":{"query":"{a}"}}"#,
            "BadRequestException",
        ),
        (
            r#"{"type":"start","id":"","payload":{"query":"{a}"}}"#,
            "BadRequestException",
        ),
        (
            r#"{"type":"start","id":"1","payload":["{a}",null]}"#,
            "UnsupportedOperation",
        ),
        (
            r#"{"type":"start","id":"1","payload":null}"#,
            "UnsupportedOperation",
        ),
        (
            r#"{"type":"start","id":"1","payload":{"data":"[\"{a}\"]"}}"#,
            "UnsupportedOperation",
        ),
        (
            r#"{"type":"start","id":"1","payload":{"data":["{a}"]}}"#,
            "UnsupportedOperation",
        ),
    ] {
        let mut session = AppSync::new(false);
        session.handle(Duration::ZERO, Input::Text(r#"{"type":"connection_init"}"#));
        session.handle(Duration::ZERO, Input::Authorized(Ok(())));
        match session.handle(Duration::ZERO, Input::Text(text)).as_slice() {
            [Output::Send(error)] => assert!(error.contains(kind), "{text}: {error}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn an_id_over_its_limit_is_refused() {
    for (length, starts) in [(limits::ID_BYTES, true), (limits::ID_BYTES + 1, false)] {
        let id = "i".repeat(length);
        let mut session = TransportWs::default();
        session.handle(Duration::ZERO, Input::Text(r#"{"type":"connection_init"}"#));
        session.handle(Duration::ZERO, Input::Authorized(Ok(())));
        let text = format!(r#"{{"id":"{id}","type":"subscribe","payload":{{"query":"{{a}}"}}}}"#);
        let outputs = session.handle(Duration::ZERO, Input::Text(&text));
        assert_eq!(matches!(outputs[0], Output::Start { .. }), starts);
    }
}

#[test]
fn a_subscription_over_the_limit_is_refused() {
    fn fill(mut session: impl Session, start: impl Fn(usize) -> String) -> String {
        session.handle(Duration::ZERO, Input::Text(r#"{"type":"connection_init"}"#));
        session.handle(Duration::ZERO, Input::Authorized(Ok(())));
        for id in 0..limits::SUBSCRIPTIONS {
            let outputs = session.handle(Duration::ZERO, Input::Text(&start(id)));
            assert!(matches!(outputs[0], Output::Start { .. }), "{id}");
        }
        let outputs = session.handle(Duration::ZERO, Input::Text(&start(limits::SUBSCRIPTIONS)));
        outputs.into_iter().map(show).collect()
    }
    let modern = fill(TransportWs::default(), |id| {
        format!(r#"{{"id":"{id}","type":"subscribe","payload":{{"query":"{{a}}"}}}}"#)
    });
    assert!(
        modern.starts_with(
            r#"< {"id":"100","type":"error","payload":[{"message":"Max number of 100"#
        ),
        "{modern}"
    );
    let appsync = fill(AppSync::new(true), |id| {
        format!(r#"{{"id":"{id}","type":"start","payload":{{"data":"{{\"query\":\"{{a}}\"}}"}}}}"#)
    });
    assert!(
        appsync.contains("MaxSubscriptionsReachedError"),
        "{appsync}"
    );
}

fn amazon(lines: &str) {
    check(
        AppSync::new(false),
        &format!(
            r#"< wake 30
               > {{"type":"connection_init"}}
               < authorize
               ! authorized
               < {{"type":"connection_ack","payload":{{"connectionTimeoutMs":300000}}}}
               < {{"type":"ka"}}
               < wake 30
               {lines}"#
        ),
    );
}

#[test]
fn appsync_runs_operations_from_init_to_stop() {
    amazon(
        r#"> {"id":"1","type":"start","payload":{"data":"{\"query\":\"{a}\"}"}}
           < start 1 {a}
           > {"id":"1","type":"start","payload":{"data":"{\"query\":\"{a}\"}"}}
           ! started 1
           < {"type":"start_ack","id":"1"}
           > {"id":"1","type":"start","payload":{"data":"{\"query\":\"{a}\"}"}}
           < {"type":"start_ack","id":"1"}
           > {"id":"1","type":"start","payload":{"data":"{\"query\":\"{a}\"}","extensions":{"authorization":{"Authorization":"a newer token"}}}}
           < {"type":"start_ack","id":"1"}
           > {"id":"1","type":"start","payload":{"data":"{\"query\":\"{b}\"}"}}
           < {"type":"error","id":"1","payload":{"errors":[{"errorType":"DuplicatedOperationError","message":"Duplicated operation with id 1","errorCode":400}]}}
           ! tick 30
           < {"type":"ka"}
           < wake 60
           ! done 1
           > {"id":"1","type":"stop"}
           < stop 1
           < {"type":"complete","id":"1"}
           > {"id":"1","type":"stop"}
           > {"id":"2","type":"publish"}
           < {"type":"error","id":"2","payload":{"errors":[{"errorType":"UnsupportedOperation","message":"publish not supported through the realtime channel","errorCode":400}]}}"#,
    );
}

#[test]
fn legacy_runs_operations_from_init_to_stop() {
    amazon(
        r#"> {"id":"1","type":"start","payload":{"query":"{a}"}}
           < start 1 {a}
           ! started 1
           ! done 1
           < {"type":"complete","id":"1"}
           > {"id":"2","type":"start","payload":{"query":"{b}"}}
           < start 2 {b}
           ! failed 2
           < {"id":"2","type":"error","payload":{"message":"no"}}
           > {"type":"connection_terminate"}
           < close 1000 Terminated by the client"#,
    );
}

#[test]
fn appsync_ignores_messages_before_the_ack() {
    check(
        AppSync::new(true),
        r#"< wake 30
           ! tick 29
           > {"id":"1","type":"start","payload":{"data":"{\"query\":\"{a}\"}"}}
           > {"type":"connection_init"}
           < authorize
           ! tick 30
           ! refused You are not authorized to make this call.
           < {"type":"connection_error","payload":{"errors":[{"errorType":"UnauthorizedException","message":"You are not authorized to make this call.","errorCode":401}]}}
           < wake 20
           > {"id":"1","type":"start","payload":{"data":"{\"query\":\"{a}\"}"}}
           ! tick 20
           < close 4403 Unauthorized"#,
    );
    check(
        AppSync::new(true),
        "< wake 30\n! tick 30\n< close 4408 Connection initialisation timeout",
    );
}

const APPSYNC_ACK: &str = r#"< {"type":"connection_ack","payload":{"connectionTimeoutMs":300000}}
    < {"type":"ka"}
    < wake 30"#;

#[test]
fn appsync_is_never_closed_before_the_ack() {
    let until = "< wake 30\n> {\"type\":\"connection_init\"}\n< authorize\n";
    let busy = format!("{until}! busy Later\n{APPSYNC_ACK}\n< close 1013 Later");
    check(AppSync::new(true), &busy);
    let stale = format!(
        r#"{until}! stale Token has expired.
           {APPSYNC_ACK}
           > {{"id":"1","type":"start","payload":{{"data":"{{\"query\":\"{{a}}\"}}"}}}}
           < start 1 {{a}}"#
    );
    check(AppSync::new(true), &stale);
}

#[test]
fn expired_credentials_let_clients_reconnect() {
    amazon("! expired\n< close 1012 Token expired");
    modern_acked("! expired\n< close 4403 Token expired");
    let until = "> {\"type\":\"connection_init\"}\n< authorize\n";
    modern(&format!("{until}! stale Old\n< close 4403 Old"));
    modern(&format!("{until}! busy Later\n< close 1013 Later"));
}

#[test]
fn an_appsync_start_has_its_own_credentials() {
    let start = |payload: &str| {
        let mut session = AppSync::new(true);
        session.handle(Duration::ZERO, Input::Text(r#"{"type":"connection_init"}"#));
        session.handle(Duration::ZERO, Input::Authorized(Ok(())));
        let text = format!(r#"{{"id":"1","type":"start","payload":{payload}}}"#);
        match session.handle(Duration::ZERO, Input::Text(&text)).remove(0) {
            Output::Start { request, .. } => request
                .authorization
                .map(|found| (found.header.get().to_owned(), found.data.into_string())),
            other => panic!("{other:?}"),
        }
    };
    let data = r#""data":"{ \"query\":\"{a}\"}""#;
    assert_eq!(
        start(&format!(
            r#"{{{data},"extensions":{{"authorization":{{"host": "h"}}}}}}"#
        )),
        Some((r#"{"host": "h"}"#.into(), r#"{ "query":"{a}"}"#.into()))
    );
    assert_eq!(start(&format!("{{{data}}}")), None);
    assert_eq!(
        start(&format!(r#"{{{data},"extensions":{{"authorization":1}}}}"#)),
        None
    );
    // Only AppSync's form has it: elsewhere it is an extension like any other.
    assert_eq!(
        start(r#"{"query":"{a}","extensions":{"authorization":{}}}"#),
        None
    );
}

proptest::proptest! {
    #[test]
    fn a_random_conversation_never_panics(texts in proptest::collection::vec("\\PC{0,60}|\\{\"type\":\"(start|subscribe|complete|stop|connection_init|ping)\",\"id\":\"?[0-9]\"?,\"payload\":[\\{\\[]?\\PC{0,20}\\}", 0..8)) {
        let mut modern = TransportWs::default();
        let mut amazon = AppSync::new(false);
        for text in &texts {
            modern.handle(Duration::ZERO, Input::Text(text));
            amazon.handle(Duration::ZERO, Input::Text(text));
        }
    }
}
