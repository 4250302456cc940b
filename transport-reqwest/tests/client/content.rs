//! Content: what can be sent twice, and what is left of an answer that was looked at (RPLY-03, CHAL-10).

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::stream;
use token_refresh_conformance::server::{Cut, Response, Seen, Step, digest};
use token_refresh_reqwest::{
    AllowedOrigins, AuthClient, Content, Rules,
    reqwest::{Body, Client, Method, header::AUTHORIZATION},
};

use crate::support::World;

fn pieces() -> Body {
    Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>("some"), Ok(" text")]))
}

#[tokio::test]
async fn rply_03_content_that_is_made_anew_is_sent_again() {
    let world = World::expired();
    let request = world.client.put(world.api.url("/a")).extension(Content::new(pieces));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(world.api.generations("/a"), [Some(0), Some(1)]);
    assert!(world.api.log().iter().all(|seen| seen.body_digest == digest(b"some text")));
}

#[tokio::test]
async fn content_that_is_made_anew_replaces_what_was_there() {
    let world = World::expired();
    let request = world.client.put(world.api.url("/a")).with(|request| request.body("old"));
    request.extension(Content::new(|| "new")).send().await.unwrap();
    assert!(world.api.log().iter().all(|seen| seen.body == b"new"));
}

#[tokio::test]
async fn rply_02_content_in_memory_is_sent_as_reqwest_sends_it() {
    let world = World::expired();
    world.refresh().await;
    let token = world.session().token_async().await.unwrap();
    let plain = Client::builder().no_proxy().build().unwrap();
    let bodies: [fn() -> Body; 4] =
        [|| "".into(), || "text".into(), || vec![1, 2, 3].into(), || Bytes::from_static(b"bytes").into()];
    let kinds = bodies.map(Some).into_iter().chain([None]);
    for (body, method) in kinds.flat_map(|body| [(body, Method::GET), (body, Method::POST)]) {
        let url = world.api.url("/a");
        let request = plain.request(method, url).header(AUTHORIZATION, token.header());
        let request = body.into_iter().fold(request, |request, body| request.body(body()));
        request.try_clone().unwrap().send().await.unwrap();

        let mut request = request.build().unwrap();
        request.headers_mut().remove(AUTHORIZATION);
        world.client.execute(request).await.unwrap();
    }
    let log = world.api.log();
    for pair in log.chunks(2) {
        let [theirs, ours] = [&pair[0], &pair[1]].map(|seen| (&seen.method, sorted(seen), &seen.body));
        assert_eq!(theirs, ours);
    }
    assert_eq!(log.len(), 20);
}

fn sorted(seen: &Seen) -> Vec<String> {
    let mut fields: Vec<_> = seen.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    fields.sort();
    fields
}

#[cfg(feature = "multipart")]
mod multipart {
    use token_refresh_reqwest::reqwest::multipart::{Form, Part};

    use super::*;

    fn form() -> Form {
        Form::new().text("title", "Invoice").part("scan", Part::stream(pieces()).file_name("scan.txt"))
    }

    /// As reqwest has it: a form cannot be copied. It is sent, and the next one finds a fresh token.
    #[tokio::test]
    async fn rply_03_a_form_is_sent_once_and_the_token_is_refreshed() {
        let world = World::expired();
        let upload =
            || world.client.post(world.api.url("/a")).with(|request| request.multipart(form())).send();
        assert_eq!(upload().await.unwrap().status(), 401);
        assert_eq!((world.api.log().len(), world.refreshes()), (1, 1));
        assert_eq!(upload().await.unwrap().status(), 200);
        assert_eq!(world.api.generations("/a"), [Some(0), Some(1)]);
    }

    #[tokio::test]
    async fn rply_03_a_form_that_is_made_anew_is_sent_again() {
        let world = World::expired();
        let upload = world.client.post(world.api.url("/a")).extension(Content::form(form)).send();
        assert_eq!(upload.await.unwrap().status(), 200);
        assert_eq!(world.api.generations("/a"), [Some(0), Some(1)]);

        let log = world.api.log();
        let [first, second] = [0, 1].map(|attempt| parts(&log[attempt]));
        assert_eq!(first, second);
        assert!(first.contains("Invoice") && first.contains("some text"), "{first}");
    }

    /// The content, with a word in place of the boundary that the fields announce.
    fn parts(seen: &Seen) -> String {
        let types: Vec<_> = seen.headers.iter().filter(|(name, _)| *name == "content-type").collect();
        let [(_, value)] = types[..] else { panic!("{types:?}") };
        let boundary = value.strip_prefix("multipart/form-data; boundary=").unwrap();
        let text = String::from_utf8(seen.body.clone()).unwrap();
        assert_eq!(text.matches(boundary).count(), 3, "two parts and an end: {text}");
        text.replace(boundary, "boundary")
    }
}

/// What reqwest knows of an answer is still known after its content was looked at.
#[tokio::test]
async fn chal_10_an_answer_is_whole_after_a_look_at_it() {
    let world = World::with(|rules| rules.refused_if([200], |answer| answer.body.is_empty()));
    world.api.script([Step::new(), Step::new().answer(Response::new(200).header("x-a", "b").body("12345"))]);
    let response = world.client.get(world.api.url("/a?q")).send().await.unwrap();
    assert_eq!(response.url().as_str(), world.api.url("/a?q"));
    assert_eq!(response.content_length(), Some(5));
    assert_eq!(response.headers()["x-a"], "b");
    assert_eq!(response.remote_addr(), Some(world.api.addr()));
    assert_eq!(response.text().await.unwrap(), "12345");
}

/// Content that broke off while we looked does not look complete to the caller.
#[tokio::test]
async fn chal_10_content_that_breaks_off_stays_broken() {
    let world = World::with(|rules| rules.refused_if([200], |_| false));
    world.refresh().await;
    world.api.script([Step::new().answer(Response::new(200).body("1234567890")).cut(Cut::InBody(5))]);
    let mut response = world.client.get(world.api.url("/a")).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "12345");
    assert!(response.chunk().await.is_err());
}

/// The refusal and the repetition on one connection: there is no second one to be had here.
#[tokio::test]
async fn rply_09_the_connection_of_a_refusal_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let world = World::expired();
    let rules = Rules::new(AllowedOrigins::none().loopback_http(&origin).unwrap());
    let builder = Client::builder().no_proxy().timeout(Duration::from_secs(20));
    let client = AuthClient::new(builder, world.session().clone(), rules).unwrap();

    let server = thread::spawn(move || {
        let (connection, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(&connection).lines();
        for answer in ["401 No\r\nContent-Length: 5\r\n\r\nsorry", "200 OK\r\nContent-Length: 0\r\n\r\n"] {
            while !lines.next().unwrap().unwrap().is_empty() {}
            write!(&connection, "HTTP/1.1 {answer}").unwrap();
        }
    });
    assert_eq!(client.get(origin).send().await.unwrap().status(), 200);
    server.join().unwrap();
}

/// A refusal whose content takes for ever does not hold up the repetition.
#[tokio::test]
async fn rply_09_a_refusal_that_dawdles_is_left_behind() {
    let world = World::expired();
    world.api.script([Step::new().slow(1, Duration::from_secs(2))]);
    let start = Instant::now();
    assert_eq!(world.client.get(world.api.url("/a")).send().await.unwrap().status(), 200);
    assert!(start.elapsed() < Duration::from_secs(20));
}
