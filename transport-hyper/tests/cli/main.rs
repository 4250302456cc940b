//! The program `token-refresh`, as a process, against the conformance kit's servers.
#![allow(clippy::unwrap_used)]

mod serve;
mod world;

use std::{fs, process::Command};

use serde_json::Value;
use token_refresh_conformance::server::{Response, Step};
use world::{Running, World};

fn status(world: &World) -> Value {
    serde_json::from_str(&world.run(&["status", "--json"]).stdout).unwrap()
}

#[test]
fn get_prints_the_token_and_refreshes_it_when_it_was_refused() {
    let world = World::new("get");
    let issued = world.sign_in();
    let said = world.run(&["get"]);
    assert_eq!((said.code, said.stdout.trim()), (Some(0), issued.access_token.as_str()), "{said:?}");
    assert_eq!(world.auth.token_requests().len(), 0);

    world.auth.expire(&issued.access_token);
    let said = world.run(&["get", &world.api.url("/me")]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("200"), "{said:?}");
    assert_eq!(world.api.answered(401), 1);
    assert_eq!(world.auth.token_requests().len(), 1);

    // The next process has the new token from the file.
    let current = world.auth.current(1).unwrap();
    assert_eq!(world.run(&["get"]).stdout.trim(), current.access_token);
    assert_eq!(world.auth.token_requests().len(), 1);
}

#[test]
fn get_says_what_to_do() {
    let world = World::new("advice");
    let said = world.run(&["get"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.stderr.contains("there is no such file"), "{said:?}");
    assert!(said.stderr.contains("--sign-in"), "{said:?}");
    assert!(!world.credentials().exists());

    let issued = world.sign_in();
    world.auth.revoke_family(1);
    let said = world.run(&["get", &world.api.url("/me")]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.stderr.contains("refused the refresh token"), "{said:?}");
    assert!(!said.stderr.contains(&issued.access_token) && !said.stderr.contains(&issued.refresh_token));

    let issued = world.sign_in();
    world.auth.expire(&issued.access_token);
    world.auth.script([Step::new().answer(Response::new(503).header("retry-after", "60"))]);
    let said = world.run(&["get", &world.api.url("/me")]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(
        said.stderr.contains("try again in 60 s") || said.stderr.contains("try again in 59 s"),
        "{said:?}"
    );
}

#[test]
fn get_wants_https_and_whole_urls() {
    let world = World::new("urls");
    world.sign_in();
    for (url, wanted) in
        [("http://api.example.com/me", "travels over https"), ("/me", "begin it with https://")]
    {
        let said = world.run(&["get", url]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains(wanted), "{said:?}");
    }
    let said = world.run(&["get", "--token-endpoint", "http://auth.example.com/token"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("http is for loopback addresses only"), "{said:?}");
}

#[test]
fn status_tells_everything_but_secrets() {
    let world = World::new("status");
    let issued = world.sign_in();
    let said = world.run(&["status"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for wanted in ["good access token", "generation     1", "ends in 59m", "not used yet", "held by nobody"] {
        assert!(said.stdout.contains(wanted), "{wanted}: {said:?}");
    }
    assert_eq!(status(&world)["state"], "good");

    world.auth.expire(&issued.access_token);
    world.run(&["get", &world.api.url("/me")]);
    let facts = status(&world);
    assert_eq!((&facts["state"], &facts["generation"]), (&"good".into(), &2.into()), "{facts}");
    assert_eq!(facts["claim"], Value::Null);

    world.auth.revoke_family(1);
    world.run(&["get", &world.api.url("/me")]);
    let facts = status(&world);
    assert_eq!(facts["refresh_token_refused"], true, "{facts}");

    let said = world.run(&["status"]);
    for secret in [&issued.access_token, &issued.refresh_token] {
        assert!(!said.stdout.contains(secret.as_str()) && !facts.to_string().contains(secret.as_str()));
    }
}

#[test]
fn status_names_who_holds_the_claim() {
    let world = World::new("claim");
    world.sign_in();
    let text = fs::read_to_string(world.credentials()).unwrap();
    let claimed = text.replace(r#""holder":null"#, r#""holder":{"claimant":"255","term_ms":36000}"#);
    assert_ne!(text, claimed);
    fs::write(world.credentials(), claimed).unwrap();
    let said = world.run(&["status"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("a refresh is under way"), "{said:?}");
    assert!(said.stdout.contains("held by 00000000000000ff, for 36s at most"), "{said:?}");
    assert_eq!(status(&world)["claim"]["claimant"], "00000000000000ff");
}

#[test]
fn status_tells_a_damaged_file_from_none() {
    let world = World::new("damaged");
    assert_eq!(world.run(&["status"]).code, Some(3));
    world.sign_in();
    fs::write(world.credentials(), "{").unwrap();
    let said = world.run(&["status"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("put a good copy in its place"), "{said:?}");
}

#[test]
fn watch_tells_what_other_processes_do() {
    let world = World::new("watch");
    let issued = world.sign_in();
    let mut watch = Running::start(world.program(&["watch"]));
    watch.hear("there is a good access token");
    world.auth.expire(&issued.access_token);
    world.run(&["get", &world.api.url("/me")]);
    watch.hear("new tokens, generation 2, ends in");
    world.sign_in();
    watch.hear("a new session");
    let secrets = watch.heard.iter().filter(|line| line.contains("at-") || line.contains("rt-"));
    assert_eq!(secrets.count(), 0, "{:?}", watch.heard);
}

#[test]
fn every_command_has_help_and_shells_complete_it() {
    let world = World::new("help");
    for command in ["get", "status", "watch", "serve", "completions"] {
        let said = world.run(&[command, "--help"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.stdout.lines().count() > 10, "{said:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let said = world.run(&["completions", shell]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.stdout.contains("sign-in"), "{shell}");
    }
    // In a real shell, where there is one.
    let script = "source <(\"$0\" completions bash); COMP_WORDS=(token-refresh st); COMP_CWORD=1
        _token__refresh token-refresh st token-refresh; echo \"${COMPREPLY[@]}\"";
    let program = env!("CARGO_BIN_EXE_token-refresh");
    if let Ok(output) = Command::new("bash").args(["-c", script, program]).output() {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "status\n", "{output:?}");
    }
}

#[test]
fn colours_are_for_terminals_and_not_against_the_users_wish() {
    const ESCAPE: char = '\u{1b}';
    let world = World::new("colours");
    world.sign_in();
    assert!(!world.run(&["status"]).stdout.contains(ESCAPE));
    let mut forced = world.program(&["status"]);
    assert!(world::finish(forced.env("CLICOLOR_FORCE", "1"), "").stdout.contains(ESCAPE));
    assert!(!world::finish(forced.env("NO_COLOR", "1"), "").stdout.contains(ESCAPE));
}
