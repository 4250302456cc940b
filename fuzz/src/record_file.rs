use token_refresh_driver::store::Document;

/// Reads a stored record; what can be read is written so that it can be read again, and says the same.
///
/// # Panics
/// If it does not.
pub fn record_file(data: &[u8]) {
    let Ok(document) = Document::decode(data) else { return };
    let text = document.encode().expect("what was read can be written");
    assert_eq!(Document::decode(&text).as_ref(), Ok(&document));
    let successor = Document::replacing(Some(&document), document.version, document.record.clone());
    assert_eq!(successor, document, "a commit of the same record keeps what other programs wrote");
}
