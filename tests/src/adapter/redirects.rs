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
