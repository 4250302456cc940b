use std::time::Duration;

use super::{
    Client, Spec,
    world::{World, answer, credentials_seen},
};

/// The token goes to the allowed origin, and a server that is not on the list sees no credentials.
pub fn sec_01_the_token_stays_on_allowed_origins<C: Client>() {
    let world = World::new();
    let elsewhere = world.elsewhere();
    let client = world.client::<C>();

    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [Some(0)]);
    assert_eq!(answer(&client, &Spec::get(elsewhere.url("/a"))).status, 401);
    assert_eq!(credentials_seen(&elsewhere), 0);
    assert_eq!(world.token_requests(), 0, "a 401 from elsewhere refuses nothing");
}

/// Another port, another name of the same host, the allowed origin as userinfo: all are other origins. Upper case is
/// not.
pub fn sec_02_look_alikes_of_an_allowed_origin_get_nothing<C: Client>() {
    let world = World::new();
    let elsewhere = world.elsewhere();
    let client = world.client::<C>();
    let (api, other) = (world.api.addr(), elsewhere.addr());

    let tricks = [
        format!("http://{api}@{other}/userinfo"),
        format!("http://{api}%2f@{other}/encoded"),
        format!("http://{other}/path?{api}"),
        format!("http://localhost:{}/name", api.port()),
        format!("http://127.1:{}/short", api.port()),
        format!("http://2130706433:{}/number", api.port()),
        format!("http://{}.:{}/dot", api.ip(), api.port()),
    ];
    for url in tricks {
        // Whether a client takes such an address at all is its own business.
        let _ = client.send(&Spec::get(url));
    }
    assert!(!elsewhere.log().is_empty(), "nobody was tricked");
    for server in [&world.api, &elsewhere] {
        let carried = server.log().into_iter().filter(|seen| seen.carried.is_some());
        assert_eq!(carried.map(|seen| seen.target).collect::<Vec<_>>(), Vec::<String>::new());
    }
    assert_eq!(world.token_requests(), 0);

    assert_eq!(answer(&client, &Spec::get(format!("HTTP://{api}/upper"))).status, 200);
}

/// An empty list means none.
pub fn sec_02_without_allowed_origins_nobody_gets_the_token<C: Client>() {
    let mut world = World::new();
    world.setup.origins.clear();

    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 401);
    assert_eq!(credentials_seen(&world.api), 0);
    assert_eq!(world.token_requests(), 0);
}

/// The caller's own `Authorization` reaches the server as it is, and its 401 opens nothing.
pub fn auth_04_own_credentials_are_left_alone<C: Client>() {
    let world = World::new();
    let request = Spec::get(world.api.url("/own")).header("authorization", "Basic bWU6bXlzZWxm");

    assert_eq!(answer(&world.client::<C>(), &request).status, 401);
    let log = world.api.log();
    let seen: Vec<_> = log.iter().map(|seen| seen.headers.all("authorization").collect::<Vec<_>>()).collect();
    assert_eq!(seen, [["Basic bWU6bXlzZWxm"]]);
    assert_eq!(world.token_requests(), 0);
}

/// A caller can send a request without the token to an origin that would get it.
pub fn auth_04_a_request_can_do_without_the_token<C: Client>() {
    let world = World::new();
    let request = Spec { without_token: true, ..Spec::get(world.api.url("/public")) };

    assert_eq!(answer(&world.client::<C>(), &request).status, 401);
    assert_eq!(world.generations("/public"), [None]);
    assert_eq!(world.token_requests(), 0);
}

/// A token that is known to be over is not sent.
pub fn auth_06_an_expired_token_is_replaced_before_it_is_sent<C: Client>() {
    let mut world = World::expired();
    world.setup.lifetime = Some(Duration::ZERO);

    assert_eq!(answer(&world.client::<C>(), &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [Some(1)]);
    assert_eq!(world.token_requests(), 1);
}
