//! A GraphQL document through its limits and rules: no panic, no deep recursion, and short errors.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let errors = jobcast::graphql::check_document(text).err();
        assert!(errors.is_none_or(|errors| errors.len() < 64 * 1024));
    }
});
