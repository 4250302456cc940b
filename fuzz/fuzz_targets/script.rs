//! Shim: the target itself is a library function.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| token_refresh_fuzz::script(data));
