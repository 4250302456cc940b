use std::{fs, os::unix::fs::symlink};

use token_refresh_driver::{
    Store,
    store::{FileProblem, FileStore},
};

use crate::{record, scratch::Scratch, store_with_a_record};

#[test]
fn a_link_is_kept_and_the_record_is_replaced_where_it_leads() {
    let scratch = Scratch::new("link");
    let (direct, version) = store_with_a_record(&scratch);
    fs::create_dir(scratch.join("links")).unwrap();
    symlink(scratch.record(), scratch.join("links/absolute")).unwrap();
    symlink("../store/token.json", scratch.join("links/relative")).unwrap();
    symlink("relative", scratch.join("links/chained")).unwrap();
    symlink("store", scratch.join("folder")).unwrap();
    let ways = ["links/absolute", "links/relative", "links/chained", "folder/token.json"];
    for (number, way) in (2..).zip(ways) {
        let store = FileStore::open(scratch.join(way)).unwrap();
        let version = store.load().unwrap().version;
        store.commit(version, &record(number)).unwrap();
        assert_eq!(direct.load().unwrap().record, Some(record(number)), "{way}");
    }
    assert_eq!(direct.load().unwrap().version.0, version.0 + 4, "one lock and one count for all ways");
    for link in &ways[..3] {
        assert!(scratch.join(link).is_symlink(), "{link}");
    }
    assert!(!scratch.join("links/absolute.lock").exists());
}

#[test]
fn a_link_to_nothing_leads_the_first_record_to_its_place() {
    let scratch = Scratch::new("dangling");
    symlink("elsewhere/token.json", scratch.join("link.json")).unwrap();
    let store = FileStore::open(scratch.join("link.json")).unwrap();
    store.commit(store.load().unwrap().version, &record(1)).unwrap();
    assert!(scratch.join("link.json").is_symlink());
    assert!(scratch.join("elsewhere/token.json").is_file());
}

#[test]
fn a_link_that_is_led_elsewhere_is_followed_there() {
    let scratch = Scratch::new("moved-link");
    let (_, version) = store_with_a_record(&scratch);
    symlink("store/token.json", scratch.join("link.json")).unwrap();
    let store = FileStore::open(scratch.join("link.json")).unwrap();
    assert_eq!(store.load().unwrap().version, version);
    fs::remove_file(scratch.join("link.json")).unwrap();
    symlink("other.json", scratch.join("link.json")).unwrap();
    assert_eq!(store.load().unwrap().record, None);
}

#[test]
fn links_in_a_circle_are_no_file() {
    let scratch = Scratch::new("circle");
    symlink("b", scratch.join("a")).unwrap();
    symlink("a", scratch.join("b")).unwrap();
    let error = FileStore::open(scratch.join("a")).unwrap_err();
    assert!(matches!(error.problem(), FileProblem::NotAFile), "{error}");
}

#[test]
fn a_link_in_the_place_of_the_temporary_file_is_not_followed() {
    let scratch = Scratch::new("planted");
    let (store, version) = store_with_a_record(&scratch);
    fs::write(scratch.join("victim"), "untouched").unwrap();
    symlink(scratch.join("victim"), scratch.temporary()).unwrap();
    store.commit(version, &record(2)).unwrap();
    assert_eq!(fs::read(scratch.join("victim")).unwrap(), b"untouched");
    assert_eq!(scratch.names(), ["token.json", "token.json.lock"]);
}
