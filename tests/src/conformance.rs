//! `conformance!`: the tests of a machine in Rust, and the list of all rules.

/// One test for each rule that the judge knows, for a type that implements [`Subject`](crate::subject::Subject).
///
/// `conformance!(MyMachine)`, or with a [`Plan`](crate::certify::Plan) as the second argument. All scripts are run once,
/// before the first of these tests. A rule that no script exercised passes.
#[macro_export]
macro_rules! conformance {
    (@rules $then:ident) => {
        $crate::$then! {
            core_02 "CORE-02", core_03 "CORE-03", core_05 "CORE-05", core_07 "CORE-07", core_08 "CORE-08",
            core_09 "CORE-09", core_10 "CORE-10", core_14 "CORE-14", core_16 "CORE-16",
            time_01 "TIME-01", time_02 "TIME-02", time_06 "TIME-06", time_08 "TIME-08",
            xreq_04 "XREQ-04", xrsp_03 "XRSP-03", xrsp_05 "XRSP-05", xrsp_12 "XRSP-12",
            retry_02 "RETRY-02", retry_05 "RETRY-05", retry_06 "RETRY-06", retry_07 "RETRY-07",
            pers_02 "PERS-02", pers_05 "PERS-05", mp_02 "MP-02", mp_03 "MP-03", mp_07 "MP-07",
            sess_01 "SESS-01", sess_02 "SESS-02", sess_03 "SESS-03", sess_04 "SESS-04", sess_05 "SESS-05",
            obs_02 "OBS-02", obs_03 "OBS-03",
            i_01 "I-01", i_02 "I-02", i_03 "I-03", i_04 "I-04", i_05 "I-05", i_06 "I-06", i_07 "I-07",
            i_08 "I-08", i_09 "I-09", i_10 "I-10", i_11 "I-11", i_12 "I-12", i_13 "I-13", i_14 "I-14",
            i_15 "I-15", i_16 "I-16", i_18 "I-18", i_19 "I-19", i_20 "I-20", i_21 "I-21", i_22 "I-22",
            i_23 "I-23", i_25 "I-25",
            order_of_a_batch "order of a batch", timers "timers",
            rule_1 "rule 1", rule_2 "rule 2", rule_3 "rule 3", rule_4 "rule 4", rule_5 "rule 5", rule_6 "rule 6",
            rule_7 "rule 7", rule_8 "rule 8", rule_9 "rule 9", rule_10 "rule 10", rule_11 "rule 11"
        }
    };
    ($subject:ty) => {
        $crate::conformance!($subject, $crate::certify::Plan::default());
    };
    ($subject:ty, $plan:expr) => {
        static CONFORMANCE: std::sync::LazyLock<$crate::report::Report> =
            std::sync::LazyLock::new(|| $crate::certify::certify_type::<$subject>(&$plan));

        $crate::conformance!(@rules __tests_of_rules);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __names_of_rules {
    ($($test:ident $rule:literal),*) => { &[$($rule),*] };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests_of_rules {
    ($($test:ident $rule:literal),*) => {
        $(
            #[test]
            fn $test() {
                $crate::certify::require(&CONFORMANCE, $rule);
            }
        )*
    };
}
