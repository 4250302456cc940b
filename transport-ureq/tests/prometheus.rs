//! The example shows what it says it shows.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "its `main` is not called here")]
#[path = "../examples/prometheus.rs"]
mod example;

#[test]
fn obs_04_prometheus_reads_the_counters() {
    let text = example::scrape().unwrap();
    for expected in [
        "# TYPE token_refresh_exchanges_total counter",
        r#"token_refresh_exchanges_total{session="demo",trigger="refusal",class="granted"} 2"#,
        r#"token_refresh_exchanges_total{session="demo",trigger="refusal",class="ambiguous"} 1"#,
        r#"token_refresh_tokens_total{session="demo",origin="exchange"} 2"#,
        r#"token_refresh_exchange_seconds_count{session="demo",class="granted"} 2"#,
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected} is not in\n{text}");
    }
    // At least the one that is provoked; a slow caller may add its own.
    assert!(text.contains(r#"token_refresh_late_refusals_total{session="demo"} "#), "{text}");
}
