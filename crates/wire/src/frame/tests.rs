use proptest::prelude::*;

use super::*;

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    head(first & 0x0F, payload.len(), &mut out);
    out[0] = first;
    out[1] |= 0x80;
    out.extend_from_slice(&[1, 2, 3, 4]);
    out.extend(
        payload
            .iter()
            .enumerate()
            .map(|(index, byte)| byte ^ [1, 2, 3, 4][index & 3]),
    );
    out
}

type Outcome = Result<Vec<Event>, u16>;

fn run(bytes: &[u8], max: usize) -> Outcome {
    let mut decoder = Decoder::new(max);
    let mut events = Vec::new();
    for byte in bytes {
        decoder.receive(&[*byte]);
        while let Some(event) = decoder.decode().map_err(|violation| violation.code)? {
            events.push(event);
        }
    }
    Ok(events)
}

#[test]
fn each_violation_has_its_close_code() {
    let fragmented = |second: Vec<u8>| [masked(0x01, b"ab"), second].concat();
    let table: Vec<(&str, Vec<u8>, Outcome)> = vec![
        (
            "text",
            masked(0x81, b"hi"),
            Ok(vec![Event::Text("hi".into())]),
        ),
        (
            "fragments",
            fragmented(masked(0x80, b"cd")),
            Ok(vec![Event::Text("abcd".into())]),
        ),
        (
            "a ping between fragments",
            [masked(0x01, b"ab"), masked(0x89, b"p"), masked(0x80, b"c")].concat(),
            Ok(vec![Event::Ping(b"p".to_vec()), Event::Text("abc".into())]),
        ),
        (
            "at the limit",
            masked(0x81, &[b'a'; 8]),
            Ok(vec![Event::Text("aaaaaaaa".into())]),
        ),
        ("over the limit", masked(0x81, &[b'a'; 9]), Err(1009)),
        (
            "fragments over the limit",
            fragmented(masked(0x80, &[b'a'; 7])),
            Err(1009),
        ),
        (
            "a length of 2^63",
            vec![0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
            Err(1009),
        ),
        ("not masked", vec![0x81, 0x01, b'a'], Err(1002)),
        ("reserved bit", masked(0xC1, b"a"), Err(1002)),
        ("unknown opcode", masked(0x83, b"a"), Err(1002)),
        ("continuation of nothing", masked(0x80, b"a"), Err(1002)),
        (
            "message in a message",
            fragmented(masked(0x81, b"c")),
            Err(1002),
        ),
        ("fragmented ping", masked(0x09, b"a"), Err(1002)),
        ("long ping", masked(0x89, &[0; 126]), Err(1002)),
        ("not UTF-8", masked(0x81, &[0xFF]), Err(1007)),
        (
            "a character cut by a fragment",
            [masked(0x01, &[0xC3]), masked(0x80, &[0xA9])].concat(),
            Ok(vec![Event::Text("é".into())]),
        ),
        (
            "a fragment that can never be UTF-8",
            masked(0x01, &[b'a', 0xFF]),
            Err(1007),
        ),
        (
            "a character that goes on wrongly",
            [masked(0x01, &[0xC3]), masked(0x00, b"a")].concat(),
            Err(1007),
        ),
        (
            "a character that never ends",
            [masked(0x01, &[0xC3]), masked(0x80, b"")].concat(),
            Err(1007),
        ),
        (
            "binary fragments",
            [masked(0x02, &[0xFF]), masked(0x80, b"")].concat(),
            Ok(vec![Event::Binary(vec![0xFF])]),
        ),
        (
            "two messages at once",
            [masked(0x81, b"a"), masked(0x81, b"b")].concat(),
            Ok(vec![Event::Text("a".into()), Event::Text("b".into())]),
        ),
        (
            "close",
            masked(0x88, &1000u16.to_be_bytes()),
            Ok(vec![Event::Close(Some(1000))]),
        ),
        (
            "empty close",
            masked(0x88, b""),
            Ok(vec![Event::Close(None)]),
        ),
        ("half a code", masked(0x88, &[3]), Err(1002)),
        (
            "close code 1005",
            masked(0x88, &1005u16.to_be_bytes()),
            Err(1002),
        ),
        (
            "close reason not UTF-8",
            masked(0x88, &[3, 232, 0xFF]),
            Err(1007),
        ),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(run(&bytes, 8), expected, "{name}");
    }
}

#[test]
fn lengths_are_encoded_in_three_forms() {
    for length in [0, 125, 126, 0xFFFF, 0x10000] {
        let mut out = Vec::new();
        text(&[&vec![b'a'; length]], &mut out);
        let header = out.len() - length;
        assert_eq!(
            header,
            if length < 126 {
                2
            } else if length < 0x10000 {
                4
            } else {
                10
            }
        );
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = run(&bytes, 64);
    }

    /// A text is refused exactly if the whole is not UTF-8, in one piece or byte by byte, with any
    /// cuts.
    #[test]
    fn a_fragmented_text_is_accepted_as_the_whole(
        body in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xC3), Just(0xA9), Just(b'a')], 0..12),
        cuts in proptest::collection::vec(0usize..12, 0..4),
    ) {
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        ends.sort_unstable();
        ends.push(body.len());
        let (mut sent, mut begin) = (Vec::new(), 0);
        for (index, end) in ends.iter().enumerate() {
            let opcode = if index == 0 { TEXT } else { CONTINUATION };
            let fin = if index + 1 == ends.len() { 0x80 } else { 0 };
            sent.extend(masked(fin | opcode, &body[begin..*end]));
            begin = *end;
        }
        let expected = String::from_utf8(body).map(|text| vec![Event::Text(text)]).map_err(|_| 1007);
        prop_assert_eq!(&run(&sent, 1000), &expected);
        let mut decoder = Decoder::new(1000);
        decoder.receive(&sent);
        let mut events = Vec::new();
        let at_once = loop {
            match decoder.decode() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break Ok(events),
                Err(violation) => break Err(violation.code),
            }
        };
        prop_assert_eq!(at_once, expected);
    }

    #[test]
    fn a_message_survives_any_cut(body in "\\PC{0,60}", cut in 0usize..60) {
        let bytes = body.as_bytes();
        let cut = cut.min(bytes.len());
        let sent = [masked(0x01, &bytes[..cut]), masked(0x80, &bytes[cut..])].concat();
        prop_assert_eq!(run(&sent, 1000), Ok(vec![Event::Text(body.clone())]));
    }
}
