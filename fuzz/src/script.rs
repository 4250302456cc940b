use token_refresh_conformance::{
    CoreSubject,
    generate::{Family, from_numbers},
    judge::verdict,
    script::Script,
};

/// More steps find no more, and take longer.
const STEPS: usize = 100;

/// Plays a script against the machine. The first byte is the family of worlds, the next eight are the world, and each
/// further four are a step, or a few that lead somewhere.
///
/// # Panics
/// If the judge finds a rule broken: with the script as text, to be kept in `tests/regressions/`.
pub fn script(data: &[u8]) {
    let Some((family, rest)) = data.split_first() else { return };
    let family = [Family::Memory, Family::Stored, Family::Several][usize::from(family % 3)];
    let (world, steps) = rest.split_at(rest.len().min(8));
    let numbers: Vec<u64> =
        std::iter::once(number(world)).chain(steps.chunks(4).map(number).take(STEPS)).collect();
    let script = from_numbers(family, &numbers);
    let violations = verdict::<CoreSubject>(&script);
    assert!(violations.is_empty(), "{violations:#?}\n{script}");
}

/// Little endian, as far as there are bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Reads the text of a script; what can be read comes back from its own text.
///
/// # Panics
/// If it does not.
pub fn script_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(script) = text.parse::<Script>() else { return };
    let written = script.to_string();
    assert_eq!(written.parse(), Ok(script), "{written}");
}
