use super::{
    Client, Spec,
    world::{World, answer, credentials_seen},
};
use crate::server::{Response, Step};

/// The token goes to the allowed origin, and a server that is not on the list sees no credentials.
pub fn sec_02_the_token_stays_on_allowed_origins<C: Client>() {
    let world = World::new();
    let elsewhere = world.elsewhere();
    let client = world.client::<C>();

    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [Some(0)]);
    assert_eq!(answer(&client, &Spec::get(elsewhere.url("/a"))).status, 401);
    assert_eq!(credentials_seen(&elsewhere), 0);
    assert_eq!(world.token_requests(), 0, "a 401 from elsewhere refuses nothing");
}

/// Where `https` is allowed, plain text gets nothing, be it at the same name and port.
pub fn sec_01_plain_text_gets_nothing_where_https_is_allowed<C: Client>() {
    let mut world = World::new();
    world.setup.origins = vec![world.api.url("").replace("http:", "https:")];
    let client = world.client::<C>();

    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 401);
    assert_eq!((world.api.log().len(), credentials_seen(&world.api)), (1, 0));
    assert_eq!(world.token_requests(), 0);
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

/// In one field of each request, and nowhere in its target or its content.
pub fn auth_01_the_token_travels_in_one_field<C: Client>() {
    let world = World::expired();
    let client = world.client::<C>();
    let form = Spec::post(world.api.url("/a?b=c"), "d=e")
        .header("content-type", "application/x-www-form-urlencoded");

    for request in [form, Spec::get(world.api.url("/a?b=c"))] {
        assert_eq!(answer(&client, &request).status, 200);
    }
    let log = world.api.log();
    assert_eq!(log.len(), 3);
    for seen in log {
        let fields: Vec<_> = seen.headers.iter().filter(|(_, value)| value.contains("at-")).collect();
        let [("authorization" | "Authorization", value)] = fields[..] else { panic!("{fields:?}") };
        assert!(value.starts_with("Bearer at-"), "{value}");
        assert_eq!((&*seen.target, String::from_utf8_lossy(&seen.body).contains("at-")), ("/a?b=c", false));
    }
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

/// A refusal of a request that had no token, however clear, is no refusal of the token.
pub fn chal_08_what_carried_no_token_refuses_none<C: Client>() {
    let world = World::new();
    let client = world.client::<C>();
    let clear = Response::new(401).header("WWW-Authenticate", "Bearer error=\"invalid_token\"");
    world.api.script([Step::new().answer(clear)]);

    let without = Spec { without_token: true, ..Spec::get(world.api.url("/a")) };
    assert_eq!(answer(&client, &without).status, 401);
    assert_eq!(answer(&client, &Spec::get(world.api.url("/a"))).status, 200);
    assert_eq!(world.generations("/a"), [None, Some(0)]);
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
