use super::{
    Client, Spec,
    world::{World, answer, credentials_seen},
};
use crate::server::{Response, Step};

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// The foreign server sees no credentials, and its 401 says nothing about the token.
pub fn sec_03_a_redirect_elsewhere_takes_the_token_off<C: Client>() {
    for status in STATUSES {
        let world = World::new();
        let elsewhere = world.elsewhere();
        let target = format!("/redirect/{status}?to={}", elsewhere.url("/b"));

        let answer = answer(&world.client::<C>(), &Spec::get(world.api.url(&target)));
        assert_eq!(answer.status, 401, "redirected by {status}");
        assert_eq!(world.generations(&target), [Some(0)]);
        assert_eq!((elsewhere.log().len(), credentials_seen(&elsewhere)), (1, 0));
        assert_eq!(world.token_requests(), 0);
    }
}

/// The foreign server has chosen where the chain ends, so the token is not put on again (Q6), not even if it ends where
/// it began.
pub fn sec_03_a_redirect_there_and_back_refreshes_nothing<C: Client>() {
    for status in STATUSES {
        let world = World::new();
        let elsewhere = world.elsewhere();
        let to = |url: String| Step::new().answer(Response::new(status).header("Location", &url));
        for end in ["/begin", "/end"] {
            world.api.script([to(elsewhere.url("/b"))]);
            elsewhere.script([to(world.api.url(end))]);

            let answer = answer(&world.client::<C>(), &Spec::get(world.api.url("/begin")));
            assert_eq!(answer.status, 401, "redirected by {status}");
            let seen: Vec<_> = world.api.log().iter().map(|seen| seen.carried.is_some()).collect();
            assert_eq!(&seen[seen.len() - 2..], [true, false]);
        }
        assert_eq!((elsewhere.log().len(), credentials_seen(&elsewhere)), (2, 0));
        assert_eq!(world.token_requests(), 0);
    }
}

/// Within the origin a client may take the token along or leave it off. If it went along a refusal at the end counts,
/// and the repetition begins where the request began, not where the redirect led; else it says nothing.
pub fn rply_05_the_repetition_begins_where_the_request_began<C: Client>() {
    for status in STATUSES {
        let world = World::expired();
        let target = format!("/redirect/{status}?to={}", world.api.url("/b"));

        let answer = answer(&world.client::<C>(), &Spec::get(world.api.url(&target)));
        let (seen, requests) =
            ((world.generations(&target), world.generations("/b")), world.token_requests());
        if answer.status == 200 {
            let both = vec![Some(0), Some(1)];
            assert_eq!((seen, requests), ((both.clone(), both), 1), "redirected by {status}");
        } else {
            assert_eq!(answer.status, 401);
            assert_eq!((seen, requests), ((vec![Some(0)], vec![None]), 0), "redirected by {status}");
        }
    }
}

/// Another server's refusal at the end of a redirect is the answer: nothing is repeated, here or there.
pub fn rply_05_a_refusal_elsewhere_is_the_answer<C: Client>() {
    for status in STATUSES {
        let world = World::new();
        let elsewhere = world.elsewhere();
        let refusal =
            Response::new(401).header("WWW-Authenticate", "Bearer error=\"invalid_token\"").body("not here");
        elsewhere.script([Step::new().answer(refusal)]);
        let target = format!("/redirect/{status}?to={}", elsewhere.url("/b"));

        let answer = answer(&world.client::<C>(), &Spec::get(world.api.url(&target)));
        assert_eq!((answer.status, &*answer.body), (401, &b"not here"[..]), "redirected by {status}");
        assert_eq!((world.api.log().len(), elsewhere.log().len(), world.token_requests()), (1, 1, 0));
    }
}
