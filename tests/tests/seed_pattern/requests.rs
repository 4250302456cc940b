//! What is sent, and where to.

use serde_json::Value;
use token_refresh_conformance::{
    adapter::{Content, Spec},
    server::{ResourcePolicy, ResourceServer, Response, Step},
};

use crate::{Answer, Client, naive::Naive, ours::Ours, world::World};

/// The token goes to every server that is asked for anything, and to where it redirects.
///
/// History: a request to a foreign origin; a request that is redirected to one. Breaks I-24, SEC-02 and SEC-03.
#[test]
fn defect_10_every_server_gets_the_token() {
    fn tokens_given_away<C: Client>(new: fn(&World) -> C) -> usize {
        let world = World::new();
        let client = new(&world);
        let elsewhere = ResourceServer::start("else", &world.auth, ResourcePolicy::default()).unwrap();
        client.send(&Spec::get(elsewhere.url("/direct")));
        client.send(&world.get(&format!("/redirect/302?to={}", elsewhere.url("/redirected"))));
        authorization(&elsewhere).into_iter().flatten().count()
    }
    assert_eq!(tokens_given_away(Naive::new), 2);
    assert_eq!(tokens_given_away(Ours::new), 0);
}

/// `Bearer` replaces whatever was there: the caller's own credentials, and the type that the token really has.
///
/// History: a request with `Authorization: Basic`; refreshed with `token_type` `DPoP`. Breaks AUTH-02 and AUTH-04.
#[test]
fn defect_11_bearer_overwrites_everything() {
    fn schemes<C: Client>(new: fn(&World) -> C) -> Vec<String> {
        let world = World::new();
        let client = new(&world);
        // The script answers, whatever the credentials.
        world.api.script([Step::new().on("/own").answer(Response::new(200))]);
        client.send(&world.get("/own").header("authorization", "Basic bWU6bXlzZWxm"));

        world.auth.expire(&world.tokens.access_token);
        world.auth.script([Step::new().edit(|answer| {
            let mut grant: Value = serde_json::from_slice(&answer.body).unwrap();
            grant["token_type"] = "DPoP".into();
            Response::json(200, &grant)
        })]);
        client.send(&world.get("/a"));
        let scheme = |value: String| value.split(' ').next().unwrap().to_owned();
        authorization(&world.api).into_iter().flatten().map(scheme).collect()
    }
    assert_eq!(schemes(Naive::new), ["Bearer", "Bearer", "Bearer"]);
    assert_eq!(schemes(Ours::new), ["Basic", "Bearer", "DPoP"]);
}

/// What a request carried is not asked: a stream was read to its end by the first attempt, the second one sends nothing,
/// and the server says that all is well.
///
/// History: an upload refused, refreshed, sent again. Breaks RPLY-03.
#[test]
fn defect_14_an_upload_is_replaced_by_nothing() {
    fn upload<C: Client>(new: fn(&World) -> C) -> (Answer, Vec<usize>) {
        let world = World::expired();
        let client = new(&world);
        let content = Content::Stream(vec![b'x'; 1000]);
        let answer = client.send(&Spec { content, ..Spec::new("PUT", world.api.url("/upload")) });
        (answer, world.api.log().iter().map(|seen| seen.body_len).collect())
    }
    assert_eq!(upload(Naive::new), (Answer::Status(200), vec![1000, 0]));
    // The caller hears that it was refused, and can send it once more, with a token that is good by then.
    assert_eq!(upload(Ours::new), (Answer::Status(401), vec![1000]));
}

/// The `Authorization` field of each request that the server saw.
fn authorization(server: &ResourceServer) -> Vec<Option<String>> {
    server.log().iter().map(|seen| seen.headers.get("authorization").map(str::to_owned)).collect()
}
